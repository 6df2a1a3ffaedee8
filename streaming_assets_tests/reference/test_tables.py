"""Reference tables: what is kept of a source's lines, what is refused, and how the lake's file changes."""

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import LOCATIONS, SONGS
from streaming_assets.reference import (
    ReferenceSourceError,
    load_locations,
    load_songs,
    merge_previous,
    read_reference,
    write_reference,
)

ROOT = Path(__file__).parents[2]
TEST_DATA = Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", ROOT.parent / "shared" / "data"))
SONG = "T1\tArtist\tTitle\t200.5\t7"
PLACE = "US\t00501\tHoltsville\tNew York\tNY\tSuffolk\t103\t\t\t40.8154\t-73.0451\t4"


def file_of(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "source.tsv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return str(path)


def test_songs_keep_all_but_the_count(tmp_path: Path) -> None:
    table = load_songs(file_of(tmp_path, SONG, "T2\tB\tC\t180\t1\tJazz", "T3\tB\tD\t90\t1\t"))
    assert table.to_pylist() == [
        _song("T1", "Artist", "Title", 200.5, None),
        _song("T2", "B", "C", 180.0, "Jazz"),
        _song("T3", "B", "D", 90.0, None),
    ]


def _song(track_id: str, artist: str, title: str, duration: float, genre: str | None) -> dict[str, Any]:
    return {
        "track_id": track_id,
        "artist": artist,
        "title": title,
        "duration": duration,
        "genre": genre,
        "is_retired": False,
    }


def test_locations_keep_seven_columns_as_text(tmp_path: Path) -> None:
    """Leading zeros stay, and an empty column is null."""
    no_state = "US\t34050\tFPO\t\tAA\tErie\t029\t\t\t41.0375\t-111.6789\t"
    assert load_locations(file_of(tmp_path, PLACE, no_state)).to_pylist() == [
        {
            "country_code": "US",
            "postal_code": "00501",
            "city": "Holtsville",
            "state": "New York",
            "state_code": "NY",
            "county": "Suffolk",
            "county_code": "103",
            "is_retired": False,
        },
        {
            "country_code": "US",
            "postal_code": "34050",
            "city": "FPO",
            "state": None,
            "state_code": "AA",
            "county": "Erie",
            "county_code": "029",
            "is_retired": False,
        },
    ]


def test_a_song_without_duration_is_as_long_as_eventsim_plays_it(tmp_path: Path) -> None:
    assert load_songs(file_of(tmp_path, "T1\tA\tB\t\t7")).column("duration").to_pylist() == [180.0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
def test_text_is_understood_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    table = load_songs(file_of(tmp_path, "T1\tFrançoise\tDéjà vu\t1\t1", encoding=encoding))
    assert table.select(["track_id", "artist", "title"]).to_pylist() == [
        {"track_id": "T1", "artist": "Françoise", "title": "Déjà vu"}
    ]


def test_gzip_windows_line_ends_and_blank_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "songs.txt.gz"
    path.write_bytes(gzip.compress(f"{SONG}\r\n\r\nT2\tA\tB\t1\t1\r\n".encode()))
    assert load_songs(str(path)).column("track_id").to_pylist() == ["T1", "T2"]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    table = load_songs(file_of(tmp_path, "T1\tA\tone\u2028two\x0bthree\t1\t1"))
    assert table.column("title").to_pylist() == ["one\u2028two\x0bthree"]


def test_of_equal_rows_the_last_counts(tmp_path: Path) -> None:
    table = load_songs(file_of(tmp_path, f"{SONG}\tRock", f"{SONG}\tJazz"))
    assert table.column("genre").to_pylist() == ["Jazz"]


BAD_SONGS = {
    "too few columns": ("T1\tA\tB\t1", r"line 2, 4 columns instead of 5 or 6: 'T1\\tA\\tB\\t1'"),
    "too many columns": ("T1\tA\tB\t1\t1\tx\ty", "line 2, 7 columns instead of 5 or 6"),
    "another separator": ("T1,A,B,1,1", "line 2, 1 columns"),
    "a header": ("id\tartist\ttitle\tduration\tcount", r"line 2, column 4 \(duration\): 'duration' is not"),
    "no track id": ("\tA\tB\t1\t1", r"line 2, column 1 \(track_id\) is empty"),
    "a blank title": ("T1\tA\t \t1\t1", r"line 2, column 3 \(title\) is empty"),
    "a duration of 0": ("T1\tA\tB\t0\t1", "'0' is not a number of seconds above 0"),
    "a negative duration": ("T1\tA\tB\t-3\t1", "'-3' is not a number of seconds above 0"),
    "no finite duration": ("T1\tA\tB\tnan\t1", "'nan' is not a number of seconds above 0"),
    "a count that is none": ("T1\tA\tB\t1\tmany", r"column 5 \(listen_count\): 'many' is not a number"),
}


@pytest.mark.parametrize(("line", "message"), BAD_SONGS.values(), ids=BAD_SONGS.keys())
def test_a_bad_song_is_named(tmp_path: Path, line: str, message: str) -> None:
    source = file_of(tmp_path, SONG, line)
    with pytest.raises(ReferenceSourceError, match=message) as caught:
        load_songs(source)
    assert source in str(caught.value)
    assert "listen_counts" in str(caught.value)  # the way out: what it should look like


BAD_PLACES = {
    "songs": (SONG, "line 2, 5 columns instead of 12"),
    "no postal code": (PLACE.replace("00501", ""), r"column 2 \(postal_code\) is empty"),
    "shifted columns": (
        PLACE.replace("40.8154", "Suffolk"),
        r"column 10 \(latitude\): 'Suffolk' is not degrees",
    ),
    "no place on earth": (PLACE.replace("-73.0451", "730451"), r"column 11 \(longitude\): '730451' is not"),
}


@pytest.mark.parametrize(("line", "message"), BAD_PLACES.values(), ids=BAD_PLACES.keys())
def test_a_bad_place_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ReferenceSourceError, match=message):
        load_locations(file_of(tmp_path, PLACE, line))


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ReferenceSourceError) as caught:
        load_songs(file_of(tmp_path, *["oops"] * 100))
    assert "line 5," in str(caught.value)
    assert "line 6," not in str(caught.value)
    assert "and 95 more lines" in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_source_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ReferenceSourceError, match="has no rows"):
        load_locations(file_of(tmp_path, content))


def test_a_row_that_is_gone_is_retired_not_lost(tmp_path: Path) -> None:
    previous = load_songs(file_of(tmp_path, SONG, "T2\tA\tB\t1\t1"))
    merged = merge_previous(load_songs(file_of(tmp_path, SONG)), previous)
    assert _retired(merged) == {"T1": False, "T2": True}
    again = merge_previous(load_songs(file_of(tmp_path, SONG)), merged)
    assert again.equals(merged)  # a retired row stays
    back = merge_previous(load_songs(file_of(tmp_path, SONG, "T2\tA\tB\t1\t1")), merged)
    assert _retired(back) == {"T1": False, "T2": False}


def _retired(table: pa.Table) -> dict[str, bool]:
    return dict(
        zip(table.column("track_id").to_pylist(), table.column("is_retired").to_pylist(), strict=True)
    )


def test_what_facts_refer_to_makes_another_row_the_rest_changes_in_place(tmp_path: Path) -> None:
    previous = load_locations(file_of(tmp_path, PLACE))
    renamed = load_locations(file_of(tmp_path, PLACE.replace("Holtsville", "Holtsville Park")))
    assert merge_previous(renamed, previous).select(["city", "is_retired"]).to_pylist() == [
        {"city": "Holtsville", "is_retired": True},
        {"city": "Holtsville Park", "is_retired": False},
    ]
    moved = load_locations(file_of(tmp_path, PLACE.replace("Suffolk", "Nassau")))
    assert merge_previous(moved, previous).equals(moved)


def test_the_first_file_has_nothing_to_merge(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    new = load_songs(file_of(tmp_path, SONG))
    assert merge_previous(new, read_reference(lake, SONGS)).equals(new)


def test_a_file_written_is_the_table_read(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    table = load_songs(file_of(tmp_path, SONG, "T0\tA\tB\t1\t1\tRock"))
    size = write_reference(lake, SONGS, table)
    assert size == (tmp_path / "lake" / SONGS).stat().st_size
    read = read_reference(lake, SONGS)
    assert read is not None
    assert read.equals(table)
    stored = pq.ParquetFile(io.BytesIO(lake.read(SONGS)))
    assert stored.metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    other = "T2\tA\tB\t1\t1"
    write_reference(lake, SONGS, load_songs(file_of(tmp_path, SONG, other)))
    before = lake.read(SONGS)
    merged = merge_previous(load_songs(file_of(tmp_path, other, SONG)), read_reference(lake, SONGS))
    write_reference(lake, SONGS, merged)
    assert lake.read(SONGS) == before


def test_a_bad_source_leaves_the_lake_as_it_was(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    write_reference(lake, SONGS, load_songs(file_of(tmp_path, SONG)))
    before = lake.read(SONGS)
    with pytest.raises(ReferenceSourceError):
        write_reference(lake, SONGS, load_songs(file_of(tmp_path, "bad")))
    assert lake.read(SONGS) == before


def test_a_damaged_file_in_the_lake_is_named(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    write_reference(lake, SONGS, load_songs(file_of(tmp_path, *(f"T{n}\tA\tB\t1\t1" for n in range(999)))))
    whole = lake.read(SONGS)
    for damaged in (b"PAR1 but not really", whole[:-10], whole[:100] + b"?" * 20 + whole[120:]):
        lake.write(SONGS, damaged)
        with pytest.raises(ReferenceSourceError, match=r"songs\.parquet is no whole parquet file.*remove it"):
            read_reference(lake, SONGS)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    other = pa.table({"a": [1]})
    with pytest.raises(ReferenceSourceError, match="remove it from the lake"):
        merge_previous(load_songs(file_of(tmp_path, SONG)), other)
    with pytest.raises(ReferenceSourceError, match="neither songs nor locations"):
        write_reference(FolderLake(tmp_path / "lake"), SONGS, other)


def test_the_bundled_files_need_no_network(tmp_path: Path) -> None:
    songs, places = load_songs("bundled"), load_locations("bundled")
    assert songs.num_rows > 100
    assert places.num_rows > 100
    lake = FolderLake(tmp_path)
    write_reference(lake, SONGS, songs)
    write_reference(lake, LOCATIONS, places)


def _real(name: str) -> str:
    path = TEST_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in STREAMING_ASSETS_TEST_DATA ({TEST_DATA})")
    return str(path)


def test_the_real_postal_codes_load() -> None:
    path = _real("US.txt")
    table = load_locations(path)
    lines = [line.split("\t") for line in Path(path).read_text("utf-8").split("\n") if line]
    assert set(table.column("postal_code").to_pylist()) == {line[1] for line in lines}
    assert table.num_rows == len({(line[1], line[2], line[3]) for line in lines})


def test_the_real_songs_are_those_of_the_original_simulators_events() -> None:
    """eventsim reads UTF-8 as ISO-8859-1 and durations in single precision: cleaned, both sides agree."""

    def comparable(*texts: str) -> tuple[str, ...]:
        return tuple("".join(c for c in text if c.isascii() and c != '"') for text in texts)

    songs = load_songs(_real("listen_counts.txt.gz"))
    known = {
        (*comparable(song["artist"], song["title"]), round(song["duration"], 2))
        for song in songs.select(["artist", "title", "duration"]).to_pylist()
    }
    with gzip.open(_real("eventsim_sample/listen_events.json.gz")) as events:
        played = {
            (*comparable(event["artist"], event["song"]), round(event["duration"], 2))
            for event in map(json.loads, events)
        }
    assert played
    assert played <= known
