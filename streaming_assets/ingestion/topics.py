"""The cluster's topics, held to kafka/topics.yaml: wanted, there, the difference, its removal."""
# pyright: reportPrivateImportUsage=false
# (confluent_kafka.admin is where these names are documented, though it does not declare that it exports them)

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from streaming_assets.events import TOPICS
from streaming_assets.ingestion.client_errors import LastError
from streaming_assets.ingestion.kafka_files import Environment, KafkaSetupError, filled, read_yaml
from streaming_assets.settings import Settings

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Topic:
    """A topic as it is wanted, or as it is; `config` has the settings by Kafka's names, as text."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One difference between what is wanted and what is there.

    Attributes:
        topic: the topic as it is wanted.
        what: `topic`, `partitions`, `replicas` or the name of a setting.
        now: value there; empty if the topic is missing.
        wanted: value wanted.
        refusal: why it can't be made so, and the way out; empty if it can.
    """

    topic: Topic
    what: str
    now: str
    wanted: str
    refusal: str = ""


def wanted_topics(environment: Environment, settings: Settings) -> list[Topic]:
    """The topics of an environment: one of each event type, and what the file has beside these.

    Raises:
        KafkaSetupError: the file names something that has no value.
    """
    data = filled(read_yaml("topics.yaml"), {"dead_letter_topic": settings.dead_letter_topic})
    topics = []
    for name in dict.fromkeys((*TOPICS, *data["topics"])):
        config = {**data["environments"][environment], **data["defaults"], **data["topics"].get(name, {})}
        partitions, replicas = config.pop("partitions"), config.pop("replicas")
        topics.append(Topic(name, partitions, replicas, {key: str(value) for key, value in config.items()}))
    return topics


def differences(wanted: Iterable[Topic], there: Mapping[str, Topic], brokers: int) -> list[Change]:
    """What is to be done so that the topics are as wanted; other topics and settings are left alone.

    Args:
        wanted: the topics.
        there: the cluster's topics by name, with at least the settings that are wanted.
        brokers: how many brokers the cluster has.
    """
    changes = []
    for topic in wanted:
        now = there.get(topic.name)
        if now is None:
            shape = f"{topic.partitions} partitions, {topic.replicas} replicas"
            config = ", ".join(f"{key}={value}" for key, value in topic.config.items())
            short = f"the cluster has {brokers} broker(s); start more or choose another environment"
            changes.append(
                Change(topic, "topic", "", f"{shape}, {config}", short if topic.replicas > brokers else "")
            )
            continue
        if topic.partitions != now.partitions:
            fewer = "Kafka can't take partitions away; delete the topic, or write the number that is there"
            refusal = fewer if topic.partitions < now.partitions else ""
            changes.append(Change(topic, "partitions", str(now.partitions), str(topic.partitions), refusal))
        if topic.replicas != now.replicas:
            moved = "replicas are moved with kafka-reassign-partitions, which copies the data"
            changes.append(Change(topic, "replicas", str(now.replicas), str(topic.replicas), moved))
        for key, value in topic.config.items():
            if now.config.get(key) != value:
                changes.append(Change(topic, key, now.config.get(key, "default"), value))
    return changes


def connect(config: Mapping[str, Any]) -> AdminClient:
    """A client of a cluster that answers.

    Args:
        config: librdkafka settings.

    Raises:
        KafkaSetupError: it does not; the message says why, as far as the client knows.
    """
    errors = LastError()
    own: dict[str, Any] = {**config, "log_level": 0, "error_cb": errors}
    client = AdminClient(own)
    try:
        client.list_topics(timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        client.poll(0)  # hands the errors out
        address = config["bootstrap.servers"]
        raise KafkaSetupError(f"Kafka at {address} does not answer: {errors.reason(error)}") from error
    return client


def cluster_topics(client: AdminClient) -> tuple[dict[str, Topic], int]:
    """The cluster's topics by name, with all their settings, and its number of brokers.

    Raises:
        KafkaSetupError: the cluster does not tell.
    """
    try:
        metadata = client.list_topics(timeout=TIMEOUT_SECONDS)
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in metadata.topics]
        described = client.describe_configs(resources, request_timeout=TIMEOUT_SECONDS) if resources else {}
        configs = {resource.name: future.result() for resource, future in described.items()}
    except KafkaException as error:
        raise KafkaSetupError(f"the cluster does not tell its topics: {error.args[0].str()}") from error
    topics = {
        name: Topic(
            name,
            len(found.partitions),
            min((len(partition.replicas) for partition in found.partitions.values()), default=0),
            {key: entry.value for key, entry in configs[name].items()},
        )
        for name, found in metadata.topics.items()
    }
    return topics, len(metadata.brokers)


def apply(client: AdminClient, changes: Iterable[Change]) -> list[Change]:
    """Make the changes that can be made; returns all, with the cluster's reason where it did not take one."""
    return [change if change.refusal else _applied(client, change) for change in changes]


def reconcile(client: AdminClient, wanted: Iterable[Topic]) -> list[Change]:
    """Bring the cluster's topics to what is wanted, as far as can be; what differed, as `apply` returns it.

    Raises:
        KafkaSetupError: the cluster does not tell its topics.
    """
    return apply(client, differences(wanted, *cluster_topics(client)))


def _applied(client: AdminClient, change: Change) -> Change:
    try:
        _request(client, change).result(TIMEOUT_SECONDS)
    except KafkaException as error:
        return replace(change, refusal=error.args[0].str())
    return change


def _request(client: AdminClient, change: Change) -> "Future[Any]":
    topic = change.topic
    if change.what == "topic":
        new = NewTopic(topic.name, topic.partitions, topic.replicas, config=dict(topic.config))
        return client.create_topics([new], request_timeout=TIMEOUT_SECONDS)[topic.name]
    if change.what == "partitions":
        more = NewPartitions(topic.name, topic.partitions)
        return client.create_partitions([more], request_timeout=TIMEOUT_SECONDS)[topic.name]
    entry = ConfigEntry(change.what, change.wanted, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    return client.incremental_alter_configs([resource], request_timeout=TIMEOUT_SECONDS)[resource]
