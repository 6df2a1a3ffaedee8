"""Weighted choice, random streams, the clock's rhythm, and the data files in eventsim's formats."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from streaming_assets.simulator import catalogue as catalogue_module
from streaming_assets.simulator.catalogue import CatalogueError, Files, load_catalogue
from streaming_assets.simulator.clock import DAY, Clock, Rhythm, is_free
from streaming_assets.simulator.making.__main__ import make
from streaming_assets.simulator.randomness import exponential, stream_keys, uniforms
from streaming_assets.simulator.weighted import AliasRows, AliasTable


def seconds(text: str) -> np.ndarray:
    return np.array([np.datetime64(text, "s").astype(np.int64)])


def sample(n: int = 400_000, purpose: int = 0) -> np.ndarray:
    return uniforms(stream_keys(5, 1, np.arange(n)), 3, purpose)


def test_weighted_choice_is_proportional_and_never_takes_weight_zero() -> None:
    weights = np.array([0, 5, 1, 0, 0.25, 3, 0])
    counts = np.bincount(AliasTable(weights).draw(sample()), minlength=len(weights))
    assert (counts[weights == 0] == 0).all()
    expected = counts.sum() * weights / weights.sum()
    chosen = weights > 0
    assert ((counts - expected)[chosen] ** 2 / expected[chosen]).sum() < 30


def test_rows_of_weights_do_not_mix() -> None:
    rows = AliasRows([np.array([1.0]), np.array([0.2, 0.0, 0.8]), np.array([0.0, 1.0])])
    u = sample(30_000)
    row = np.arange(len(u)) % 3
    drawn = rows.draw(row, u)
    assert set(drawn[row == 0]) == {0}
    assert set(drawn[row == 1]) == {0, 2}
    assert set(drawn[row == 2]) == {1}


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [math.nan]])
def test_impossible_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        AliasTable(weights)


def test_random_streams_are_uniform_and_independent() -> None:
    a, b = sample(purpose=0), sample(purpose=1)
    other = uniforms(stream_keys(5, 2, np.arange(len(a))), 3, 0)
    for u in (a, b, other):
        counts = np.bincount((u * 100).astype(int), minlength=100)
        assert abs(((counts - len(u) / 100) ** 2 / (len(u) / 100)).sum() - 99) < 5 * math.sqrt(198)
    for u, v in ((a, b), (a, other), (a[:-1], a[1:])):
        assert abs(np.corrcoef(u, v)[0, 1]) < 5 / math.sqrt(len(u))
    gaps = exponential(90.0, a)
    assert abs(gaps.mean() - 90) < 5 * 90 / math.sqrt(len(a))
    in_turn = uniforms(stream_keys(5, 1, np.array([7] * 1000)), np.arange(1000, dtype=np.uint64), 2)
    assert abs(in_turn.mean() - 0.5) < 5 * math.sqrt(1 / 12 / 1000)


def test_free_days() -> None:
    free = {
        "2025-01-01", "2025-05-26", "2025-07-04", "2025-09-01", "2025-11-11", "2025-11-27", "2025-12-25",
        "2025-04-05", "2025-04-06", "2024-11-28", "2024-05-27",
    }  # fmt: skip
    worked = {
        "2025-01-20",
        "2025-02-17",
        "2025-10-13",
        "2025-05-19",
        "2025-11-20",
        "2025-06-19",
        "2025-07-03",
    }
    for days, expected in ((free, True), (worked, False)):
        chosen = np.array(sorted(days), dtype="datetime64[D]")
        assert is_free(chosen).tolist() == [expected] * len(days)


def clock(damping: float = 0.09375) -> Clock:
    return Clock(Rhythm(damping, 0.5, 180 * 60, 360 * 60, 1800))


@pytest.mark.parametrize(
    ("moment", "rejected"),
    [
        ("2025-04-04T12:00:00", 0.0),  # a Friday
        ("2025-04-04T21:00:00", 0.0),
        ("2025-04-05T00:00:00", 0.25),
        ("2025-04-05T03:00:00", 0.5),
        ("2025-04-06T12:00:00", 0.5),
        ("2025-04-06T21:00:00", 0.5),
        ("2025-04-07T00:00:00", 0.25),
        ("2025-04-07T03:00:00", 0.0),
        ("2025-05-26T12:00:00", 0.5),  # Memorial Day, a Monday: the run goes on
        ("2025-05-27T00:00:00", 0.25),
    ],
)
def test_free_days_reject_sessions_by_a_ramp(moment: str, rejected: float) -> None:
    assert clock().rejection(seconds(moment))[0] == pytest.approx(rejected)


def test_daily_cycle_rests_at_three_and_fifteen() -> None:
    warp = clock().warp
    for fixed in ("2025-04-02T03:00:00", "2025-04-02T15:00:00"):
        assert warp(seconds(fixed)) == seconds(fixed)
    assert warp(seconds("2025-04-02T09:00:00")) == seconds("2025-04-02T11:15:00")
    assert warp(seconds("2025-04-02T21:00:00")) == seconds("2025-04-02T18:45:00")
    day = np.arange(DAY) + seconds("2025-04-02")[0]
    assert (np.diff(warp(day)) >= 0).all()


def test_bundled_files_are_those_their_script_makes(tmp_path: Path) -> None:
    make(tmp_path)
    committed = {path.name: path.read_bytes() for path in catalogue_module.DATA.iterdir()}
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(made) == set(committed)
    for name, data in made.items():
        unpack = gzip.decompress if name.endswith(".gz") else bytes
        assert unpack(data) == unpack(committed[name]), name
    assert sum(map(len, committed.values())) < 500_000


def test_bundled_pools() -> None:
    pools = load_catalogue(Files())
    songs = pools.songs.rows
    assert len({(artist, title) for artist, title, _ in songs}) == len(songs) > 3000
    assert any('"' in title for _, title, _ in songs)
    assert any(not artist.isascii() for artist, _, _ in songs)
    assert min(duration for *_, duration in songs) > 0
    counts = np.sort(pools.songs.weights)[::-1]
    slope = np.polyfit(np.log(np.arange(1, 1001)), np.log(counts[:1000]), 1)[0]
    assert -1.1 < slope < -0.7
    assert len({state for _, state, *_ in pools.places.rows}) == 51
    assert all(len(code) == 5 for _, _, code, *_ in pools.places.rows)
    assert {sex for _, sex in pools.first_names.rows} == {"F", "M"}


def test_formats_of_eventsim(tmp_path: Path) -> None:
    songs = tmp_path / "listen_counts.txt.gz"
    rows = 'T1\tBj\xf6rk\tA "title"\t\t5\r\nT2\tB\tC\t10.25\t1\r\n'
    songs.write_bytes(gzip.compress(rows.encode("latin-1")))
    places = tmp_path / "US.txt"
    places.write_text(
        "US\t01001\tOld Name\tMassachusetts\tMA\tHampden\t013\t\t\t42.06\t-72.61\t4\n"
        "US\t01001\tAgawam\tMassachusetts\tMA\tHampden\t013\t\t\t42.06\t-72.61\t4\n"
        "US\t99999\tNowhere\tAlaska\tAK\tX\t1\t\t\t1\t2\t4\n"
    )
    population = tmp_path / "Gaz.txt"
    population.write_text(
        "GEOID\tPOP10\ta\tb\tc\td\te\tLAT\tLONG\n01001\t16769\t1\t2\t3\t4\t5\t42.5\t-72.5\n"
    )
    surnames = tmp_path / "Top.csv"
    surnames.write_bytes(b"name,rank,count,x\rO'NEIL,1,20,1\rSMITH,2,10,1\r")
    agents = tmp_path / "user agents.txt"
    agents.write_bytes(
        'percent\tweight\tuseragent\tBrowser\tOS\r\n7%\t 72 \t"Agent/1"\tB\tO\r\n'.encode("utf-16")
    )
    names = tmp_path / "yob.txt"
    names.write_bytes(b"ISABELLA,F,22731\r\nJacob,M,22000\r\n")
    pools = load_catalogue(
        Files(songs, None, places, population, first_names=names, surnames=surnames, user_agents=agents)
    )
    assert pools.songs.rows == [("Bj\xf6rk", 'A "title"', 180.0), ("B", "C", 10.25)]
    assert pools.places.rows == [("Agawam", "MA", "01001", -72.5, 42.5)]
    assert pools.places.weights == [16769.0]
    assert pools.surnames.rows == [("O'neil",), ("Smith",)]
    assert pools.user_agents.rows == [('"Agent/1"',)]
    assert pools.first_names.rows == [("Isabella", "F"), ("Jacob", "M")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"T1\tA\n", "row 1 is not of the form track id, artist"),
        (b"T1\tA\tB\tlong\t1\n", "row 1 is not of the form"),
        (b"", "no row of positive weight"),
        (b"\x1f\x8bbroken", "damaged gzip"),
    ],
)
def test_unusable_songs(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "songs.tsv"
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match=message) as raised:
        load_catalogue(Files(songs=path))
    assert str(path) in str(raised.value)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="user agents"):
        load_catalogue(Files(user_agents=tmp_path / "none"))
