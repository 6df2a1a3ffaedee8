"""How producers and consumers reach Kafka: address, security, and the stream epoch that offsets belong to."""

import socket
import time
from typing import Any

from streaming_assets.ingestion.broker_file import BrokerInfo, read_broker_file
from streaming_assets.settings import Settings, env_name

BROKER_WAIT_SECONDS = 15.0


class BrokerError(Exception):
    """No broker can be reached; the message says what to start or to set."""


def embedded_broker(settings: Settings, wait_seconds: float = BROKER_WAIT_SECONDS) -> BrokerInfo | None:
    """The running embedded broker; None if a durable cluster is configured instead.

    Waits up to `wait_seconds` for a broker that is still starting; a file left by a dead one does not count.

    Raises:
        BrokerError: none came up in time.
    """
    if settings.kafka.bootstrap_servers:
        return None
    deadline = time.monotonic() + wait_seconds
    while True:
        info = read_broker_file(settings.broker_file)
        if info and answers(info.bootstrap_servers):
            return info
        if time.monotonic() >= deadline:
            raise BrokerError(
                f"no embedded broker is running (looked {wait_seconds:g} s at {settings.broker_file}): "
                f"start `streaming-assets broker`, or set {env_name('kafka_bootstrap_servers')} "
                "to the address of another broker"
            )
        time.sleep(0.1)


def stream_epoch(settings: Settings) -> str | None:
    """The existence that offsets belong to: None on a durable cluster, else the embedded broker's.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
    """
    info = embedded_broker(settings)
    return info.stream_epoch if info else None


def client_config(settings: Settings) -> dict[str, Any]:
    """librdkafka settings that every client shares. A password inside is masked in the dict's repr.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
    """
    info = embedded_broker(settings)
    if info:
        return _Config({"bootstrap.servers": info.bootstrap_servers})
    config = _Config(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "security.protocol": settings.kafka.security_protocol,
        }
    )
    if settings.kafka.ca_file:
        config["ssl.ca.location"] = str(settings.kafka.ca_file)
    if settings.kafka.sasl_mechanism:
        config["sasl.mechanism"] = settings.kafka.sasl_mechanism
        config["sasl.username"] = settings.kafka.sasl_username
        config["sasl.password"] = settings.kafka.sasl_password.get_secret_value()
    return config


def producer_config(settings: Settings) -> dict[str, Any]:
    """Settings of a `confluent_kafka.Producer` whose acknowledged records survive a broker's crash.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
    """
    if settings.kafka.bootstrap_servers:
        kind = {"enable.idempotence": True}
    else:
        # An embedded broker that does not answer is gone with all it had. Records spread evenly, record by
        # record, since what it holds is limited by partition.
        kind = {"message.timeout.ms": 20_000, "sticky.partitioning.linger.ms": 0}
    return _Config(client_config(settings) | {"linger.ms": 20, "compression.type": "lz4"} | kind)


def consumer_config(settings: Settings, instance: str = "") -> dict[str, Any]:
    """Settings of a `confluent_kafka.Consumer` in the sink's group, which commits by itself only.

    Args:
        settings: address, security, group.
        instance: name that a restarted member keeps, so that it gets its partitions back at once; empty for
            one that the group forgets.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
    """
    # A killed member's partitions move to the others within seconds. A named one that is started again has them back at
    # once, so its session may outlast a broker's restart: librdkafka, whose session ended while the broker was away,
    # may take itself for a second member of the same name, which ends it.
    static = {"group.instance.id": instance} if instance else {}
    session = 20_000 if instance else 6_000
    return _Config(
        client_config(settings)
        | static
        | {
            "group.id": settings.sink.group_id,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "session.timeout.ms": session,
            "heartbeat.interval.ms": 1500,
            "partition.assignment.strategy": "cooperative-sticky",
            "topic.metadata.refresh.interval.ms": 10_000,
            # What is fetched ahead is bounded by bytes too.
            "queued.max.messages.kbytes": 32_768,
            "fetch.wait.max.ms": 100,
        }
    )


class _Config(dict[str, Any]):
    """A dict whose repr shows no password."""

    def __repr__(self) -> str:
        return repr({key: "***" if "password" in key else value for key, value in self.items()})


def answers(address: str) -> bool:
    """Whether something listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
