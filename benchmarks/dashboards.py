"""The dashboards at the scale of the reference pipeline, and at ten times that.

    python benchmarks/dashboards.py [--folder DIR] [--factor 1 --factor 10]

A snapshot of 30 days is made in the marts' own grain: 385,252 songs, 30,000 artists, 51 states, 2 million
listens a day (20 million at factor 10), each (day, state, song) count drawn from its Poisson distribution.
The rows of three days are drawn; the other days repeat them. Then, over HTTP:

- publish: one day of all tables, as the hourly run publishes it;
- redraw: what a change of filters on the music page asks for, with ranges and states drawn at random;
- songs: the first page of the songs table after that change, and its further pages, sorts and searches;
- the CPU time of both, client's included, in which a busy machine shows less;
- crowd: 20 people who click at once;
- paint: first contentful paint and the time until the charts stand, in Chromium with an empty cache.

Times are milliseconds at the client, on whatever the machine is; results go to benchmarks/dashboards.md.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from waitress.server import create_server

from streaming_assets.dashboards.app import create_app
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.states import NAMES
from streaming_assets.published import publication
from streaming_assets.published.snapshot import SnapshotReader
from streaming_assets.published.tables import for_file
from streaming_assets.testing.publishing import publish, tables

SONGS, ARTISTS, GENRES, DAYS, DRAWN = 385_252, 30_000, 20, 30, 3
LISTENS_A_DAY = 2_000_000
FIRST = date(2025, 1, 6)
AS_OF = datetime(2025, 2, 5, tzinfo=UTC)
STATES = np.array(list(NAMES))
RNG = np.random.default_rng(1)


def draw_day(factor: int) -> dict[str, pa.Table]:
    """One day of the marts over streams, without its date."""
    of_song = 1 / np.arange(1, SONGS + 1) ** 0.8
    of_state = RNG.dirichlet(np.full(51, 1.2))
    counts = RNG.poisson(
        np.outer(of_state / of_state.sum(), of_song / of_song.sum()) * LISTENS_A_DAY * factor
    ).astype(np.int32)
    artist_of, genre_of = np.arange(SONGS) % ARTISTS, np.arange(SONGS) % GENRES
    by_artist = np.stack([np.bincount(artist_of, row, ARTISTS) for row in counts])
    by_genre = np.stack([np.bincount(genre_of, row, GENRES) for row in counts])
    keys = pa.array([f"{number * 2654435761 % 2**128:032x}" for number in range(SONGS)])
    titles = pa.array([f"A song of some length, number {number}" for number in range(SONGS)])
    artists = pa.array([f"An artist, number {number}" for number in range(ARTISTS)])
    genres = pa.array([f"Genre {number}" for number in range(GENRES)])
    state, song, streams = _grain(counts)
    artist_state, artist, artist_streams = _grain(by_artist)
    genre_state, genre, genre_streams = _grain(by_genre)
    return {
        "mart_daily_song_streams": pa.table(
            {
                "state_code": state,
                "pk_song": keys.take(song),
                "title": titles.take(song),
                "artist": artists.take(pa.array(artist_of[song])),
                "streams": streams,
            }
        ),
        "mart_daily_artist_streams": pa.table(
            {"state_code": artist_state, "artist": artists.take(artist), "streams": artist_streams}
        ),
        "mart_daily_genre_streams": pa.table(
            {"state_code": genre_state, "genre": genres.take(genre), "streams": genre_streams}
        ),
        "mart_daily_state_streams": pa.table(
            {"state_code": STATES, "state": list(NAMES.values()), "streams": counts.sum(axis=1)}
        ),
    }


def _grain(counts: np.ndarray) -> tuple[pa.Array, pa.Array, pa.Array]:
    """State, column and count of every cell that is not 0, with the rollup over all states."""
    both = np.vstack([counts, counts.sum(axis=0)]).astype(np.int64)
    row, column = np.nonzero(both)
    return (
        pa.array(np.append(STATES, "ALL")).take(pa.array(row)),
        pa.array(column),
        pa.array(both[row, column]),
    )


def users(factor: int, day: date) -> dict[str, pa.Table]:
    """The day's row of the small marts: 180K free and 35K paid users, $465, as the reference had them."""
    free, paid = 180_000 * factor, 35_000 * factor
    return {
        "mart_daily_active_users": pa.table(
            {"level": ["free", "paid", "all"], "active_users": [free, paid, free + paid]}
        ),
        "mart_daily_ad_revenue": pa.table({"ads_served": [93_000 * factor], "ad_revenue": [465.0 * factor]}),
        **(
            {
                "mart_weekly_users": pa.table(
                    {
                        "users": [617_200 * factor],
                        "paid_users": [99_430 * factor],
                        "free_users": [517_770 * factor],
                        "ads_served": [650_000 * factor],
                        "ad_revenue": [3_255.0 * factor],
                    }
                )
            }
            if day.weekday() == 0
            else {}
        ),
    }


def dated(name: str, day: date, rows: pa.Table) -> pa.Table:
    column = (
        pa.array([day] * rows.num_rows, pa.date32())
        if rows.num_rows < 1000
        else pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    )
    return rows.append_column(tables()[name].day_column, column)


def fill(folder: Path, factor: int) -> dict[str, float]:
    """Publish 30 days; seconds and bytes of publishing the last of them by the ordinary way."""
    if (folder / "manifest.json").exists():
        print("  the snapshot that is there is used")
        return {"publish": float("nan"), **size_of(folder)}
    drawn = [draw_day(factor) for _ in range(DRAWN)]
    songs = "mart_daily_song_streams"
    in_file = [for_file(tables()[songs], FIRST, dated(songs, FIRST, day[songs])) for day in drawn]
    seconds = 0.0
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        rows = drawn[number % DRAWN] | users(factor, day)
        given = {name: {day: dated(name, day, table)} for name, table in rows.items()}
        last = number == DAYS - 1
        if not last:  # the songs of a drawn day are sorted and numbered already
            given[songs][day] = redated(in_file[number % DRAWN], day)
            publication.for_file = lambda table, day, rows: (
                rows if table.numbered else for_file(table, day, rows)
            )
        start = time.perf_counter()
        publish(folder, given, AS_OF)
        seconds = time.perf_counter() - start
        publication.for_file = for_file
        print(f"  day {number + 1} of {DAYS}", end="\r", flush=True)
    return {"publish": seconds, **size_of(folder)}


def size_of(folder: Path) -> dict[str, float]:
    songs = folder.glob("mart_daily_song_streams/*.parquet")
    return {
        "song_rows": sum(pq.read_metadata(path).num_rows for path in songs),
        "bytes": sum(path.stat().st_size for path in folder.glob("*/*.parquet")),
    }


def redated(rows: pa.Table, day: date) -> pa.Table:
    index = rows.column_names.index("event_date")
    return rows.set_column(index, "event_date", pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows))


class Person:
    """Clicks on the music page: the requests that its browser sends."""

    def __init__(self, url: str, seed: int) -> None:
        self.url, self.rng, self.http = url, np.random.default_rng(seed), requests.Session()
        self.callbacks = {
            callback["output"]: callback for callback in self.http.get(f"{url}/_dash-dependencies").json()
        }

    def choose(self) -> None:
        first = FIRST + timedelta(days=int(self.rng.integers(0, DAYS)))
        last = FIRST + timedelta(days=int(self.rng.integers(0, DAYS)))
        self.days = sorted((first.isoformat(), last.isoformat()))
        self.state = "ALL" if self.rng.random() < 0.4 else str(self.rng.choice(STATES))

    def redraw(self) -> None:
        chosen = {"music-days": self.days, "music-preset": "custom", "music-state": self.state}
        self._call(
            "music-subtitle", chosen | {"music-marks": {}, "songs-search": "", "snapshot": 1, "address": ""}
        )

    def songs(self, start: int = 0, sort: str = "rank", search: str = "") -> None:
        query = f"?from={self.days[0]}&to={self.days[1]}&state={self.state}&q={search}"
        request = {"startRow": start, "endRow": start + 12, "sortModel": [{"colId": sort, "sort": "asc"}]}
        self._call("songs-grid.getRowsResponse", {"songs-grid": request, "address": query})

    def _call(self, output: str, values: dict[str, Any]) -> None:
        name, callback = next((n, c) for n, c in self.callbacks.items() if output in n)
        body = {
            "output": name,
            "outputs": _outputs(name),
            "inputs": [_given(item, values) for item in callback["inputs"]],
            "state": [_given(item, values) for item in callback["state"]],
            "changedPropIds": [],
        }
        answer = self.http.post(
            f"{self.url}/_dash-update-component",
            orjson.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        answer.raise_for_status()
        if "response" not in answer.json():
            raise RuntimeError(f"no answer to {output}: {answer.text[:300]}")


def _given(item: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": orjson.loads(item["id"]) if item["id"].startswith("{") else item["id"],
        "property": item["property"],
        "value": next(value for key, value in values.items() if key in item["id"]),
    }


def _outputs(name: str) -> list[Any]:
    outputs = []
    for one in name.strip(".").split("..."):
        identity, prop = one.rsplit(".", 1)
        if "ALL" in identity:
            outputs.append([{"id": {"type": "state", "code": code}, "property": prop} for code in NAMES])
        else:
            identity = orjson.loads(identity) if identity.startswith("{") else identity
            outputs.append({"id": identity, "property": prop})
    return outputs


def cpu(action: Callable[[], None]) -> float:
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1000


def timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def spread(times: list[float]) -> str:
    return f"{np.percentile(times, 50):.0f} / {np.percentile(times, 95):.0f}"


def measure(url: str, clicks: int) -> dict[str, str]:
    one = Person(url, 1)
    one.choose()
    results = {"first songs request after a start (names are read)": f"{timed(one.songs):.0f}"}
    times: dict[str, list[float]] = {"redraw": [], "songs": [], "page": [], "sort": [], "search": []}
    for _ in range(clicks):
        one.choose()
        times["redraw"].append(timed(one.redraw))
        times["songs"].append(timed(one.songs))
        times["page"].append(timed(lambda: one.songs(start=1200)))
        times["sort"].append(timed(lambda: one.songs(sort="title")))
        times["search"].append(timed(lambda: one.songs(search="9999")))
    spent = []
    for _ in range(clicks):
        one.choose()
        spent.append((cpu(one.redraw), cpu(one.songs)))
    results["CPU of a redraw"], results["CPU of the songs table after it"] = map(
        spread, zip(*spent, strict=True)
    )
    names = {
        "redraw": "redraw after a change of filters",
        "songs": "songs table after it",
        "page": "another page of songs",
        "sort": "songs sorted by title",
        "search": "search in songs",
    }
    return results | {names[key]: spread(value) for key, value in times.items()}


def crowd(url: str, people: int = 20, clicks: int = 6) -> str:
    errors: list[str] = []
    times: list[float] = []

    def visit(seed: int) -> None:
        try:
            person = Person(url, seed)
            for _ in range(clicks):
                person.choose()
                times.append(timed(person.redraw))
                person.songs()
        except Exception as error:
            errors.append(repr(error))

    with ThreadPoolExecutor(people) as pool:
        list(pool.map(visit, range(100, 100 + people)))
    return f"{spread(times)}, {len(errors)} errors in {len(times) * 2} requests"


def paint(url: str) -> dict[str, str]:
    chromium = shutil.which("chromium")
    if chromium is None:
        return {"paint": "no chromium on PATH"}
    from playwright.sync_api import sync_playwright

    results = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for path, ready in (("/", ".recharts-bar-rectangle"), ("/music", "#songs-grid .ag-row")):
            first, whole = [], []
            for _ in range(5):
                page = browser.new_context().new_page()
                start = time.perf_counter()
                page.goto(url + path)
                page.wait_for_selector(ready)
                whole.append((time.perf_counter() - start) * 1000)
                first.append(
                    page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
                )
                page.context.close()
            results[f"{path}: first contentful paint"] = spread(first)
            results[f"{path}: charts stand"] = spread(whole)
        browser.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--factor", type=int, action="append", help="times the reference; default 1 and 10")
    parser.add_argument(
        "--folder", type=Path, help="where snapshots are kept and used again; default a temporary one"
    )
    parser.add_argument("--clicks", type=int, default=40, help="changes of filters to measure; default 40")
    arguments = parser.parse_args()
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="dashboards-"))
    rows: dict[str, dict[int, str]] = {}
    for factor in arguments.factor or [1, 10]:
        folder = root / f"x{factor}"
        made = fill(folder, factor)
        site = Site(SnapshotReader(folder), 4.99, timedelta(minutes=90))
        server = create_server(create_app(site).server, host="127.0.0.1", port=0, threads=8)
        threading.Thread(target=server.run, daemon=True).start()
        url = f"http://127.0.0.1:{server.effective_port}"
        found = {
            "rows of songs in the snapshot": f"{made['song_rows']:,}",
            "size of the snapshot": f"{made['bytes'] / 1e6:,.0f} MB",
            "publish one day of all tables, s": f"{made['publish']:.1f}",
            **measure(url, arguments.clicks),
            "redraw with 20 people at once": crowd(url),
            **paint(url),
            "machine's load at the end (2 cores)": f"{os.getloadavg()[0]:.1f}",
        }
        server.close()
        for name, value in found.items():
            rows.setdefault(name, {})[factor] = value
            print(f"x{factor}  {name}: {value}")
        if arguments.folder is None:
            shutil.rmtree(folder)
    factors = sorted({factor for values in rows.values() for factor in values})
    lines = [
        "| ms, median / 95th percentile unless said | "
        + " | ".join(f"x{factor}" for factor in factors)
        + " |",
        "|---|" + "---|" * len(factors),
        *(
            f"| {name} | " + " | ".join(values.get(f, "") for f in factors) + " |"
            for name, values in rows.items()
        ),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
