"""terraform/: format, every name, type and reference, the plans of its variants, and policy."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.lake import expiry
from streaming_assets.lake.names import LOCATIONS, RAW, SONGS, ObjectName, placeholder
from streaming_assets.settings import ENV_PREFIX, PROJECT_ROOT, Settings, declared, env_name, load_settings
from streaming_assets.warehouses.bigquery_views import readers_dataset
from streaming_assets.warehouses.bigquery_warehouse import external_dataset
from streaming_assets_tests.deploy import stand_in_provider
from streaming_assets_tests.deploy.provider_schema import Schema

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("deploy")]
TERRAFORM = PROJECT_ROOT / "terraform"
SEPARATE = {"separate_ingestion": "true"}
GIVEN = {"project_id": "my-project", "first_hour": "2025-01-01T00:00Z"}


class Workspace:
    """A copy of terraform/ with a local state, and a stand-in for the Google provider."""

    def __init__(self, terraform: str, schema: Schema, home: Path) -> None:
        self._terraform = terraform
        self._schema = schema
        self.folder = home / "terraform"
        self._socket = home / "provider.sock"
        shutil.copytree(
            TERRAFORM, self.folder, ignore=shutil.ignore_patterns(".terraform*", "terraform.tfvars")
        )
        (self.folder / "state_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        assert self.run("init", "-input=false").returncode == 0

    def run(self, *arguments: str, readable: bool = False) -> subprocess.CompletedProcess[str]:
        with stand_in_provider.running(self._schema, self._socket, readable) as reattach:
            return subprocess.run(
                [self._terraform, f"-chdir={self.folder}", *arguments],
                env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "TF_REATTACH_PROVIDERS": reattach},
                capture_output=True,
                text=True,
                timeout=120,
            )

    def plan(self, variables: dict[str, str], readable: bool = False) -> subprocess.CompletedProcess[str]:
        given = [f"-var={name}={value}" for name, value in {**GIVEN, **variables}.items()]
        return self.run("plan", "-input=false", "-no-color", "-out=plan", *given, readable=readable)

    def planned(self, variables: dict[str, str] | None = None) -> "Plan":
        done = self.plan(variables or {}, readable=True)
        assert done.returncode == 0, done.stderr
        return Plan(json.loads(self.run("show", "-json", "plan").stdout))


class Plan:
    """A plan's resources and outputs."""

    def __init__(self, plan: dict[str, Any]) -> None:
        values = plan["planned_values"]
        self.resources: list[dict[str, Any]] = values["root_module"]["resources"]
        self.outputs = {name: output.get("value") for name, output in values["outputs"].items()}

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Values of the resources of a kind, by address."""
        return {r["address"]: r["values"] for r in self.resources if r["type"] == kind}

    def env(self, machine: str = "dagster") -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.outputs["env"][machine].splitlines())


@pytest.fixture(scope="module")
def workspace(terraform: str, google_schema: Schema, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(terraform, google_schema, tmp_path_factory.mktemp("terraform"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], Settings]:
    """Settings that a machine's .env gives."""

    def read(env: dict[str, str]) -> Settings:
        for name in list(os.environ):
            if name.startswith(ENV_PREFIX):
                monkeypatch.delenv(name)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "secret").write_text("s3cret")
        mended = {n: str(tmp_path / "secret") if n.endswith("_PASSWORD_FILE") else v for n, v in env.items()}
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in mended.items()))
        return load_settings()

    return read


def test_formatted(terraform: str) -> None:
    env = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [terraform, "fmt", "-check", "-recursive", TERRAFORM], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"terraform fmt would change:\n{done.stdout}"


def test_valid(workspace: Workspace) -> None:
    done = workspace.run("validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "mistake", "message"),
    [
        ("lake.tf", ("force_destroy ", "force_destroi "), "force_destroi"),
        ("lake.tf", ("versioning {", "versions {"), "versions"),
        ("lake.tf", ("location  ", "# location "), '"location" is required'),
        (
            "postgres.tf",
            ("disk_size                   = 10", 'disk_size                   = "ten"'),
            "number",
        ),
        ("network.tf", ("google_compute_network.this.id", "google_compute_network.this.uri"), "uri"),
        ("identities.tf", ("google_service_account.this", "google_service_account.that"), "that"),
    ],
)
def test_seeded_mistake_is_found(
    workspace: Workspace, file: str, mistake: tuple[str, str], message: str
) -> None:
    path = workspace.folder / file
    sound = path.read_text()
    assert mistake[0] in sound
    path.write_text(sound.replace(*mistake, 1))
    try:
        done = workspace.run("validate", "-no-color")
    finally:
        path.write_text(sound)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"kafka": "managed", "postgres": "vm"},
        {"separate_ingestion": "true", "raw_keep_days": "90",
         "operators": '["user:ann@example.com"]', "readers": '["group:b@example.com"]',
         "billing_account": "012345-6789AB-CDEF01", "alert_email": "ann@example.com"},
    ],
    ids=["default", "managed-kafka", "everything"],
)  # fmt: skip
def test_plans_from_an_empty_project(workspace: Workspace, variables: dict[str, str]) -> None:
    """Google's own values are unknown here, so nothing may depend on one before it is made."""
    done = workspace.plan(variables)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("project_id", "My Project"),
        ("region", "US"),
        ("zone", "europe-west1-b"),
        ("first_hour", "2025-01-01T00:30Z"),
        ("first_hour", "2025-13-01T00:00Z"),
        ("machine_type", "big"),
        ("kafka", "cloud"),
        ("postgres", "sqlite"),
        ("postgres_password", "short"),
        ("operators", '["ann@example.com"]'),
        ("billing_account", "1234"),
        ("raw_keep_days", "1"),
        ("data_disk_gb", "10"),
    ],
)
def test_impossible_variable_is_refused(workspace: Workspace, variable: str, value: str) -> None:
    done = workspace.plan({variable: value})
    assert done.returncode == 1
    assert f"{variable} m" in " ".join(done.stderr.replace("│", " ").split()), done.stderr


def test_no_address_and_no_door(workspace: Workspace) -> None:
    plan = workspace.planned(SEPARATE)
    for machine in plan.of("google_compute_instance").values():
        (interface,) = machine["network_interface"]
        assert not interface.get("access_config")
    for firewall in plan.of("google_compute_firewall").values():
        assert firewall["source_ranges"] in ([], ["35.235.240.0/20"]) or firewall["source_tags"]
    (database,) = plan.of("google_sql_database_instance").values()
    assert database["settings"][0]["ip_configuration"][0]["ipv4_enabled"] is False
    for bucket in plan.of("google_storage_bucket").values():
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True


def test_the_life_cycle_takes_event_objects_alone(workspace: Workspace) -> None:
    plan = workspace.planned({"raw_keep_days": "90"})
    (lake,) = [b for b in plan.of("google_storage_bucket").values() if not b["name"].endswith("-run-logs")]
    (rule,) = [r["condition"][0] for r in lake["lifecycle_rule"] if r["condition"][0].get("age") == 90]
    hour = datetime(2025, 3, 1, tzinfo=UTC)
    taken = tuple(rule["matches_suffix"])
    assert str(ObjectName("listen_events", hour, 3, 123)).endswith(taken)
    for kept in (placeholder("listen_events"), SONGS, LOCATIONS):
        assert not kept.endswith(taken), kept


def test_password_reaches_no_state(workspace: Workspace) -> None:
    password = "correct-horse-battery-staple"
    done = workspace.plan({"postgres_password": password}, readable=True)
    assert done.returncode == 0, done.stderr
    assert password not in workspace.run("show", "-json", "plan").stdout


def test_rights_stay_apart(workspace: Workspace) -> None:
    """With a machine of its own, the sink's account may write event objects and pull its images, no more."""
    plan = workspace.planned(SEPARATE)
    dump = json.dumps(plan.resources)
    for broad in ("roles/owner", "roles/editor", "roles/storage.admin", "roles/bigquery.admin"):
        assert broad not in dump
    machines = plan.of("google_compute_instance")
    assert len(machines) == 2
    (sink,) = plan.of("google_storage_bucket_iam_member").keys() & {
        "google_storage_bucket_iam_member.sink_writes"
    }
    assert "/objects/raw/" in plan.of("google_storage_bucket_iam_member")[sink]["condition"][0]["expression"]
    project_roles = plan.of("google_project_iam_member")
    sink_roles = {values["role"] for address, values in project_roles.items() if '["sink' in address}
    assert sink_roles == {"roles/logging.logWriter", "roles/monitoring.metricWriter"}


def test_readers_see_the_views_alone(workspace: Workspace) -> None:
    """The views' dataset is authorised for the models', where no reader has a right, and no IAM member undoes that."""
    plan = workspace.planned({"readers": '["group:b@example.com"]'})
    models = plan.env()[env_name("bigquery_dataset")]
    given = {
        (values["dataset_id"], values["role"], values["member"])
        for values in plan.of("google_bigquery_dataset_iam_member").values()
    }
    assert (readers_dataset(models), "roles/bigquery.dataViewer", "group:b@example.com") in given
    assert {dataset for dataset, *_ in given} == {readers_dataset(models), external_dataset(models)}
    access = plan.of("google_bigquery_dataset_access")
    assert {values["dataset_id"] for values in access.values()} == {models}
    assert access["google_bigquery_dataset_access.dagster"]["role"] == "WRITER"
    (views,) = access["google_bigquery_dataset_access.views"]["dataset"]
    assert views["target_types"] == ["VIEWS"]
    assert [of["dataset_id"] for of in views["dataset"]] == [readers_dataset(models)]


def test_dagster_may_write_the_placeholder_of_a_topic(workspace: Workspace) -> None:
    bindings = workspace.planned().of("google_storage_bucket_iam_member")
    condition = bindings["google_storage_bucket_iam_member.dagster_writes"]["condition"][0]["expression"]
    (ending,) = re.findall(r'endsWith\("([^"]+)"\)', condition)
    assert placeholder("listen_events").endswith(ending)


def test_dagster_may_write_events_anew_where_that_is_asked_for(workspace: Workspace) -> None:
    name = "google_storage_bucket_iam_member.dagster_rewrites[0]"
    assert name not in workspace.planned().of("google_storage_bucket_iam_member")
    right = workspace.planned({"rewrite_events": "true"}).of("google_storage_bucket_iam_member")[name]
    folders = re.findall(r'/objects/(\w+/)"\)', right["condition"][0]["expression"])
    assert folders == [f"{RAW}/", expiry.FOLDER]


def test_notifications_go_to_the_subscription_of_the_settings(workspace: Workspace) -> None:
    assert not workspace.planned().of("google_pubsub_topic")
    plan = workspace.planned({"notifications": "true"})
    (notification,) = plan.of("google_storage_notification").values()
    assert notification["object_name_prefix"] == "raw/"
    assert set(notification["event_types"]) == {"OBJECT_FINALIZE", "OBJECT_DELETE"}
    (right,) = plan.of("google_pubsub_subscription_iam_member").values()
    assert right["role"] == "roles/pubsub.subscriber"
    assert env_name("pubsub_subscription") in plan.env()
    assert env_name("pubsub_subscription") not in workspace.planned().env()


@pytest.mark.parametrize("variables", [{}, {"kafka": "managed"}, {"postgres": "vm"}, SEPARATE], ids=str)
def test_env_is_what_the_settings_read(
    workspace: Workspace, load: Callable[[dict[str, str]], Settings], variables: dict[str, str]
) -> None:
    plan = workspace.planned(variables)
    known = {env_name(name) for name in declared()}
    for machine in plan.outputs["env"]:
        env = plan.env(machine)
        ours = {name: value for name, value in env.items() if name.startswith(ENV_PREFIX)}
        assert set(ours) <= known
        settings = load(ours)
        assert settings.target == "gcp"
        assert (
            settings.lake.url
            == "gs://" + plan.of("google_storage_bucket")['google_storage_bucket.this["lake"]']["name"]
        )
        assert settings.bigquery.location == "us-central1"
        assert settings.kafka.bootstrap_servers
        if variables.get("kafka") == "managed":
            assert settings.kafka.sasl_password.get_secret_value() == "s3cret"


def test_env_serves_the_compose_file(workspace: Workspace) -> None:
    """Each variable that deploy/compose.yaml can't do without is given, and each given one is used."""
    compose = (PROJECT_ROOT / "deploy" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{([A-Z_]+)(?=[:}])", compose))
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", compose)) - {"IMAGE_TAG"}
    names = set(workspace.planned().env())
    assert needed <= names
    unread = {name for name in names if not name.startswith(ENV_PREFIX)} - asked - {"COMPOSE_PROFILES"}
    assert not unread


def test_policy(linters: Path, tmp_path: Path) -> None:
    """checkov finds nothing but what carries a written reason (`checkov:skip=ID:reason`)."""
    folders = [
        f"--directory={PROJECT_ROOT / folder}" for folder in ("terraform", "deploy", "kafka", ".github")
    ]
    done = subprocess.run(
        [linters / "checkov", "--framework", "terraform", "dockerfile", "github_actions", *folders,
         "--skip-download", "--compact", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=180,
        env=os.environ | {"TMPDIR": str(tmp_path)},  # its parser leaves a file there
    )  # fmt: skip
    reports = list(documents(done.stdout))
    checked = {report["check_type"] for report in reports if report["summary"]["passed"] > 50}
    assert checked == {"terraform", "dockerfile", "github_actions"}
    for results in (report["results"] for report in reports):
        failed = [f"{c['check_id']} {c['resource']}: {c['check_name']}" for c in results["failed_checks"]]
        assert not failed, "\n".join(failed)
        for skipped in results["skipped_checks"]:
            assert len(skipped["check_result"]["suppress_comment"]) > 20, skipped["check_id"]


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The reports of checkov's output: for each folder a report, or a list of them."""
    while text := text.strip():
        found, end = json.JSONDecoder().raw_decode(text)
        yield from (
            report for report in (found if isinstance(found, list) else [found]) if "results" in report
        )
        text = text[end:]
