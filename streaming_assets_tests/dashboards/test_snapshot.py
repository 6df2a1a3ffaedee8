"""Publishing and reading: what is merged, what a reader can see, and what a crash leaves behind."""

import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streaming_assets.published import publication as publications
from streaming_assets.published.manifest import MANIFEST, File, Manifest, NoSnapshot, SnapshotError
from streaming_assets.published.publication import Publication
from streaming_assets.published.snapshot import Snapshot, SnapshotReader
from streaming_assets.published.tables import TableError
from streaming_assets.testing.publishing import publish, tables
from streaming_assets_tests.dashboards.world import AS_OF, Marts

DAY, NEXT = date(2025, 1, 6), date(2025, 1, 7)
REVENUE = "mart_daily_ad_revenue"
SONGS = "mart_daily_song_streams"


def revenue(day: date, ads: int) -> pa.Table:
    return pa.table({"event_date": [day], "ads_served": [ads], "ad_revenue": [ads / 100]})


def songs(day: date, *rows: tuple[str, str, int]) -> pa.Table:
    states, keys, streams = zip(*rows, strict=True)
    return pa.table(
        {
            "event_date": [day] * len(rows),
            "state_code": states,
            "pk_song": keys,
            "title": [f"title {key}" for key in keys],
            "artist": [f"artist {key}" for key in keys],
            "streams": streams,
        }
    )


def file_of(manifest: Manifest, table: str, day: date) -> File:
    file = manifest.tables[table].days[day]
    assert file is not None
    return file


def ads_by_day(snapshot: Snapshot) -> dict[date, int]:
    rows = snapshot.query("SELECT event_date, ads_served FROM {rows}", REVENUE, snapshot.days(REVENUE))
    return {row["event_date"]: row["ads_served"] for row in rows.to_pylist()}


def test_what_is_published_is_read_back(published: Path, marts: Marts) -> None:
    snapshot = Snapshot.open(published)
    assert snapshot.manifest.as_of == AS_OF
    for name in marts:
        table = tables()[name]
        assert snapshot.days(name) == sorted(marts[name])
        columns = [
            column
            for column in table.schema.names
            if name != SONGS or column not in ("title", "artist", "pk_song")
        ]
        wanted = pa.concat_tables(marts[name].values()).select(columns)
        read = snapshot.query(f"SELECT {', '.join(columns)} FROM {{rows}}", name, snapshot.days(name))
        key = [(column, "ascending") for column in columns]
        assert read.sort_by(key).to_pylist() == wanted.sort_by(key).to_pylist()


def test_a_song_keeps_its_names_on_the_row_of_the_rollup(tmp_path: Path) -> None:
    publish(tmp_path, {SONGS: {DAY: songs(DAY, ("ALL", "a", 3), ("TX", "a", 1), ("CA", "a", 2))}}, AS_OF)
    rows = Snapshot.open(tmp_path).query("SELECT * FROM {rows} ORDER BY streams", SONGS, [DAY]).to_pylist()
    assert [(row["state_code"], row["title"], row["pk_song"]) for row in rows] == [
        ("TX", None, None),
        ("CA", None, None),
        ("ALL", "title a", "a"),
    ]
    assert len({row["song_id"] for row in rows}) == 1


def test_days_are_merged_replaced_and_removed(tmp_path: Path) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1), NEXT: revenue(NEXT, 2)}}, AS_OF)
    publish(tmp_path, {REVENUE: {NEXT: revenue(NEXT, 5)}}, AS_OF + timedelta(hours=1))
    snapshot = Snapshot.open(tmp_path)
    assert ads_by_day(snapshot) == {DAY: 1, NEXT: 5}
    assert snapshot.manifest.snapshot == 2
    assert snapshot.manifest.as_of == AS_OF + timedelta(hours=1)
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1).slice(0, 0)}}, AS_OF)
    assert ads_by_day(Snapshot.open(tmp_path)) == {NEXT: 5}
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 8)}}, AS_OF, replace_all=True)
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY: 8}


def test_publishing_writes_only_the_days_that_changed(tmp_path: Path, marts: Marts) -> None:
    publish(tmp_path, marts, AS_OF)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*/*.parquet")}
    publish(tmp_path, {name: {DAY: marts[name][DAY]} for name in marts}, AS_OF)  # the same content once more
    assert {path: path.stat().st_ino for path in tmp_path.glob("*/*.parquet")} == before
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 77)}}, AS_OF)
    new = {path.name for path in tmp_path.glob("*/*.parquet") if path not in before}
    assert len(new) == 1
    assert new.pop().startswith(DAY.isoformat())


def test_rows_in_another_order_are_the_same_file(tmp_path: Path) -> None:
    rows = songs(DAY, ("ALL", "a", 3), ("ALL", "b", 3), ("CA", "a", 3), ("CA", "b", 3))
    first = publish(tmp_path, {SONGS: {DAY: rows}}, AS_OF)
    second = publish(tmp_path, {SONGS: {DAY: rows.take([3, 1, 0, 2])}}, AS_OF)
    assert first.files() == second.files()


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("mart_of_nothing", revenue(DAY, 1), "mart_of_nothing: no such table"),
        (REVENUE, revenue(DAY, 1).drop(["ads_served"]), "2025-01-06 lacks ads_served"),
        (REVENUE, revenue(NEXT, 1), "1 rows have another event_date"),
        (REVENUE, pa.concat_tables([revenue(DAY, 1), revenue(DAY, 2)]), "2 rows, but 1 of event_date"),
        (REVENUE, revenue(DAY, 1).set_column(1, "ads_served", pa.array(["x"])), REVENUE),
        (REVENUE, revenue(DAY, 1).set_column(1, "ads_served", pa.nulls(1, pa.int64())), "have no ads_served"),
        (SONGS, songs(DAY, ("CA", "a", 1)), "1 rows have no row of their pk_song in ALL"),
    ],
)
def test_a_table_that_breaks_its_contract_leaves_the_snapshot_as_it_was(
    tmp_path: Path, name: str, rows: pa.Table, message: str
) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 9)}}, AS_OF)
    with pytest.raises(TableError, match=message):
        publish(tmp_path, {name: {DAY: rows}}, AS_OF)
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY: 9}


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no time zone"):
        publish(tmp_path, {}, datetime(2025, 1, 1))


def test_without_a_manifest_there_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshot, match="nothing has been published"):
        Snapshot.open(tmp_path / "nowhere")
    reader = SnapshotReader(tmp_path)
    with pytest.raises(NoSnapshot):
        reader.current()
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    assert ads_by_day(reader.current()) == {DAY: 1}


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another version": lambda it: it.update(format=1),
    "a later version": lambda it: it.update(format=99),
    "no time": lambda it: it.update(as_of="soon"),
    "a time without zone": lambda it: it.update(as_of="2025-02-12T00:00:00"),
    "no number": lambda it: it.update(snapshot="one"),
    "tables of a wrong type": lambda it: it.update(tables=[]),
    "days of a wrong type": lambda it: it["tables"][REVENUE].update(days=["2025-01-06"]),
    "no day": lambda it: it["tables"][REVENUE]["days"].update({"6 January": None}),
    "a name as of old": lambda it: it["tables"][REVENUE]["days"].update({"2025-01-06": "x/y.parquet"}),
    "a path that leads out": lambda it: it["tables"][REVENUE]["days"]["2025-01-06"].update(
        file="../secret.parquet"
    ),
    "no hash": lambda it: it["tables"][REVENUE]["days"]["2025-01-06"].pop("sha256"),
    "something unknown": lambda it: it.update(surprise=2),
    "retired of a wrong type": lambda it: it.update(retired=[]),
}


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "\0" * 500, *DAMAGES])
def test_a_damaged_manifest_is_an_error_and_the_next_publication_starts_anew(
    tmp_path: Path, damage: str
) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1), NEXT: revenue(NEXT, 2)}}, AS_OF)
    if damage in DAMAGES:
        content = json.loads((tmp_path / MANIFEST).read_text())
        DAMAGES[damage](content)
        damage = json.dumps(content)
    (tmp_path / MANIFEST).write_text(damage)
    with pytest.raises(SnapshotError, match="damaged or of another version"):
        Snapshot.open(tmp_path)
    with Publication.begin(tmp_path, tables().values()) as publication:
        assert not any(publication.days(name) for name in tables())
        assert "damaged or of another version" in publication.findings[0]
        publication.put(REVENUE, DAY, revenue(DAY, 1))
        manifest = publication.commit(AS_OF)
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY: 1}
    assert manifest.snapshot > 1, "an open page of the former snapshot must see that this is another"


def test_a_manifest_cut_short_anywhere_is_an_error(tmp_path: Path) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    content = (tmp_path / MANIFEST).read_bytes()
    for length in range(0, len(content) - 1, 97):
        (tmp_path / MANIFEST).write_bytes(content[:length])
        with pytest.raises(SnapshotError):
            Manifest.read(tmp_path)


def test_a_snapshot_of_another_generation_of_the_warehouse_is_not_kept(tmp_path: Path) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    for generation, kept in (("", {DAY}), ("b", set()), ("b", {DAY}), ("", set())):
        with Publication.begin(tmp_path, tables().values(), generation) as publication:
            assert publication.days(REVENUE) == kept
            assert bool(publication.findings) == (not kept)
            publication.put(REVENUE, DAY, revenue(DAY, 1))
            publication.commit(AS_OF)


def test_a_table_of_other_columns_is_published_anew_and_one_that_is_no_more_leaves(tmp_path: Path) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}, SONGS: {DAY: songs(DAY, ("ALL", "a", 3))}}, AS_OF)
    old = tables()[REVENUE]
    new = replace(old, columns=old.columns | {"clicks": pa.int64()})
    with Publication.begin(tmp_path, [new]) as publication:
        assert publication.days(REVENUE) == set()
        publication.commit(AS_OF)
    assert set(Manifest.read(tmp_path).tables) == {REVENUE}


FILE_DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "other bytes, as many": lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", FILE_DAMAGES)
def test_a_damaged_file_is_found_and_written_again(tmp_path: Path, damage: str) -> None:
    """Its day is asked for anew; the same content under the same name is not taken for granted."""
    manifest = publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1), NEXT: revenue(NEXT, 2)}}, AS_OF)
    path = tmp_path / file_of(manifest, REVENUE, DAY).file
    FILE_DAMAGES[damage](path)
    if path.is_dir():
        path.rmdir()  # what a person must do
    with Publication.begin(tmp_path, tables().values()) as publication:
        assert publication.days(REVENUE) == {NEXT}
        assert publication.findings == [f"{path} is gone or damaged."]
        publication.put(REVENUE, DAY, revenue(DAY, 1))
        publication.commit(AS_OF)
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY: 1, NEXT: 2}
    with Publication.begin(tmp_path, tables().values()) as publication:
        assert publication.days(REVENUE) == {DAY, NEXT}


def test_the_content_of_files_is_held_to_its_hash_by_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files there are, a publication reads no more than its share, and all are read in the end."""
    days = [DAY + timedelta(days=number) for number in range(7)]
    manifest = publish(tmp_path, {REVENUE: {day: revenue(day, 1) for day in days}}, AS_OF)
    monkeypatch.setattr(publications, "VERIFIED_BYTES", 1)
    for day in days:
        path = tmp_path / file_of(manifest, REVENUE, day).file
        path.write_bytes(bytes(path.stat().st_size))
    found = []
    for _ in days:
        with Publication.begin(tmp_path, tables().values()) as publication:
            found.append(set(days) - publication.days(REVENUE))
            publication.commit(AS_OF)
    assert found == [{day} for day in days] or [len(each) for each in found] == list(range(1, 8))


@pytest.mark.parametrize("damage", ["remove", "truncate"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    manifest = publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    path = tmp_path / file_of(manifest, REVENUE, DAY).file
    path.unlink() if damage == "remove" else path.write_bytes(b"PAR1")
    with pytest.raises(SnapshotError, match=path.name):
        ads_by_day(Snapshot.open(tmp_path))


def test_a_reader_of_the_former_snapshot_keeps_its_files_through_the_grace_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    former = Snapshot.open(tmp_path)
    for ads in range(2, 6):
        publish(tmp_path, {REVENUE: {DAY: revenue(DAY, ads)}}, AS_OF)
    assert ads_by_day(former) == {DAY: 1}
    assert len(list(tmp_path.glob("*/*.parquet"))) == 5
    monkeypatch.setattr(publications, "GRACE", timedelta(0))
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 6)}}, AS_OF)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.parquet")} == Manifest.read(
        tmp_path
    ).files()


def test_content_that_comes_back_is_not_removed_as_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ads in (1, 2, 1):
        publish(tmp_path, {REVENUE: {DAY: revenue(DAY, ads)}}, AS_OF)
    monkeypatch.setattr(publications, "GRACE", timedelta(0))
    publish(tmp_path, {}, AS_OF)
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY: 1}


def test_a_reader_sees_each_new_snapshot_and_keeps_the_old_object_until_then(tmp_path: Path) -> None:
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1)}}, AS_OF)
    reader = SnapshotReader(tmp_path)
    first = reader.current()
    assert reader.current() is first
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 2)}}, AS_OF)
    assert ads_by_day(reader.current()) == {DAY: 2}
    assert ads_by_day(first) == {DAY: 1}


def test_a_kill_at_any_step_leaves_the_former_snapshot_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before the n-th change it makes to the folder, for every n it comes to."""
    publish(tmp_path, {REVENUE: {DAY: revenue(DAY, 1), NEXT: revenue(NEXT, 1)}}, AS_OF)

    class Killed(BaseException):
        pass

    for survive in range(50):
        left = survive
        real = {"replace": os.replace, "fsync": os.fsync, "unlink": Path.unlink}

        def dying(name: str, real=real):
            def step(*args, **kwargs):
                nonlocal left
                if left == 0:
                    raise Killed
                left -= 1
                return real[name](*args, **kwargs)

            return step

        former = ads_by_day(Snapshot.open(tmp_path))
        wanted = {DAY: survive + 100, NEXT: survive + 100}
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying("replace"))
            patch.setattr(os, "fsync", dying("fsync"))
            patch.setattr(Path, "unlink", dying("unlink"))
            patch.setattr(publications, "GRACE", timedelta(0))
            try:
                publish(tmp_path, {REVENUE: {day: revenue(day, ads) for day, ads in wanted.items()}}, AS_OF)
            except Killed:
                assert ads_by_day(Snapshot.open(tmp_path)) in (former, wanted)
            else:
                break
    else:
        pytest.fail("the publication never came to its end")
    assert survive > 8
    assert ads_by_day(Snapshot.open(tmp_path)) == wanted
    monkeypatch.setattr(publications, "GRACE", timedelta(0))
    publish(tmp_path, {}, AS_OF)
    assert len(list(tmp_path.glob("*/*"))) == 2


def _publish_rounds(folder: Path, rounds: int) -> None:
    for ads in range(1, rounds + 1):
        publish(folder, {REVENUE: {DAY: revenue(DAY, ads), NEXT: revenue(NEXT, ads)}}, datetime.now(UTC))


def test_readers_never_see_half_a_publication(tmp_path: Path) -> None:
    """Another process publishes days that always agree; no reader ever sees them differ."""
    _publish_rounds(tmp_path, 1)
    reader, seen, errors = SnapshotReader(tmp_path), set(), []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                days = ads_by_day(reader.current())
                assert days[DAY] == days[NEXT], days
                seen.add(days[DAY])
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    writer = multiprocessing.get_context("spawn").Process(target=_publish_rounds, args=(tmp_path, 25))
    writer.start()
    writer.join(90)
    done.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert writer.exitcode == 0
    assert len(seen) > 3
    assert ads_by_day(reader.current()) == {DAY: 25, NEXT: 25}


def test_two_publishers_lose_none_of_the_days(tmp_path: Path) -> None:
    def every_other(start: int) -> None:
        for number in range(start, 30, 2):
            day = DAY + timedelta(days=number)
            publish(tmp_path, {REVENUE: {day: revenue(day, number)}}, AS_OF)

    threads = [threading.Thread(target=every_other, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ads_by_day(Snapshot.open(tmp_path)) == {DAY + timedelta(days=n): n for n in range(30)}


def test_what_a_warehouse_delivers_in_its_own_types_is_cast(tmp_path: Path) -> None:
    """Decimals, narrow integers and nanosecond-free dates come from BigQuery and DuckDB alike."""
    rows = pa.table(
        {
            "event_date": pa.array([DAY], pa.date32()),
            "ads_served": pa.array([3], pa.int32()),
            "ad_revenue": pa.array([Decimal("1.2345")], pa.decimal128(38, 9)),
            "further": ["ignored"],
        }
    )
    publish(tmp_path, {REVENUE: {DAY: rows}}, AS_OF)
    read = Snapshot.open(tmp_path).query("SELECT * FROM {rows}", REVENUE, [DAY])
    assert read.to_pylist() == [{"event_date": DAY, "ads_served": 3, "ad_revenue": pytest.approx(1.2345)}]
