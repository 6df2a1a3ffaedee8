"""What is told of conditions and when, and that it arrives: over HTTP and SMTP, at real servers in this process."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from aiosmtpd.smtp import SMTP
from typer.testing import CliRunner

from streaming_assets import settings as settings_module
from streaming_assets.cli import app
from streaming_assets.monitoring import sensor as sensor_module
from streaming_assets.monitoring.alerts import MOST_UNSENT, Memory, Unsent, decide
from streaming_assets.monitoring.conditions import Condition
from streaming_assets.monitoring.observed import Check, FailedRun, Observed
from streaming_assets.monitoring.rules import read_rules
from streaming_assets.monitoring.sensor import build_alert_sensor
from streaming_assets.settings import Settings

NOW = datetime(2025, 3, 8, 12, tzinfo=UTC)
RULES = read_rules()
PAGES = "http://pages:3000"
TOKEN = "abcdefghijklmnopqrstuvwx"


def hours(*numbers: int) -> tuple[datetime, ...]:
    return tuple(NOW - timedelta(hours=number) for number in numbers)


def failed(*numbers: int) -> Condition:
    return Condition("run_failed", "hourly", "hourly failed", hours(*numbers), page="/runs/abc")


def warning(*numbers: int) -> Condition:
    return Condition(
        "check_failing", "staging/stg_quarantine: share_in_quarantine", "it warns", hours(*numbers), False
    )


class Telling:
    """A memory through ticks; minutes are since the first."""

    def __init__(self) -> None:
        self.memory = Memory()

    def at(self, minutes: float, *found: Condition, unseen: tuple[str, ...] = ()) -> list[str]:
        seen = Observed(NOW + timedelta(minutes=minutes), unseen=dict.fromkeys(unseen, "why"))
        self.memory, entries = decide(Memory.from_json(self.memory.to_json()), found, seen, RULES, PAGES)
        return entries


def test_a_condition_is_told_once_reminded_of_daily_and_told_healed_once() -> None:
    telling = Telling()
    assert telling.at(0, failed(2, 1)) == []  # its parts may still be tried
    (told,) = telling.at(5, failed(2, 1))
    assert told.splitlines() == [
        "Wrong: hourly failed.",
        "The last run over these hours failed, and none has done them since. The run's page: its first red step. A "
        "fault of disk, network or access is put right first; a bad hour is named by its error.",
        "    streaming-assets backfill 2025-03-08T10:00Z 2025-03-08T12:00Z",
        "    streaming-assets reconcile",
        "http://pages:3000/runs/abc",
    ]
    assert [telling.at(minute, failed(2, 1)) for minute in (6, 60, 24 * 60)] == [[], [], []]
    (reminder,) = telling.at(24 * 60 + 5, failed(2, 1))
    assert "It lasts since 2025-03-08 12:00 UTC" in reminder
    assert telling.at(24 * 60 + 6) == ["Healed: hourly (run_failed), which lasted 24 h"]
    assert telling.at(24 * 60 + 7) == []
    assert telling.memory == Memory()


def test_what_was_never_told_is_not_told_healed() -> None:
    telling = Telling()
    assert [telling.at(0, failed(1)), telling.at(1), telling.at(9)] == [[], [], []]


def test_a_warning_is_reminded_of_only_when_its_hours_change() -> None:
    telling, day = Telling(), 24 * 60
    assert len(telling.at(0, warning(1))) == 1
    assert telling.at(day, warning(1)) == []
    assert len(telling.at(day + 1, warning(1, 0))) == 1
    assert telling.at(day + 2, warning(1, 0, 2)) == []  # folded until the next day


def test_nothing_heals_unseen() -> None:
    telling = Telling()
    telling.at(0, failed(1))
    assert len(telling.at(5, failed(1))) == 1
    assert telling.at(6, unseen=("failed runs",)) == []
    assert len(telling.at(7, unseen=("lake",))) == 1  # of something else


def test_what_is_not_to_be_told_is_not(tmp_path: Path) -> None:
    own = tmp_path / "rules.yml"
    own.write_text("check_failing: {tell: false}")
    assert decide(Memory(), [warning(1)], Observed(NOW), read_rules(own), "") == (Memory(), [])


def test_unsent_entries_are_kept_up_to_a_bound_and_the_rest_is_counted() -> None:
    unsent = Unsent().with_more(f"entry {number}" for number in range(MOST_UNSENT + 30))
    assert (len(unsent.entries), unsent.dropped) == (MOST_UNSENT, 30)
    assert unsent.body().startswith("entry 229\n\nentry 228")
    assert unsent.body().endswith("And 210 more: streaming-assets status")
    assert Memory.from_json(Memory(unsent={"a": unsent}).to_json()).unsent == {"a": unsent}
    assert Memory.from_json("{}") == Memory.from_json(None) == Memory()


@dataclass
class Receiver:
    """What arrived over HTTP and SMTP; `status` is what the webhook answers."""

    http: int = 0
    smtp: int = 0
    status: int = 200
    posted: list[dict[str, Any]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    @property
    def webhook(self) -> str:
        """In the form that Slack has, which Mattermost takes, too."""
        return f"mmost://127.0.0.1:{self.http}/{TOKEN}"

    @property
    def mail(self) -> str:
        return f"mailto://127.0.0.1:{self.smtp}?from=alerts@site.test&to=me@site.test&mode=insecure"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content.decode())
        return "250 taken"


@pytest.fixture(scope="module")
def servers() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status == 200:
                receiver.posted.append({"path": self.path, **json.loads(body)})
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    serving = loop.create_server(lambda: SMTP(receiver, hostname="site.test", loop=loop), "127.0.0.1", 0)
    mail = asyncio.run_coroutine_threadsafe(_awaited(serving), loop).result()
    receiver.http, receiver.smtp = web.server_port, mail.sockets[0].getsockname()[1]
    yield receiver
    loop.call_soon_threadsafe(mail.close)
    loop.call_soon_threadsafe(loop.stop)
    web.shutdown()
    web.server_close()


async def _awaited(serving: Awaitable[asyncio.Server]) -> asyncio.Server:
    return await serving


@pytest.fixture
def receiver(servers: Receiver) -> Receiver:
    servers.status = 200
    servers.posted.clear()
    servers.mails.clear()
    return servers


def test_the_sensor_tells_by_webhook_and_mail_keeps_what_is_refused_and_tells_what_healed(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, alert_addresses=f"{receiver.webhook} {receiver.mail}")
    alerts = build_alert_sensor(settings)
    state = {"seen": Observed(NOW, checks=(Check("staging/stg_users", "no_nulls", hours(3), True, NOW),))}
    monkeypatch.setattr(sensor_module, "observe", lambda *_: state["seen"])
    cursor = None

    def tick(minutes: int, **seen: Any) -> str:
        nonlocal cursor
        state["seen"] = replace(state["seen"], at=NOW + timedelta(minutes=minutes), **seen)
        with dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), cursor=cursor) as context:
            skipped = alerts(context)
            cursor = context.cursor
        return skipped.skip_message

    receiver.status = 500
    assert tick(0) == "1 told, 1 conditions last, 1 addresses wait for messages"
    (mail,) = receiver.mails
    assert "Subject: streaming_assets: 1 wrong" in mail
    assert "To: me@site.test" in mail
    assert receiver.posted == []
    assert TOKEN not in (cursor or "")

    receiver.status = 200
    tick(1, failed=(FailedRun("abc", "hourly", hours(1), ""),))
    (posted,) = receiver.posted
    assert posted["path"] == f"/hooks/{TOKEN}"
    assert "staging/stg_users: no_nulls fails in 1 hour: 2025-03-08T09:00Z." in posted["text"]
    assert "streaming-assets backfill 2025-03-08T09:00Z 2025-03-08T10:00Z" in posted["text"]
    assert "http://127.0.0.1:3000/assets/staging/stg_users" in posted["text"]

    tick(2)
    assert (len(receiver.posted), len(receiver.mails)) == (1, 1)
    tick(6, checks=())
    assert [len(receiver.posted), len(receiver.mails)] == [2, 2]
    assert "Healed: staging/stg_users: no_nulls" in receiver.posted[1]["text"]
    assert "hourly: the last run of 1 hour" in receiver.posted[1]["text"]
    assert "Subject: streaming_assets: 1 wrong, 1 healed" in receiver.mails[1]


def test_without_an_address_the_sensor_is_off_and_silent(tmp_path: Path) -> None:
    alerts = build_alert_sensor(Settings(home=tmp_path))
    assert alerts.default_status is dg.DefaultSensorStatus.STOPPED
    with dg.build_sensor_context() as context:
        assert "has no address" in alerts(context).skip_message
        assert context.cursor is None
    on = build_alert_sensor(Settings(home=tmp_path, alert_addresses="json://localhost"))
    assert on.default_status is dg.DefaultSensorStatus.RUNNING


def alerts_test(monkeypatch: pytest.MonkeyPatch, addresses: str) -> tuple[int, str]:
    monkeypatch.setenv("STREAMING_ASSETS_ALERT_ADDRESSES", addresses)
    settings_module.get_settings.cache_clear()
    result = CliRunner().invoke(app, ["alerts", "test"])
    settings_module.get_settings.cache_clear()
    return result.exit_code, result.output


def test_a_sample_is_sent_to_each_address_and_what_came_back_is_said(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = alerts_test(monkeypatch, f"{receiver.webhook} {receiver.mail}")
    assert (code, output.count(": sent\n")) == (0, 2)
    assert "a sample" in receiver.posted[0]["text"]
    assert len(receiver.mails) == 1
    receiver.status = 403
    code, output = alerts_test(monkeypatch, receiver.webhook)
    assert code == 1
    assert "not sent: " in output
    assert "403" in output
    assert TOKEN not in output
    assert alerts_test(monkeypatch, "")[0] == 2
    code, output = alerts_test(monkeypatch, "slak://secret/token")
    assert code == 2
    assert "address 1 of alerts, slak://..., is none" in output
    assert "secret" not in output
