"""Topics: the file, and the difference between it and a cluster."""

from dataclasses import replace

import pytest

from streaming_assets.events import TOPICS
from streaming_assets.ingestion.kafka_files import KafkaSetupError, filled
from streaming_assets.ingestion.topics import Topic, differences, wanted_topics
from streaming_assets.settings import Settings, load_settings

EVENTS = Topic("events", 3, 1, {"retention.ms": "1000", "compression.type": "producer"})


@pytest.fixture
def settings() -> Settings:
    return load_settings()


def test_the_file_has_each_event_type_and_the_dead_letters(settings: Settings) -> None:
    names = [topic.name for topic in wanted_topics("local", settings)]

    assert names == [*TOPICS, settings.dead_letter_topic]


@pytest.mark.parametrize(
    ("environment", "replicas", "in_sync"),
    [("local", 1, "1"), ("docker", 1, "1"), ("docker3", 3, "2"), ("gcp", 3, "2")],
)
def test_every_topic_is_replicated_as_the_data_is(
    settings: Settings, environment, replicas: int, in_sync: str
) -> None:
    for topic in wanted_topics(environment, settings):
        assert (topic.partitions, topic.replicas) == (3, replicas)
        assert topic.config["min.insync.replicas"] == in_sync
        assert topic.config["message.timestamp.type"] == "LogAppendTime"


def test_dead_letters_are_kept_longer(settings: Settings) -> None:
    *events, dead = wanted_topics("gcp", settings)

    assert dead.name == "connect_sink_gcs"
    assert {int(topic.config["retention.ms"]) for topic in events} == {7 * 86_400_000}
    assert int(dead.config["retention.ms"]) == 30 * 86_400_000


def test_no_difference_when_the_cluster_has_more_than_is_wanted() -> None:
    there = replace(EVENTS, config={**EVENTS.config, "segment.ms": "5"})

    assert differences([EVENTS], {"events": there, "other": there}, brokers=1) == []


def test_a_missing_topic_is_made() -> None:
    (change,) = differences([EVENTS], {}, brokers=1)

    assert (change.what, change.now, change.refusal) == ("topic", "", "")
    assert "3 partitions, 1 replicas" in change.wanted
    assert "retention.ms=1000" in change.wanted


def test_more_copies_than_brokers_are_refused() -> None:
    (change,) = differences([replace(EVENTS, replicas=3)], {}, brokers=2)

    assert "the cluster has 2 broker(s)" in change.refusal


@pytest.mark.parametrize(
    ("there", "what", "now", "wanted", "refusal"),
    [
        (replace(EVENTS, partitions=1), "partitions", "1", "3", ""),
        (replace(EVENTS, partitions=4), "partitions", "4", "3", "can't take partitions away"),
        (replace(EVENTS, replicas=2), "replicas", "2", "1", "kafka-reassign-partitions"),
        (
            replace(EVENTS, config={**EVENTS.config, "retention.ms": "5"}),
            "retention.ms",
            "5",
            "1000",
            "",
        ),
    ],
)
def test_what_differs_is_shown_with_both_values(
    there: Topic, what: str, now: str, wanted: str, refusal: str
) -> None:
    (change,) = differences([EVENTS], {"events": there}, brokers=1)

    assert (change.what, change.now, change.wanted) == (what, now, wanted)
    assert (refusal in change.refusal) if refusal else not change.refusal


def test_a_name_without_a_value_is_told() -> None:
    with pytest.raises(KafkaSetupError, match=r"%\{there\} has no value here; there are here"):
        filled({"%{here}": "%{there}"}, {"here": "x"})
