"""deploy/Dockerfile and deploy/compose.yaml: what a review looks for, and the tools' own opinions."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.tools import need

DEPLOY = PROJECT_ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROFILES = "ingestion,brokers,dagster,postgres"
ONCE = {"migrate", "topics", "worker", "connectors"}  # run to their end at each start
INGESTION = {"topics", "worker", "connect", "connectors", "simulator"}
MACHINE_MIB = 16 * 1024  # e2-standard-4
ENV = """\
IMAGE_REPOSITORY=us-central1-docker.pkg.dev/my-project/streaming-assets
IMAGE_TAG=abc1234
DAGSTER_POSTGRES_HOST=postgres
DAGSTER_LOG_BUCKET=my-project-run-logs
KAFKA_ADVERTISED_HOST=localhost
STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092,kafka-3:9092
"""


def compose_config(folder: Path, profiles: str) -> subprocess.CompletedProcess[str]:
    """What Docker Compose makes of the file, in a copy of the layout that release.sh unpacks."""
    program = need("docker-compose")
    shutil.copytree(PROJECT_ROOT / "kafka", folder / "kafka", dirs_exist_ok=True)
    (folder / "deploy").mkdir(exist_ok=True)
    shutil.copy(DEPLOY / "compose.yaml", folder / "deploy")
    (folder / "deploy" / ".env").write_text(ENV + f"COMPOSE_PROFILES={profiles}\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        [program, "config"], cwd=folder / "deploy", env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    done = compose_config(tmp_path_factory.mktemp("compose"), PROFILES)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def test_image_is_pinned_and_small() -> None:
    froms = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert froms == ["${BASE_IMAGE}", "${BASE_IMAGE}"]  # what builds is not in what runs
    assert re.search(r"^ARG BASE_IMAGE=python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.M)
    assert "latest" not in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_image_runs_as_nobody_in_particular() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.findall(r"^USER (.+)$", final, re.M) == ["10001:10001"]
    assert "HEALTHCHECK" in final
    assert "ADD " not in final


def test_image_copies_exist_and_pass_the_ignore_file() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (PROJECT_ROOT / source).exists() or source == "README.md", source
            assert f"!{source}" in ignored, source


def test_image_takes_the_versions_of_the_project() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    assert re.findall(r"UV_VERSION := (\S+)", makefile) == re.findall(r"ARG UV_VERSION=(\S+)", DOCKERFILE)


def test_scripts_are_sound() -> None:
    for script in [
        *DEPLOY.glob("*.sh"),
        *(DEPLOY / "image").glob("*.sh"),
        PROJECT_ROOT / "terraform" / "teardown.sh",
    ]:
        assert os.access(script, os.X_OK), script
        shell = script.read_text().splitlines()[0].removeprefix("#!/bin/")
        done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_each_part_of_the_compose_file_can_be_started_and_asked(services: dict[str, dict[str, Any]]) -> None:
    entrypoint = (DEPLOY / "image" / "entrypoint.sh").read_text()
    healthcheck = (DEPLOY / "image" / "healthcheck.sh").read_text()
    for part in ("code", "webserver", "daemon", "dashboards"):
        assert services[part]["command"] == [part]
        assert f"    {part}) exec" in entrypoint
        assert f"    {part}) " in healthcheck


def test_each_service_is_pinned_bounded_and_recovers(services: dict[str, dict[str, Any]]) -> None:
    ours = "us-central1-docker.pkg.dev/my-project/streaming-assets/"
    for name, service in services.items():
        assert service["image"] in (
            f"{ours}streaming-assets:abc1234",
            f"{ours}connect:abc1234",
        ) or re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?[\w.-]*", service["image"]), name
        assert int(service["mem_limit"]) >= 256 * 2**20, name
        assert service["logging"] == {"driver": "local", "options": {"max-size": "20m", "max-file": "5"}}, (
            name
        )
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service, name
        if not service["image"].startswith(f"{ours}streaming-assets"):  # that one brings its own check
            assert service["healthcheck"]["test"], name
        else:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name


def test_one_machine_holds_them_all(services: dict[str, dict[str, Any]]) -> None:
    limits = {
        name: int(service["mem_limit"]) / 2**20 for name, service in services.items() if name not in ONCE
    }
    assert sum(limits.values()) <= MACHINE_MIB - 512, limits


def test_what_runs_once_is_waited_for(services: dict[str, dict[str, Any]]) -> None:
    """`up --wait` takes a finished container for a failed one unless something that stays depends on its end."""
    awaited = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully" and service["restart"] != "no"
    }
    assert awaited == ONCE


def test_ports_are_reached_through_the_tunnel_only(services: dict[str, dict[str, Any]]) -> None:
    published = {port["published"]: port["host_ip"] for s in services.values() for port in s.get("ports", [])}
    assert published == dict.fromkeys(["3000", "8050", "8083", "19092", "19093", "19094"], "127.0.0.1")


def test_who_need_not_speak_to_each_other_can_not(services: dict[str, dict[str, Any]]) -> None:
    members: dict[str, set[str]] = {}
    for name, service in services.items():
        for network in service.get("networks", ()):
            members.setdefault(network, set()).add(name)
    brokers = {"kafka-1", "kafka-2", "kafka-3"}
    assert members == {
        "dagster": {"migrate", "code", "webserver", "daemon"},
        "database": {"migrate", "code", "webserver", "daemon", "postgres"},
        "pages": {"dashboards"},
        "kafka": {"code", "topics", "connect", "simulator", *brokers},
        "connect": {"connect", "connectors", "code"},  # the code server's checks ask it how the sink is
    }
    assert services["worker"]["network_mode"] == "none"


def test_secrets_are_files(services: dict[str, dict[str, Any]]) -> None:
    readers = {
        name: sorted(secret["source"] for secret in service.get("secrets", []))
        for name, service in services.items()
    }
    assert [name for name, secrets in readers.items() if "postgres_password" in secrets] == [
        "code", "daemon", "migrate", "postgres", "webserver"
    ]  # fmt: skip
    for service in services.values():
        names = {name for name in service.get("environment", {}) if "PASSWORD" in name}
        assert names <= {"POSTGRES_PASSWORD_FILE"}


def test_brokers_are_those_of_the_laptop(services: dict[str, dict[str, Any]]) -> None:
    laptop = yaml.safe_load((PROJECT_ROOT / "kafka" / "compose.yaml").read_text())["services"]
    for broker in ("kafka-1", "kafka-2", "kafka-3"):
        here, there = services[broker]["environment"], laptop[broker]["environment"]
        differs = {name for name in here.keys() | there.keys() if here.get(name) != str(there.get(name))}
        assert differs == {"KAFKA_ADVERTISED_LISTENERS"}
    worker = laptop["connect-three"]["environment"]
    assert services["connect"]["environment"].items() >= {k: str(v) for k, v in worker.items()}.items()


@pytest.mark.parametrize(
    ("profiles", "running"),
    [
        ("ingestion,brokers", {"kafka-1", "kafka-2", "kafka-3", *INGESTION}),
        ("ingestion", INGESTION),
        ("dagster", {"migrate", "code", "webserver", "daemon", "dashboards"}),
        ("dagster,postgres", {"migrate", "code", "webserver", "daemon", "dashboards", "postgres"}),
        ("dagster,viewers", {"migrate", "code", "webserver", "daemon", "dashboards", "viewer"}),
    ],
)
def test_each_half_stands_alone(tmp_path: Path, profiles: str, running: set[str]) -> None:
    done = compose_config(tmp_path, profiles)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == running


@pytest.mark.integration
@pytest.mark.xdist_group("deploy")
def test_hadolint_has_no_complaint(linters: Path) -> None:
    done = subprocess.run(
        [linters / "hadolint", "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.integration
@pytest.mark.xdist_group("deploy")
@pytest.mark.parametrize(
    ("schema", "pattern"),
    [("vendor.compose-spec", "deploy/compose.yaml"), ("vendor.github-workflows", ".github/workflows/*.yml")],
)
def test_schema(linters: Path, tmp_path: Path, schema: str, pattern: str) -> None:
    files = sorted(PROJECT_ROOT.glob(pattern))
    assert files
    for file in files:
        plain = tmp_path / file.name
        plain.write_text(
            file.read_text().replace("!override ", "")
        )  # Compose's own tag; the schema knows none
        done = subprocess.run(
            [linters / "check-jsonschema", "--builtin-schema", schema, plain], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
