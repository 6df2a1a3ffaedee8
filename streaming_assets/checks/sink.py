"""Whether the sink keeps up: lag and age of each Kafka partition, the connectors' state, what the broker dropped."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from streaming_assets.assets.keys import prefix_key, topic_key
from streaming_assets.events import LAKE_TYPES
from streaming_assets.ingestion.clients import BrokerError, client_config
from streaming_assets.ingestion.connect import DEAD_LETTER_SINK, SINK
from streaming_assets.ingestion.connect_rest import ConnectRest
from streaming_assets.ingestion.health import (
    PartitionHealth,
    connector_health,
    partitions_health,
    sink_group,
)
from streaming_assets.ingestion.kafka_files import KafkaSetupError
from streaming_assets.settings import Settings

CHECK = "sink_is_healthy"
CHECKED = prefix_key("listen_events")
INTERVAL_SECONDS = 60
LATE = timedelta(minutes=15)  # a record that waits longer than any flush interval in use


def build_sink_check(settings: Settings) -> dg.AssetChecksDefinition:
    """The sink's health, asked for by hand; the sensor below reports it each minute."""

    @dg.asset_check(
        asset=CHECKED,
        name=CHECK,
        description="Connectors run, no record waits longer than 15 minutes, and the broker dropped none.",
    )
    def sink_is_healthy() -> dg.AssetCheckResult:
        problems = sink_problems(settings, topic_health(settings), datetime.now(UTC))
        return dg.AssetCheckResult(passed=not problems, metadata=_metadata(problems))

    return sink_is_healthy


def build_sink_sensor(settings: Settings) -> dg.SensorDefinition:
    """Puts offsets, lag and age on the topics' assets, and the sink's health on its check."""

    @dg.sensor(
        name="kafka_health",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Observes end offsets, committed offsets, lag and age of each Kafka partition, and the sink.",
    )
    def kafka_health(_context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            health = topic_health(settings)
        except BrokerError as error:
            return dg.SkipReason(str(error))
        problems = sink_problems(settings, health, now)
        evaluation = dg.AssetCheckEvaluation(
            asset_key=CHECKED, check_name=CHECK, passed=not problems, metadata=_metadata(problems)
        )
        observations = [observation(topic, partitions, now) for topic, partitions in health.items()]
        return dg.SensorResult(asset_events=[*observations, evaluation], skip_reason="Health was observed")

    return kafka_health


def topic_health(settings: Settings) -> dict[str, list[PartitionHealth]]:
    """Each topic's partitions; what the sink has put into the lake comes from its own state where no group tells.

    Raises:
        BrokerError: the embedded broker is to be used and does not run.
        KafkaSetupError: the cluster does not answer.
    """
    topics = [event_type.topic for event_type in LAKE_TYPES]
    health = partitions_health(client_config(settings), sink_group(settings), topics)
    if settings.kafka.bootstrap_servers:
        return health
    kept = {(p["topic"], p["partition"]): p["committed"] for p in _sink_state(settings).get("partitions", [])}
    return {
        topic: [replace(p, committed_offset=kept.get((topic, p.partition))) for p in partitions]
        for topic, partitions in health.items()
    }


def sink_problems(settings: Settings, health: dict[str, list[PartitionHealth]], now: datetime) -> list[str]:
    """What is wrong with the sink, a sentence each."""
    found: list[str] = []
    for partition in (p for partitions in health.values() for p in partitions):
        age = partition.age_seconds(now)
        if partition.lag > 0 and age is not None and age > LATE.total_seconds():
            found.append(
                f"{partition.topic}[{partition.partition}]: {partition.lag:,} records wait, for {age:,.0f} s or longer"
            )
        if partition.lost:
            found.append(
                f"{partition.topic}[{partition.partition}]: retention took {partition.lost:,} records"
            )
    found += _connect_problems(settings) if settings.kafka.connect_url else _python_sink_problems(settings)
    return found


def observation(topic: str, partitions: list[PartitionHealth], now: datetime) -> dg.AssetObservation:
    """The state of a topic's partitions, as metadata of its asset."""
    columns = ("partition", "start", "end", "committed", "lag", "age_s")
    records = [
        dg.TableRecord(
            {
                "partition": p.partition,
                "start": p.start_offset,
                "end": p.end_offset,
                "committed": "none" if p.committed_offset is None else p.committed_offset,
                "lag": p.lag,
                "age_s": "none" if (age := p.age_seconds(now)) is None else round(age),
            }
        )
        for p in partitions
    ]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in columns])
    return dg.AssetObservation(
        asset_key=topic_key(topic),
        metadata={
            "end_offsets": sum(p.end_offset for p in partitions),
            "lag": sum(p.lag for p in partitions),
            "partitions": dg.MetadataValue.table(records, schema),
        },
    )


def _connect_problems(settings: Settings) -> Iterator[str]:
    rest = ConnectRest(settings.kafka.connect_url)
    for connector in (SINK, DEAD_LETTER_SINK):
        try:
            yield from connector_health(rest, connector).problems
        except KafkaSetupError as error:
            yield str(error)
            return


def _python_sink_problems(settings: Settings) -> Iterator[str]:
    state = _sink_state(settings)
    if state.get("error"):
        yield f"the sink can't go on: {state['error']}"
    if state.get("lost"):
        yield f"the broker lost {state['lost']:,} records before they were in the lake; sink.json lists the ranges"


def _sink_state(settings: Settings) -> dict[str, Any]:
    try:
        return json.loads((settings.home / "sink.json").read_text())
    except (OSError, ValueError):
        return {}


def _metadata(problems: list[str]) -> dict[str, Any]:
    return {"problems": len(problems), "first_problems": "\n".join(problems[:20]) or "none"}
