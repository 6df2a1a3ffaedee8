"""deploy/helm/values.yaml: names that Dagster's chart knows, and the same instance as deploy/dagster.yaml."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.deploy.test_dagster_yaml import CONFIG, problems, write

VALUES: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "deploy" / "helm" / "values.yaml").read_text())

# The names that chart 1.13 has for each section that is set here; the chart refuses others in most of them.
POD = {"podSecurityContext", "securityContext", "resources", "envConfigMaps", "image"}
CHART: dict[str, set[str]] = {
    "global": {"serviceAccountName", "postgresqlSecretName", "dagsterHome", "celeryConfigSecretName"},
    "serviceAccount": {"create", "name", "annotations"},
    "dagsterWebserver": {"replicaCount", "service", *POD},
    "dagsterWebserver.service": {"type", "port", "annotations"},
    "dagsterWebserver.image": {"repository", "tag", "pullPolicy"},
    "dagsterDaemon": {
        "enabled", "runCoordinator", "runMonitoring", "runRetries", "sensors", "schedules", *POD
    },
    "dagsterDaemon.sensors": {"useThreads", "numWorkers", "numSubmitWorkers"},
    "dagsterDaemon.schedules": {"useThreads", "numWorkers", "numSubmitWorkers"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "dagster-user-deployments.deployments.0": {
        "name", "dagsterApiGrpcArgs", "port", "volumes", "volumeMounts", "sidecarContainers", *POD
    },
    "runLauncher": {"type", "config"},
    "runLauncher.config": {"k8sRunLauncher", "celeryK8sRunLauncher", "customRunLauncher"},
    "runLauncher.config.customRunLauncher": {"module", "class", "config"},
    "postgresql": {
        "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlDatabase", "postgresqlScheme",
        "postgresqlParams", "image", "service",
    },
    "computeLogManager": {"type", "config"},
    "computeLogManager.config.gcsComputeLogManager": {
        "bucket", "localDir", "prefix", "jsonCredentialsEnvvar", "uploadInterval", "showUrlOnly"
    },
    "retention": {"enabled", "schedule", "sensor", "autoMaterialize"},
    "telemetry": {"enabled"},
    "migrate": {"enabled"},
}  # fmt: skip
PLAIN = {"generatePostgresqlPasswordSecret", "additionalInstanceConfig"}


@pytest.mark.parametrize("section", CHART)
def test_the_chart_knows_each_name(section: str) -> None:
    place: Any = VALUES
    for key in section.split("."):
        place = place[int(key) if key.isdigit() else key]
    assert set(place) <= CHART[section]


def test_no_section_is_unknown() -> None:
    assert set(VALUES) == {section for section in CHART if "." not in section} | PLAIN


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def instance() -> dict[str, Any]:
    """The parts of the dagster.yaml that the chart writes from these values."""
    daemon, logs = VALUES["dagsterDaemon"], VALUES["computeLogManager"]
    return {
        "run_monitoring": daemon["runMonitoring"],
        "run_retries": daemon["runRetries"],
        **{part: {snake(k): v for k, v in daemon[part].items()} for part in ("sensors", "schedules")},
        "retention": {
            part: {snake(k): v for k, v in VALUES["retention"][part].items()}
            for part in ("sensor", "schedule")
        },
        "telemetry": VALUES["telemetry"],
        "run_launcher": VALUES["runLauncher"]["config"]["customRunLauncher"],
        "compute_logs": {
            "module": "dagster_gcp.gcs.compute_log_manager",
            "class": logs["type"],
            "config": {snake(k): v for k, v in logs["config"]["gcsComputeLogManager"].items()},
        },
        **VALUES["additionalInstanceConfig"],
    }


def test_dagster_takes_the_instance(tmp_path: Path) -> None:
    assert problems(write(instance(), tmp_path)) == []


def test_it_is_the_instance_of_the_machine() -> None:
    here = instance()
    assert here["run_launcher"].pop("config") == {}
    here["compute_logs"]["config"]["bucket"] = CONFIG["compute_logs"]["config"]["bucket"]
    assert here == {name: CONFIG[name] for name in here}
    assert (
        VALUES["postgresql"]["postgresqlScheme"] == CONFIG["run_storage"]["config"]["postgres_db"]["scheme"]
    )
