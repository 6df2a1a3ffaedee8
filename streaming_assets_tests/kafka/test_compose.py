"""kafka/compose.yaml: what a review would look for, and Docker Compose's own opinion."""

import re
import subprocess

import pytest
import yaml

from streaming_assets.ingestion.connect import worker_heap_mib
from streaming_assets.ingestion.kafka_files import KAFKA_DIR, read_yaml
from streaming_assets_tests.tools import need

COMPOSE_FILE = KAFKA_DIR / "compose.yaml"
COMPOSE = read_yaml("compose.yaml")
SERVICES = COMPOSE["services"]
BROKERS = {name: service for name, service in SERVICES.items() if name.startswith("kafka")}
WORKERS = {name: service for name, service in SERVICES.items() if name.startswith("connect")}
MIB = {"m": 1, "g": 1024}


def mib(text: str) -> int:
    return int(text[:-1]) * MIB[text[-1]]


def heap_mib(service: dict) -> int:
    match = re.search(r"-Xmx(\d+)m", service["environment"]["KAFKA_HEAP_OPTS"])
    assert match
    return int(match[1])


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_pinned_watched_bounded_and_kept_to_this_machine(name: str) -> None:
    service = SERVICES[name]

    # A variable to pin it by digest with, and a version that is no moving tag.
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w./-]+:\d+\.\d+\.\d+\}", service["image"])
    assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys()
    assert mib(service["mem_limit"]) >= 256
    assert service["restart"] == "unless-stopped"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", BROKERS)
def test_brokers_keep_their_data_in_a_volume_of_their_own(name: str) -> None:
    (volume,) = BROKERS[name]["volumes"]
    source, target = volume.split(":")

    assert source in COMPOSE["volumes"]
    assert target == BROKERS[name]["environment"]["KAFKA_LOG_DIRS"]
    assert len({str(broker["volumes"]) for broker in BROKERS.values()}) == len(BROKERS)


@pytest.mark.parametrize("profile", ["one", "three"])
def test_a_profile_has_brokers_that_know_each_other_and_copies_for_each(profile: str) -> None:
    brokers = {name: broker for name, broker in BROKERS.items() if broker["profiles"] == [profile]}
    (worker,) = [worker for worker in WORKERS.values() if worker["profiles"] == [profile]]
    voters = ",".join(
        f"{broker['environment']['KAFKA_NODE_ID']}@{name}:9093" for name, broker in brokers.items()
    )
    environment = {"one": "docker", "three": "docker3"}[profile]
    shape = read_yaml("topics.yaml")["environments"][environment]

    for broker in brokers.values():
        assert broker["environment"]["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert broker["environment"]["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == len(brokers)
    assert worker["environment"]["CONNECT_BOOTSTRAP_SERVERS"] == ",".join(f"{name}:9092" for name in brokers)
    assert worker["environment"]["CONNECT_REPLICATION_FACTOR"] == len(brokers)
    assert shape["replicas"] == len(brokers)
    assert worker["depends_on"].keys() == {"gcs", *brokers}


@pytest.mark.parametrize("name", WORKERS)
def test_the_workers_heap_follows_the_rule_and_fits_its_container(name: str) -> None:
    properties = (KAFKA_DIR / "connect" / "worker.properties").read_text()
    match = re.search(r"^offset\.flush\.interval\.ms=(\d+)$", properties, re.MULTILINE)
    assert match

    assert heap_mib(WORKERS[name]) == worker_heap_mib(int(match[1]) / 1000)
    assert heap_mib(WORKERS[name]) <= 0.75 * mib(WORKERS[name]["mem_limit"])


def test_the_emulator_is_where_the_connectors_look_for_it() -> None:
    environments = read_yaml("connect/connectors.yaml")["environments"]
    command = SERVICES["gcs"]["command"]
    (volume,) = SERVICES["gcs"]["volumes"]

    for name in ("docker", "docker3"):
        assert f"-external-url {environments[name]['config']['gcs.endpoint']} " in command
    # Not /data: the image loads what it finds there into memory as objects.
    assert volume.rpartition(":")[2] == "/buckets"
    assert "-filesystem-root /buckets " in command


def test_the_image_takes_the_sinks_version_and_checksum() -> None:
    dockerfile = (KAFKA_DIR / "connect" / "Dockerfile").read_text()

    assert re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE) == [
        "KAFKA_IMAGE",
        "SINK_VERSION",
        "SINK_SHA256",
        "SINK_URL",
    ]
    for worker in WORKERS.values():
        assert worker["build"]["args"].keys() <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
        assert f"ARG SINK_VERSION={worker['build']['args']['SINK_VERSION']}\n" in dockerfile
        assert worker["build"]["args"]["KAFKA_IMAGE"] == SERVICES["kafka"]["image"]
    pom = (KAFKA_DIR / "local" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.+)</kafka.version>", pom)
    assert version
    assert f"ARG KAFKA_IMAGE=apache/kafka:{version[1]}\n" in dockerfile


@pytest.mark.parametrize("profile", ["one", "three"])
def test_docker_compose_takes_the_file(profile: str) -> None:
    program = need("docker-compose")
    done = subprocess.run(
        [program, "--file", str(COMPOSE_FILE), "--profile", profile, "config"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert services.keys() == {name for name, service in SERVICES.items() if profile in service["profiles"]}
