"""Connect's settings, rendered."""

import re
from datetime import UTC, datetime
from typing import get_args

import pytest

from streaming_assets.events import TOPICS
from streaming_assets.ingestion import connect
from streaming_assets.ingestion.kafka_files import Environment, KafkaSetupError
from streaming_assets.lake.names import parse_object
from streaming_assets.settings import Settings, load_settings

VALUES = {"bucket": "some-bucket", "prefix": "", "endpoint": "http://emulator"}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREAMING_ASSETS_LAKE_URL", "gs://my-lake/some/folder/")
    return load_settings()


def rendered(environment: Environment, settings: Settings) -> dict[str, dict[str, str]]:
    return connect.connectors(environment, settings, VALUES if environment == "local" else None)


@pytest.mark.parametrize("environment", get_args(Environment))
def test_every_setting_is_filled_in_as_text(settings: Settings, environment: Environment) -> None:
    connectors = rendered(environment, settings)

    assert list(connectors) == [connect.SINK, connect.DEAD_LETTER_SINK]
    for config in connectors.values():
        assert all(isinstance(value, str) for value in config.values())
        assert not [value for value in config.values() if "%{" in value]


@pytest.mark.parametrize("environment", get_args(Environment))
def test_the_connectors_share_all_topics_between_them(settings: Settings, environment: Environment) -> None:
    connectors = rendered(environment, settings)

    assert connectors[connect.SINK]["topics"].split(",") == list(TOPICS)
    assert connectors[connect.DEAD_LETTER_SINK]["topics"] == settings.dead_letter_topic
    assert connectors[connect.SINK]["errors.deadletterqueue.topic.name"] == settings.dead_letter_topic
    # A dead letter that can't be written must not become another dead letter.
    assert not [key for key in connectors[connect.DEAD_LETTER_SINK] if key.startswith("errors.")]


def test_object_names_are_the_lakes(settings: Settings) -> None:
    config = rendered("local", settings)[connect.SINK]
    fields = {
        "topic": "listen_events",
        "timestamp:unit=yyyy": "2025",
        "timestamp:unit=MM": "04",
        "timestamp:unit=dd": "10",
        "timestamp:unit=HH": "14",
        "partition:padding=true": "0000000002",
        "start_offset:padding=true": "00000000000000012345",
    }
    template = config["file.name.prefix"] + config["file.name.template"]

    name = parse_object(re.sub(r"\{\{(.+?)\}\}", lambda field: fields[field[1]], template))

    assert name is not None
    assert (name.topic, name.partition, name.start_offset, name.stream_epoch) == (
        "listen_events",
        2,
        12345,
        None,
    )
    assert name.hour == datetime(2025, 4, 10, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [("gs://lake", "lake", "raw/"), ("gs://lake/", "lake", "raw/"), ("gs://lake/a/b/", "lake", "a/b/raw/")],
)
def test_a_lake_in_a_bucket_is_written_below_its_prefix(
    settings: Settings, url: str, bucket: str, prefix: str
) -> None:
    at = settings.changed(lake_url=url)

    for config in connect.connectors("gcp", at).values():
        assert (config["gcs.bucket.name"], config["file.name.prefix"]) == (bucket, prefix)
        assert config["gcs.credentials.default"] == "true"


def test_an_environment_that_lacks_a_bucket_says_so(settings: Settings) -> None:
    folder = settings.changed(lake_url="some/folder")

    with pytest.raises(KafkaSetupError, match=r"%\{bucket\} has no value"):
        connect.connectors("gcp", folder)


def properties(text: str) -> dict[str, str]:
    """The last value of each name, as Java reads a properties file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value.replace("\\\\", "\\") for name, _, value in (line.partition("=") for line in lines)}


def test_what_is_given_to_the_worker_wins() -> None:
    text = connect.worker_properties({"listeners": r"http://here\there", "offset.flush.interval.ms": "5"})

    given = properties(text)

    assert given["listeners"] == r"http://here\there"
    assert given["offset.flush.interval.ms"] == "5"
    assert given["group.id"] == "streaming-assets-connect"


def test_a_plain_cluster_needs_no_security_settings() -> None:
    assert connect.worker_security(load_settings()) == {}


def test_worker_and_all_its_clients_are_given_the_clusters_security(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "sink",
        "KAFKA_SASL_PASSWORD": "s3cret",
        "KAFKA_CA_FILE": "/etc/ca.pem",
    }.items():
        monkeypatch.setenv(f"STREAMING_ASSETS_{name}", value)

    given = connect.worker_security(load_settings())

    for prefix in ("", "producer.", "consumer.", "admin."):
        assert given[f"{prefix}security.protocol"] == "SASL_SSL"
        assert given[f"{prefix}sasl.mechanism"] == "SCRAM-SHA-512"
        assert given[f"{prefix}ssl.truststore.location"] == "/etc/ca.pem"
        assert given[f"{prefix}sasl.jaas.config"] == (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            'username="sink" password="${env:STREAMING_ASSETS_KAFKA_SASL_PASSWORD}";'
        )
    assert "s3cret" not in connect.worker_properties(given)


def test_a_password_in_a_file_stays_in_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "password").write_text("s3cret")
    monkeypatch.setenv("STREAMING_ASSETS_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("STREAMING_ASSETS_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("STREAMING_ASSETS_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))

    given = connect.worker_security(load_settings())

    assert f"${{directory:{tmp_path}:password}}" in given["sasl.jaas.config"]
    assert given["config.providers.directory.param.allowed.paths"] == str(tmp_path)
    assert "s3cret" not in str(given)


@pytest.mark.parametrize("name", ["session.timeout.ms", "consumer.session.timeout.ms"])
def test_a_dead_worker_is_missed_within_seconds(name: str) -> None:
    given = properties(connect.worker_properties({}))

    assert int(given[name]) <= 6000
    assert given["scheduled.rebalance.max.delay.ms"] == "0"


def test_the_heap_grows_with_rate_and_interval() -> None:
    base = connect.worker_heap_mib(0)

    assert connect.worker_heap_mib(20) - base == pytest.approx(
        2 * (connect.worker_heap_mib(10) - base), abs=1
    )
    assert connect.worker_heap_mib(10, 2_000) - base == pytest.approx(
        2 * (connect.worker_heap_mib(10, 1_000) - base), abs=1
    )
