"""When the object sensor looks: with a subscription only when there is reason to, and never too late."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httplib2
import pytest
from googleapiclient.discovery import build

from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import HOUR, floor_hour, hour_prefix
from streaming_assets.lake.notifications import (
    FolderNotifications,
    NoNotifications,
    PubSubNotifications,
    notifications_of,
)
from streaming_assets.settings import Settings
from streaming_assets_tests.google_rest import Discovery, Sent

SUBSCRIPTION = "projects/p/subscriptions/lake"


class PubSub:
    """The session of a client of Pub/Sub: `waiting` messages are handed out until they are acknowledged."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.is_down = False
        self.sent: list[Sent] = []
        self._discovery = Discovery("pubsub.v1")

    def request(
        self, uri: str, method: str = "GET", body: Any = None, **_: Any
    ) -> tuple[httplib2.Response, bytes]:
        if self.is_down:
            raise ConnectionRefusedError("nobody listens")
        sent = self._discovery.check(method, uri, body)
        self.sent.append(sent)
        assert sent.parameters["subscription"] == SUBSCRIPTION
        answer: dict[str, Any] = {}
        if sent.method == "pubsub.projects.subscriptions.pull":
            taken = self.waiting[: sent.body["maxMessages"]]
            answer = {"receivedMessages": [{"ackId": name} for name in taken]} if taken else {}
        else:
            assert sent.method == "pubsub.projects.subscriptions.acknowledge"
            self.waiting = [name for name in self.waiting if name not in sent.body["ackIds"]]
        return httplib2.Response({"status": "200", "content-type": "application/json"}), json.dumps(
            answer
        ).encode()

    def close(self) -> None: ...


@pytest.fixture
def pubsub() -> PubSub:
    return PubSub()


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def notifications(pubsub: PubSub, now: list[float]) -> PubSubNotifications:
    client = build("pubsub", "v1", static_discovery=True, http=pubsub)
    return PubSubNotifications(SUBSCRIPTION, 600, lambda: client, lambda: now[0])


def test_without_a_subscription_every_tick_looks() -> None:
    bucket = Settings.model_validate({"lake_url": "gs://bucket"})
    assert isinstance(notifications_of(bucket), NoNotifications)
    assert NoNotifications().is_look_due()


class Waiting:
    """A clock that passes as somebody sleeps; `meanwhile` happens after so many sleeps."""

    def __init__(self) -> None:
        self.now, self.sleeps = 0.0, 0
        self.meanwhile: dict[int, Callable[[], object]] = {}

    def sleep(self, seconds: float) -> None:
        self.now, self.sleeps = self.now + seconds, self.sleeps + 1
        self.meanwhile.get(self.sleeps, lambda: None)()


def land(lake: Path, hour: datetime, name: str = "listen_events+0+0.gz") -> None:
    FolderLake(lake).write(hour_prefix("listen_events", hour) + name, b"")


@pytest.mark.parametrize("hours_ago", [0, 1], ids=["the newest hour", "the hour before"])
def test_a_tick_over_a_folder_waits_until_an_object_lands(tmp_path: Path, hours_ago: int) -> None:
    waiting, newest = Waiting(), floor_hour(datetime.now(UTC))
    folder = FolderNotifications(tmp_path, 4, lambda: waiting.now, waiting.sleep)
    assert folder.is_look_due()
    assert waiting.sleeps == 0, "nobody knows what landed before"
    folder.settled()
    waiting.meanwhile[3] = lambda: land(tmp_path, newest - hours_ago * HOUR)
    assert folder.is_look_due()
    assert waiting.sleeps == 3
    assert folder.is_look_due()
    assert waiting.sleeps == 3, "not settled: hours wait for a run"


def test_a_tick_over_a_folder_sees_at_once_what_landed_since_the_last_began(tmp_path: Path) -> None:
    waiting, newest = Waiting(), floor_hour(datetime.now(UTC))
    folder = FolderNotifications(tmp_path, 4, lambda: waiting.now, waiting.sleep)
    land(tmp_path, newest)
    assert folder.is_look_due()
    land(tmp_path, newest, "listen_events+0+1.gz")  # after the listing, before it has settled
    folder.settled()
    assert folder.is_look_due()
    assert waiting.sleeps == 0


def test_a_tick_over_a_folder_looks_at_its_end_in_any_case(tmp_path: Path) -> None:
    waiting = Waiting()
    folder = FolderNotifications(tmp_path, 3.5, lambda: waiting.now, waiting.sleep)
    folder.is_look_due()
    folder.settled()
    assert folder.is_look_due(), "late objects' folders are not watched"
    assert 3.5 <= waiting.now < 4


@pytest.mark.parametrize(("interval", "wait"), [(5, 3.5), (120, 30)], ids=["default", "long"])
def test_a_tick_over_a_folder_ends_before_the_next(tmp_path: Path, interval: int, wait: float) -> None:
    settings = Settings.model_validate({"home": tmp_path, "sensor_interval_seconds": interval})
    waited = notifications_of(settings)
    assert isinstance(waited, FolderNotifications)
    assert waited.wait_seconds == wait


def test_the_first_tick_looks_then_only_a_message_wakes(
    pubsub: PubSub, notifications: PubSubNotifications
) -> None:
    assert notifications.is_look_due(), "what came before nobody told"
    notifications.settled()
    assert not notifications.is_look_due()
    pubsub.waiting = ["a", "b"]
    assert notifications.is_look_due()
    assert pubsub.waiting == [], "acknowledged"
    notifications.settled()
    assert not notifications.is_look_due()


def test_a_look_stays_due_until_it_has_settled(pubsub: PubSub, notifications: PubSubNotifications) -> None:
    notifications.settled()
    pubsub.waiting = ["a"]
    assert notifications.is_look_due()
    assert notifications.is_look_due(), "the listing failed, or hours wait for a run"
    notifications.settled()
    assert not notifications.is_look_due()


def test_without_messages_the_lake_is_listed_now_and_then(
    now: list[float], notifications: PubSubNotifications
) -> None:
    notifications.settled()
    now[0] += 599
    assert not notifications.is_look_due()
    now[0] += 1
    assert notifications.is_look_due()


def test_the_lake_is_listed_when_pubsub_does_not_answer(
    pubsub: PubSub, notifications: PubSubNotifications, caplog: pytest.LogCaptureFixture
) -> None:
    notifications.settled()
    pubsub.is_down = True
    assert notifications.is_look_due()
    assert f"{SUBSCRIPTION} can't be pulled, so the lake is listed: nobody listens" in caplog.text


def test_messages_beyond_one_pull_wake_the_next_tick(
    pubsub: PubSub, notifications: PubSubNotifications
) -> None:
    pubsub.waiting = [str(number) for number in range(1500)]
    assert notifications.is_look_due()
    notifications.settled()
    assert len(pubsub.waiting) == 500
    assert notifications.is_look_due()
    notifications.settled()
    assert not notifications.is_look_due()
