"""release.sh, build.sh and teardown.sh with stand-ins for what they call; what the pages of docs/ name."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.tools import need

ENV = {
    "dagster": "COMPOSE_PROFILES=dagster\nIMAGE_REPOSITORY=r\n",
    "ingestion": "COMPOSE_PROFILES=ingestion,brokers\nIMAGE_REPOSITORY=r\n",
}
MACHINES = {name: {"name": f"streaming-assets-{name}", "zone": "us-central1-a"} for name in ENV}
TERRAFORM = f"""\
case "$*" in
    *"output -json env") echo '{json.dumps(ENV)}' ;;
    *"output -json machines") echo '{json.dumps(MACHINES)}' ;;
    *"output -raw image_repository") echo us-central1-docker.pkg.dev/my-project/streaming-assets ;;
    console) cat >/dev/null; echo '"my-project"' ;;
esac
"""


@dataclass
class Office:
    """A checkout with stand-ins first on the PATH; `calls` are their command lines in order."""

    root: Path
    bin: Path

    def stand_in(self, program: str, body: str = "") -> None:
        path = self.bin / program
        path.write_text(f'#!/bin/bash\necho "{program} $*" >>"{self.root}/calls"\n{body}\n')
        path.chmod(0o755)

    def run(
        self, script: str, *arguments: str, typed: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / script, *arguments],
            input=typed,
            env={**os.environ, **env, "PATH": f"{self.bin}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def office(tmp_path: Path) -> Office:
    root = tmp_path / "checkout"
    for folder in ("deploy", "kafka"):
        shutil.copytree(PROJECT_ROOT / folder, root / folder)
    (root / "terraform").mkdir()
    shutil.copy(PROJECT_ROOT / "terraform" / "teardown.sh", root / "terraform")
    (root / "terraform" / "backend.hcl").write_text('bucket = "my-project-terraform"\nprefix = "x"\n')
    made = Office(root, tmp_path / "bin")
    made.bin.mkdir()
    made.stand_in("terraform", TERRAFORM)
    made.stand_in("docker")
    return made


def test_a_release_brings_files_settings_and_tag_to_each_machine(office: Office, tmp_path: Path) -> None:
    need("jq")
    # The first call for a machine unpacks what it is sent, the second holds the commands.
    office.stand_in(
        "gcloud", f'mkdir -p "{tmp_path}/$3"; [[ -t 0 ]] || tar -xz -C "{tmp_path}/$3" 2>/dev/null || true'
    )
    done = office.run("deploy/release.sh", "abc1234")
    assert done.returncode == 0, done.stderr
    for machine, env in ENV.items():
        received = tmp_path / f"streaming-assets-{machine}"
        assert (received / "env").read_text() == f"{env}IMAGE_TAG=abc1234\n"
        assert (received / "kafka" / "compose.yaml").exists()
        assert (received / "deploy" / "compose.yaml").exists()
    asked = [call for call in office.calls if call.startswith("gcloud compute ssh")]
    assert all("--tunnel-through-iap" in call for call in asked)
    # Brokers first: the other machine's parts need them.
    assert [call.split()[3] for call in asked] == [
        f"streaming-assets-{m}" for m in ("ingestion",) * 2 + ("dagster",) * 2
    ]


def test_a_release_drains_before_it_replaces_and_asks_afterwards() -> None:
    text = (PROJECT_ROOT / "deploy" / "release.sh").read_text()
    steps = [
        "compose pull",
        "compose stop daemon",
        "drain.py",
        "compose up",
        "loaded.py",
        "/opt/streaming-assets/releases",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


DRAINED, LOADED = "No run is in progress", "The graph is loaded"


@pytest.mark.parametrize(
    ("drained", "loaded", "ends_with", "starts_again", "is_noted"),
    [
        (DRAINED, LOADED, 0, False, True),
        ("2 runs are still in progress", LOADED, 1, True, False),
        (DRAINED, "streaming_assets: no such table", 1, False, False),
    ],
    ids=["sound", "runs-stay", "graph-broken"],
)
def test_a_release_believes_what_is_said_and_leaves_the_daemon_running(
    office: Office, drained: str, loaded: str, ends_with: int, starts_again: bool, is_noted: bool
) -> None:
    """On a machine that is up; Compose ends each `exec` with 0 here."""
    need("jq")
    machine = office.root / "machine"
    (machine / "deploy").mkdir(parents=True)
    office.stand_in(
        "gcloud",
        '[[ "${@: -1}" == *"compose pull"* ]] && exec bash -c "${@: -1}"; cat >/dev/null; exit 0',
    )
    text = (office.root / "deploy" / "release.sh").read_text()
    (office.root / "deploy" / "release.sh").write_text(text.replace("/opt/streaming-assets", str(machine)))
    office.stand_in("sudo", 'exec "$@"')
    office.stand_in(
        "docker",
        f"""case "$*" in
            *" ps "*) echo code; echo webserver ;;
            *drain.py*) echo "{drained}" ;;
            *loaded.py*) echo "{loaded}" ;;
        esac""",
    )
    done = office.run("deploy/release.sh", "abc1234")
    assert done.returncode == ends_with, done.stderr
    asked = [call.removeprefix("docker compose ") for call in office.calls if call.startswith("docker ")]
    assert "stop daemon" in asked
    assert ("start daemon" in asked) == starts_again
    assert any(call.startswith("up ") for call in asked) == (drained == DRAINED)
    assert (machine / "releases").exists() == is_noted
    assert drained in done.stderr


def test_what_a_release_waits_for_is_what_the_image_says() -> None:
    for script, words in (("drain.py", DRAINED), ("loaded.py", LOADED)):
        assert f'print("{words}")' in (PROJECT_ROOT / "deploy" / "image" / script).read_text()


def test_a_failed_machine_ends_the_release(office: Office) -> None:
    need("jq")
    office.stand_in("gcloud", "cat >/dev/null; exit 1")
    done = office.run("deploy/release.sh", "abc1234")
    assert done.returncode != 0
    assert not [call for call in office.calls if "streaming-assets-dagster" in call]


@pytest.mark.parametrize("script", ["deploy/release.sh", "deploy/build.sh"])
def test_a_tag_must_be_named(office: Office, script: str) -> None:
    done = office.run(script)
    assert done.returncode != 0
    assert "tag" in done.stderr


def test_a_build_pushes_both_images_under_the_tag(office: Office) -> None:
    done = office.run("deploy/build.sh", "abc1234", SINK_SHA256="00ff")
    assert done.returncode == 0, done.stderr
    repository = "us-central1-docker.pkg.dev/my-project/streaming-assets"
    pushed = [call.split()[2] for call in office.calls if call.startswith("docker push")]
    assert sorted(pushed) == [f"{repository}/connect:abc1234", f"{repository}/streaming-assets:abc1234"]


def test_connect_is_not_built_without_the_sinks_checksum(office: Office) -> None:
    assert office.run("deploy/build.sh", "abc1234", SINK_SHA256="").returncode != 0
    assert not [call for call in office.calls if call.startswith("docker push")]


def test_teardown_wants_the_projects_id(office: Office) -> None:
    done = office.run("terraform/teardown.sh", typed="another\n")
    assert done.returncode == 1
    assert "Nothing was touched" in done.stderr
    assert office.calls == ["terraform console"]


def test_teardown_takes_the_protection_off_and_destroys(office: Office) -> None:
    done = office.run("terraform/teardown.sh", typed="my-project\n")
    assert done.returncode == 0, done.stderr
    verbs = [call.split()[1] for call in office.calls]
    assert verbs == ["console", "apply", "destroy"]
    assert all("protect_data=false" in call for call in office.calls[1:])
    assert "gs://my-project-terraform" in done.stdout


@pytest.mark.parametrize(
    ("part", "started", "asked"),
    [
        ("code", "dagster api grpc --host", "python /opt/image/lists_repositories.py"),
        ("webserver", "streaming-assets webserver --host", "python -c"),
        ("viewer", "streaming-assets webserver --read-only", "python -c"),
        ("daemon", "dagster-daemon run", "dagster-daemon liveness-check"),
        ("dashboards", "streaming-assets dashboards", "python -c"),
    ],
)
def test_a_part_and_its_health_check_are_started_with_the_password(
    office: Office, part: str, started: str, asked: str
) -> None:
    """As Docker does: both by the image's own ENTRYPOINT and HEALTHCHECK, and neither with the other's variables."""
    (office.root / "postgres_password").write_text("s3cret\n")
    for program in ("dagster", "dagster-daemon", "streaming-assets", "python"):
        office.stand_in(program, f'echo "$DAGSTER_POSTGRES_PASSWORD" >>"{office.root}/passwords"')
    env = {"DAGSTER_HOME": "/h", "PART_FILE": str(office.root / "part"), "SECRETS_FOLDER": str(office.root)}
    dockerfile = (PROJECT_ROOT / "deploy" / "Dockerfile").read_text()
    for instruction, arguments in (("ENTRYPOINT", [part]), ("HEALTHCHECK.* CMD", [])):
        match = re.search(rf"^{instruction} (\[.*\])$", dockerfile, re.M)
        assert match
        program, *rest = (
            word.replace("/opt/image/", f"{office.root}/deploy/image/") for word in json.loads(match[1])
        )
        done = office.run(program.removeprefix(f"{office.root}/"), *rest, *arguments, **env)
        assert done.returncode == 0, done.stderr
    assert [call[: len(expected)] for call, expected in zip(office.calls, (started, asked), strict=True)] == [
        started,
        asked,
    ]
    assert (office.root / "passwords").read_text() == "s3cret\ns3cret\n"


def test_what_is_run_in_a_container_that_is_up_gets_the_password_too() -> None:
    """`docker compose exec` goes past the entrypoint."""
    text = (PROJECT_ROOT / "deploy" / "release.sh").read_text() + (
        PROJECT_ROOT / "docs" / "deploy-gcp.md"
    ).read_text()
    commands = re.findall(r"compose exec (?:-T )?code (\S+)", text)
    assert set(commands) == {"/opt/image/with-secrets.sh"}


@pytest.mark.parametrize("page", ["deploy-gcp.md", "cost.md"])
def test_what_the_page_names_exists(page: str) -> None:
    text = (PROJECT_ROOT / "docs" / page).read_text()
    paths = set(
        re.findall(r"\b((?:deploy|terraform|benchmarks|kafka|streaming_assets_tests)/[\w./-]*\w)", text)
    )
    made_by_hand = {"terraform/backend.hcl", "terraform/terraform.tfvars", "terraform/.terraform.lock.hcl"}
    assert not {path for path in paths - made_by_hand if not (PROJECT_ROOT / path).exists()}
    variables = (PROJECT_ROOT / "terraform" / "variables.tf").read_text()
    named = set(re.findall(r"`(\w+)(?: = [^`]+)`", text)) | set(re.findall(r"TF_VAR_(\w+)", text))
    named |= set(re.findall(r"`(first_hour|raw_keep_days|sensor_interval_seconds|\w+_version)`", text))
    assert named
    assert not {name for name in named if f'variable "{name}"' not in variables}
    compose = (PROJECT_ROOT / "deploy" / "compose.yaml").read_text()
    for service in re.findall(r"service `(\w+)`", text):
        assert f"\n  {service}:" in compose
