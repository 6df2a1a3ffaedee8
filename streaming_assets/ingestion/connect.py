"""Kafka Connect's settings for every environment, rendered from the files in kafka/connect/."""

import re
from collections.abc import Mapping

from streaming_assets.events import TOPICS
from streaming_assets.ingestion.kafka_files import (
    KAFKA_DIR,
    Environment,
    filled,
    read_yaml,
)
from streaming_assets.settings import Settings, env_name

SINK, DEAD_LETTER_SINK = "events-to-lake", "dead-letters-to-lake"

# The rule of the worker's heap, measured: docs/kafka.md, "Heap".
WORKER_BASE_MIB = 256
CATCH_UP_RECORDS_PER_SECOND = 36_000
HEAP_BYTES_PER_RECORD = 3_300

_CLIENT_PREFIXES = ("", "producer.", "consumer.", "admin.")
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_DIRECTORY_PROVIDER = "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
_BUCKET_URL = re.compile(r"gs://([^/]+)/?(.*?)/*")


def connectors(
    environment: Environment, settings: Settings, values: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """The settings of each connector, by its name, as Connect's REST interface takes them.

    Args:
        environment: a key of `environments` in kafka/connect/connectors.yaml.
        settings: give topics, and bucket and prefix of a lake in a bucket.
        values: what else fills `%{...}`, for an environment whose addresses are known only when it runs.

    Raises:
        KafkaSetupError: something to fill in has no value.
    """
    data = read_yaml("connect/connectors.yaml")
    shape = data["environments"][environment]
    known = {"event_topics": ",".join(TOPICS), "dead_letter_topic": settings.dead_letter_topic}
    if match := _BUCKET_URL.fullmatch(settings.lake.url):
        known |= {"bucket": match[1], "prefix": match[2] and f"{match[2]}/"}
    known |= {key: str(value) for key, value in shape["values"].items()} | dict(values or {})
    return {
        name: {
            key: _text(value)
            for key, value in filled({**data["both"], **own, **shape["config"]}, known).items()
        }
        for name, own in data["connectors"].items()
    }


def consumer_group(connector: str) -> str:
    """The consumer group in which Connect keeps a sink's offsets."""
    return f"connect-{connector}"


def worker_properties(overrides: Mapping[str, str]) -> str:
    """The worker's properties file: kafka/connect/worker.properties, then `overrides`, which win."""
    lines = [(KAFKA_DIR / "connect" / "worker.properties").read_text(), "# Of this environment."]
    escaped = {name: value.replace("\\", "\\\\") for name, value in overrides.items()}
    return "\n".join([*lines, *(f"{name}={value}" for name, value in escaped.items())]) + "\n"


def worker_security(settings: Settings) -> dict[str, str]:
    """The worker's settings for a cluster that asks for TLS or a password, for it and its clients.

    The password itself is not among them: the worker reads it when it starts, from the environment
    or from the file, which has to be the same path there and hold nothing else, no newline either.

    Raises:
        KafkaSetupError: the mechanism is none that Connect has.
    """
    if settings.kafka.security_protocol == "PLAINTEXT":
        return {}
    own = {"security.protocol": settings.kafka.security_protocol}
    if settings.kafka.ca_file:
        own |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(settings.kafka.ca_file)}
    if settings.kafka.sasl_mechanism:
        own["sasl.mechanism"] = settings.kafka.sasl_mechanism
        own["sasl.jaas.config"] = (
            f"{_LOGIN_MODULES[settings.kafka.sasl_mechanism]} required "
            f'username="{settings.kafka.sasl_username}" password="{_password_reference(settings)}";'
        )
    return _password_provider(settings) | {
        prefix + name: value for prefix in _CLIENT_PREFIXES for name, value in own.items()
    }


def worker_heap_mib(flush_seconds: float, records_per_second: int = CATCH_UP_RECORDS_PER_SECOND) -> int:
    """Heap, MiB, for the records that a worker holds between two flushes, at the rate of catching up."""
    held = records_per_second * flush_seconds * HEAP_BYTES_PER_RECORD
    return WORKER_BASE_MIB + round(held / 2**20)


def _password_provider(settings: Settings) -> dict[str, str]:
    """What lets the worker read the password's folder, and no other; nothing where the password is in no file."""
    file = settings.kafka.sasl_password_file
    if file is None:
        return {}
    return {
        "config.providers": "env,directory",
        "config.providers.directory.class": _DIRECTORY_PROVIDER,
        "config.providers.directory.param.allowed.paths": str(file.parent),
    }


def _password_reference(settings: Settings) -> str:
    file = settings.kafka.sasl_password_file
    if file is None:
        return f"${{env:{env_name('kafka_sasl_password')}}}"
    return f"${{directory:{file.parent}:{file.name}}}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
