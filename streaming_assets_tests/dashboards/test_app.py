"""The app without a browser: downloads, health, formats, freshness."""

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from flask.testing import FlaskClient

from streaming_assets.dashboards import formats, shell
from streaming_assets.dashboards.app import create_app
from streaming_assets.dashboards.site import status
from streaming_assets.published.manifest import MANIFEST, Hours
from streaming_assets.testing.publishing import publish
from streaming_assets.text import harmless
from streaming_assets_tests.dashboards.serving import site_of
from streaming_assets_tests.dashboards.world import AS_OF, Marts


def client_of(folder: Path) -> FlaskClient:
    return create_app(site_of(folder, AS_OF)).server.test_client()


def test_health_says_how_the_data_stands_and_whether_it_can_be_served(
    tmp_path: Path, published: Path
) -> None:
    answer = client_of(published).get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "snapshot": 1,
        "as_of": AS_OF.isoformat(),
        "age_seconds": 0,
        "stale": False,
    }
    old = create_app(site_of(published, AS_OF + timedelta(hours=2))).server.test_client().get("/healthz")
    assert (old.status_code, old.get_json()["age_seconds"], old.get_json()["stale"]) == (200, 7200, True)

    empty = client_of(tmp_path).get("/healthz")
    assert (empty.status_code, empty.get_json()["status"]) == (200, "empty")
    assert "nothing has been published" in empty.get_json()["message"]
    (tmp_path / MANIFEST).write_text("{")
    broken = client_of(tmp_path).get("/healthz")
    assert (broken.status_code, broken.get_json()["status"]) == (503, "failed")


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_health_fails_when_a_file_of_the_newest_day_can_not_be_read(
    tmp_path: Path, marts: Marts, damage: str
) -> None:
    publish(tmp_path, marts, AS_OF)
    client = client_of(tmp_path)
    assert client.get("/healthz").status_code == 200
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    newest = tmp_path / max(manifest["tables"]["mart_daily_active_users"]["days"].items())[1]["file"]
    newest.unlink() if damage == "gone" else newest.write_bytes(newest.read_bytes()[:100])
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert newest.name in answer.get_json()["message"]


def test_the_browser_is_told_what_the_pages_may_do(published: Path) -> None:
    answer = client_of(published).get("/music")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    scripts = re.findall(
        rb"<script(?![^>]* src=)(?![^>]*application/json)[^>]*>(.+?)</script>", answer.data, re.S
    )
    assert scripts, "Dash begins by a script in the page"
    for script in scripts:
        assert (
            f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" in policy["script-src"]
        )
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.data.index(b'<script src="/assets/scheme.js">') < answer.data.index(b"<body>")
    assert b"https://" not in answer.data


def test_a_page_of_another_site_and_a_name_of_another_get_no_answer(published: Path) -> None:
    client = create_app(site_of(published, AS_OF), "stats.example.com").server.test_client()
    refused = client.get("/", headers={"Host": "evil.example"})
    assert refused.status_code == 403
    assert "STREAMING_ASSETS_ALLOWED_HOSTS=evil.example" in refused.text
    update = "/_dash-update-component"
    assert client.post(update, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"Host": "stats.example.com"}).status_code == 200


def test_downloads_that_can_not_be_had_say_why(tmp_path: Path, published: Path) -> None:
    unknown = client_of(published).get("/download/nothing.csv")
    assert (unknown.status_code, unknown.text) == (
        404,
        "There is no nothing.csv; there are daily-active-users, daily-ad-revenue, states, genres, artists, songs, "
        "retention, new-users, funnel, level-changes, departures, play-hours, session-lengths, session-songs, "
        "next-songs.\n",
    )
    early = client_of(tmp_path).get("/download/songs.csv")
    assert early.status_code == 503
    assert "nothing has been published" in early.text
    publish(tmp_path, {}, AS_OF)
    assert client_of(tmp_path).get("/download/songs.csv").status_code == 404


def test_twenty_people_at_once_while_snapshots_are_replaced(tmp_path: Path, marts: Marts) -> None:
    """Each answer is whole, and of one snapshot or the other."""
    name = "mart_daily_state_streams"
    day, rows = max(marts[name].items())
    twice = rows.set_column(
        rows.column_names.index("streams"),
        "streams",
        pc.multiply(rows["streams"], 2),  # pyright: ignore
    )
    publish(tmp_path, {name: {day: rows}}, AS_OF)
    server = create_app(site_of(tmp_path, AS_OF)).server

    def visit(_: int) -> set[int]:
        client = server.test_client()
        answers = [client.get("/download/states.csv") for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        return {sum(int(line.split(",")[2]) for line in a.text.splitlines()[1:]) for a in answers}

    with ThreadPoolExecutor(21) as pool:
        visits = pool.map(visit, range(20))
        for turn in range(10):
            publish(tmp_path, {name: {day: rows if turn % 2 else twice}}, AS_OF)
        seen = set().union(*visits)
    total = pc.sum(rows["streams"]).as_py()  # pyright: ignore
    assert seen <= {total, 2 * total}


def test_a_missing_day_is_an_empty_row_of_the_csv(published: Path) -> None:
    answer = client_of(published).get("/download/daily-active-users.csv?from=2025-01-22&to=2025-01-22")
    assert answer.text == "day,free,paid,all\r\n2025-01-22,,,\r\n"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="daily-active-users-2025-01-22-2025-01-22.csv"'
    )


CONTROL = ("\t=1", "\r=1", "\n=1", "\x01=1", "\x1b[31m", "\x7f=1", "\x9f=1")
HARMFUL = ("=1+1", "+1", "-1", "@SUM(1)", "＝1", "＋1", "－1", "＠1", *CONTROL)
HARMLESS = ("Rock & Roll", "a=b", "'=1", "", " -1", "1-2", "é")


@pytest.mark.parametrize("column", ["title", "artist"])
def test_no_text_of_a_csv_is_a_formula_and_numbers_stay_numbers(tmp_path: Path, column: str) -> None:
    day, texts = date(2025, 2, 11), HARMFUL + HARMLESS
    columns = {"title": ["x"] * len(texts), "artist": ["y"] * len(texts), column: texts}
    rows = pa.table(
        {
            "event_date": [day] * len(texts),
            "state_code": ["ALL"] * len(texts),
            "pk_song": [f"{number:032x}" for number in range(len(texts))],
            **columns,
            "streams": list(range(1, len(texts) + 1)),
        }
    )
    artists = rows.group_by(["event_date", "state_code", "artist"]).aggregate([("streams", "sum")])
    artists = artists.rename_columns({"streams_sum": "streams"})
    states = pa.table({"event_date": [day], "state_code": ["-X"], "state": ["=Elsewhere"], "streams": [1]})
    publish(
        tmp_path,
        {
            "mart_daily_song_streams": {day: rows},
            "mart_daily_artist_streams": {day: artists},
            "mart_daily_state_streams": {day: states},
        },
        AS_OF,
    )
    client = client_of(tmp_path)
    text = client.get("/download/songs.csv").get_data(as_text=True)
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    wanted = {*(f"'{harmful}" for harmful in HARMFUL), *HARMLESS}
    assert {row[column] for row in found} == wanted
    assert sorted(int(row["streams"]) for row in found) == list(range(1, len(texts) + 1))
    if column == "artist":
        text = client.get("/download/artists.csv").get_data(as_text=True)
        assert {row["artist"] for row in csv.DictReader(io.StringIO(text, newline=""))} == wanted
    assert "'-X,'=Elsewhere,1," in client.get("/download/states.csv").text


def test_a_negative_number_is_no_formula() -> None:
    assert harmless((-1, -0.5, "-1", None, date(2025, 1, 1))) == [
        -1,
        -0.5,
        "'-1",
        None,
        date(2025, 1, 1),
    ]


@pytest.mark.parametrize(
    ("as_of", "published_at", "now", "shown", "stale"),
    [
        ("10:00", "10:03", "10:05", "10:00", False),
        ("11:00", "10:03", "10:05", "10:03", False),  # the newest hour still runs
        ("10:00", "10:03", "11:30", "10:00", False),
        ("10:00", "10:03", "11:31", "10:00", True),
    ],
)
def test_how_fresh_the_data_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_of: str,
    published_at: str,
    now: str,
    shown: str,
    stale: bool,
) -> None:
    def at(clock: str) -> datetime:
        return datetime.fromisoformat(f"2025-02-12T{clock}+00:00")

    publish(tmp_path, {}, at(as_of))
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"published_at": at(published_at).isoformat()}))
    state = status(site_of(tmp_path, at(now)))
    assert (state.as_of, state.stale) == (at(shown), stale)
    assert state.age == at(now) - at(shown)


def test_the_hours_that_are_missing_or_late_are_named(tmp_path: Path) -> None:
    def told(as_of: datetime, **hours: tuple[datetime, ...]) -> str:
        publish(tmp_path, {}, as_of, hours=Hours(first=AS_OF - timedelta(days=7), **hours))
        return re.sub(r"\s+", " ", " ".join(texts(shell.hours(status(site_of(tmp_path, AS_OF))))))

    one, hour = AS_OF - timedelta(hours=9), timedelta(hours=1)
    assert "whole until 00:00" in told(AS_OF)
    assert "All numbers are whole until 11 Feb 2025, 23:00 UTC. The hour from 23:00 was not over" in told(
        AS_OF - timedelta(minutes=20)
    )
    amiss = told(AS_OF, unfinished=(one,), absent=(one + hour, one + 2 * hour, one + 5 * hour))
    assert "4 hours missing or late" in amiss
    assert "whole until 11 Feb 2025, 15:00 UTC" in amiss
    assert "not readable: 11 Feb 2025, 15:00 to 16:00" in amiss
    assert "late: 11 Feb 2025, 16:00 to 18:00; 11 Feb 2025, 20:00 to 21:00" in amiss
    assert "since 5 Feb 2025, 00:00 UTC" in amiss
    publish(tmp_path, {}, AS_OF)
    assert shell.hours(status(site_of(tmp_path, AS_OF))) == [], "nobody looked"


def texts(component: Any) -> Iterator[str]:
    """What a component says."""
    if isinstance(component, str):
        yield component
    for part in component if isinstance(component, list) else [getattr(component, "children", None) or []]:
        if part:
            yield from texts(part)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (formats.compact(950), "950"),
        (formats.compact(2_578), "2,578"),
        (formats.compact(12_345), "12,345"),
        (formats.compact(99_999), "99,999"),
        (formats.compact(99_999.6), "100K"),
        (formats.compact(617_200), "617K"),
        (formats.compact(999_999), "1M"),
        (formats.compact(1_234_567), "1.23M"),
        (formats.count(1_234_567), "1,234,567"),
        (formats.dollars(0), "$0.00"),
        (formats.dollars(0.0153), "$0.015"),
        (formats.dollars(465.5), "$465.50"),
        (formats.dollars(999.999), "$1,000"),
        (formats.dollars(2_578.4), "$2,578"),
        (formats.dollars(123_820), "$124K"),
        (formats.percent(0.16114), "16.11%"),
        (formats.span(date(2025, 2, 3), date(2025, 2, 9)), "3 to 9 Feb 2025"),
        (formats.span(date(2025, 1, 27), date(2025, 2, 2)), "27 Jan to 2 Feb 2025"),
        (formats.span(date(2024, 12, 30), date(2025, 1, 5)), "30 Dec 2024 to 5 Jan 2025"),
        (formats.span(date(2025, 1, 5), date(2025, 1, 5)), "5 Jan 2025"),
        (formats.moment(datetime(2025, 2, 12, 14, tzinfo=UTC)), "12 Feb 2025, 14:00 UTC"),
        (formats.age(timedelta(seconds=59)), "just now"),
        (formats.age(timedelta(minutes=119)), "119 min"),
        (formats.age(timedelta(minutes=120)), "2 h"),
        (formats.age(timedelta(hours=49)), "2 days"),
    ],
)
def test_numbers_and_times_are_written_to_be_read(written: str, wanted: str) -> None:
    assert written == wanted
