"""`streaming-assets forget`: afterwards all is as if the person had never been there, and stays so."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pyarrow.parquet as pq
import pytest

from streaming_assets.automation import forget as forget_module
from streaming_assets.checks.comparison import compare
from streaming_assets.dagster_runtime.standing import failing_checks
from streaming_assets.events import DEAD_LETTERS
from streaming_assets.files import locked
from streaming_assets.ingestion.lines import dead_letter_line
from streaming_assets.lake.names import dead_letter_object
from streaming_assets.published.manifest import Manifest
from streaming_assets_tests.graph import Place, change, hour, in_lake, info, listen, view
from streaming_assets_tests.integration.test_graph_backfill import shell

pytestmark = pytest.mark.integration

P, NAME = 4711, "Zyzzogeton"  # whom to forget
ALONE = "A song that nobody else heard"
EARLIER = hour(-1)  # of a day that was theirs alone
HOURS = ("2025-02-28T23:00Z", "2025-03-01T03:00Z")


def events() -> Iterator[tuple[str, int, list[Any]]]:
    """(topic, hour, lines) of a small site: of three users, of whom one is P."""
    yield "page_view_events", -1, [view(EARLIER, P, 90, sessionId=9, userAgent=NAME)]
    yield "listen_events", -1, [listen(EARLIER, P, 91)]
    for number in (0, 1):
        at = hour(number)
        listens = [
            listen(at, 1, 3 * number),
            listen(at, P, 3 * number, artist="Ann", song="HELLO"),  # the least spelling is theirs
            listen(at, 2, 3 * number, artist="Bo", song="Not in the reference"),
            listen(at, P, 3 * number + 1, song=ALONE, city="Zyzzogetonia", zip="00001"),
            '{"offset": OFFSET, malformed: ' + json.dumps({"userId": P, "lastName": NAME}),
        ]
        yield "listen_events", number, listens
        yield (
            "page_view_events",
            number,
            [view(at, 1, number), view(at, P, number, userAgent=NAME), view(at, 2, number)],
        )
        yield "user_info", number, [info(at, 1), info(at, P, lastName=NAME), info(at, 2)]
        yield "auth_events", number, [{"userId": P, "lastName": NAME}, {"userId": 1}]
    yield "status_change_events", 1, [change(hour(1), P, 7), change(hour(1), 2, 7)]


def put_all(place: Place, without_p: bool) -> None:
    """Write the site's events; `without_p`: as they would lie there if P had never been, with the same offsets."""
    offsets: dict[str, int] = {}
    for topic, number, lines in events():
        first = offsets.get(topic, 0)
        offsets[topic] = first + len(lines)
        texts = [
            line.replace("OFFSET", str(first + index))
            if isinstance(line, str)
            else in_lake(line, first + index)
            for index, line in enumerate(lines)
        ]
        kept = [(t, first + n) for n, t in enumerate(texts) if not (without_p and f'"userId": {P}' in t)]
        if topic == "page_view_events":  # in objects of one line, which are sealed before P is forgotten
            for text, offset in kept:
                place.put(topic, hour(number), [text], offset=offset)
        else:
            place.put(topic, hour(number), [text for text, _ in kept], offset=first)
    place.put(
        "page_view_events", hour(2), [view(hour(2), 1, 80)], offset=offsets["page_view_events"] + 1
    )  # a loss
    letters = dead_letter_object(DEAD_LETTERS.topic, "user_info", hour(1), 0, 100, None)
    lines = [
        dead_letter_line(
            json.dumps({"userId": user, "lastName": name})[:-1].encode(),
            "not JSON",
            "user_info",
            0,
            offset,
            0,
        )
        for user, name, offset in ((P, NAME, 101), (1, "Lovelace", 102))
    ]
    place.put_bytes(letters, gzip.compress(b"".join(lines[1:] if without_p else lines)))


def remains(place: Place) -> list[str]:
    """The files below the home that hold their name, or their song, as it is or in gzip."""
    found = []
    for path in place.settings.home.rglob("*"):
        if path.is_file() and "dbt" not in path.relative_to(place.settings.home).parts[:1]:
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" and data else data
            data = repr(pq.read_table(path).to_pylist()).encode() if "sealed" in path.parts else data
            if NAME.encode() in data or ALONE.encode() in data:
                found.append(str(path.relative_to(place.settings.home)))
    return sorted(found)


def tables(place: Place) -> dict[str, list[tuple]]:
    names = place.warehouse.rows(
        "select table_name from information_schema.tables"
        " where table_name similar to '(stg|dim|fact|mart)_.*' order by all"
    )
    return {name: sorted(place.warehouse.rows(f"select * from {name}"), key=repr) for (name,) in names}


def test_a_forgotten_person_was_never_there_and_stays_away(tmp_path: Path, parsed_project: Path) -> None:
    with closing(Place(tmp_path / "home")) as place, closing(Place(tmp_path / "clean")) as clean:
        for one, without_p in ((place, False), (clean, True)):
            one.put_parsed(parsed_project)
            put_all(one, without_p)
            if one is clean:
                for file in place.lake.list("raw/flat_files/"):
                    clean.put_bytes(file.name, place.lake.read(file.name))
            assert shell(one, "backfill", *HOURS).exit_code == 0
        before = tables(place)
        assert {P, 1, 2} == {user for (user,) in place.warehouse.rows("select user_id from dim_users")}
        assert "warehouse.duckdb" in remains(place)
        assert len([name for name in remains(place) if name.startswith("lake/")]) > 6
        published = place.settings.published_dir

        assert "2 hours of topics to seal, with 6 objects" in shell(place, "seal", "--dry-run").stdout
        sealed = shell(place, "seal")
        assert sealed.exit_code == 0, sealed.stderr
        assert "2 hours of topics sealed" in sealed.stdout
        held = compare(place.lake, place.warehouse, place.settings, [])
        assert (held.to_run, held.lost, held.strays, held.unknown_folders) == ({}, {}, [], [])
        assert len([name for name in remains(place) if name.startswith("lake/sealed/")]) == 2
        assert "0 hours of topics to seal" in shell(place, "seal", "--dry-run").stdout

        nobody = shell(place, "forget")
        assert (nobody.exit_code, "--user 17" in nobody.stderr) == (2, True)
        with mock.patch.object(forget_module, "reconcile", side_effect=KeyboardInterrupt):
            cut = shell(place, "forget", "--user", str(P))
        assert (cut.exit_code, "nobody is forgotten yet" in cut.stderr) == (130, True)
        early = shell(place, "forget", "--user", str(P), "--lift")
        assert (early.exit_code, "not done yet" in early.stderr) == (1, True)
        (tmp_path / "people").write_text(f"{P}\n\n999999\n")
        done = shell(place, "forget", "--users", str(tmp_path / "people"))
        assert done.exit_code == 0, done.stderr
        assert "2 users forgotten" in done.stdout

        wanted = tables(clean)
        assert tables(place) == wanted != before
        assert remains(place) == []
        named = Manifest.read(published).files()
        assert {str(path.relative_to(published)) for path in published.glob("*/*.parquet")} == named
        with dg.DagsterInstance.from_config(str(place.settings.dagster_home)) as instance:
            failing = {
                (check.key.asset_key.path[-1], check.key.name): check for check in failing_checks(instance)
            }
        gaps = [
            (asset, check.partitions)
            for (asset, name), check in failing.items()
            if name == "offsets_are_contiguous"
        ]
        assert gaps == [("stg_page_view_events", ("2025-03-01-02:00",))], "the one offset that is really lost"
        told = json.loads(place.lake.read("forgotten/people.json"))
        assert (len(told["hashes"]), told["pending"], told["done"][0]["people"]) == (2, [], 2)
        assert str(P) not in json.dumps(told["done"])

        again = [view(hour(3), P, 60, userAgent=NAME), view(hour(3), 1, 60)]
        place.put("page_view_events", hour(3), again, offset=500)
        assert shell(place, "reconcile").exit_code == 0
        staged = place.warehouse.rows(
            "select user_id, kafka_offset from stg_page_view_events where kafka_offset >= 500"
        )
        assert staged == [(1, 501)]
        assert remains(place) == []
        lifted = shell(place, "forget", "--user", str(P), "--lift")
        assert lifted.stdout == "forget: 1 user let in again\n"


def test_nothing_is_begun_where_it_could_not_be_ended(tmp_path: Path) -> None:
    with closing(Place(tmp_path / "home")) as place:
        name = place.put("listen_events", hour(0), [listen(hour(0), P)])
        place.put("listen_events", hour(1), [listen(hour(1), P)], offset=1)
        place.take_in((hour(0), hour(3)))
        kept = place.lake.read(str(name))
        for path in Path(place.lake.uri("raw/listen_events")).glob("date=2025-03-01 01*/*.gz"):
            path.unlink()
        refused = shell(place, "forget", "--user", str(P))
        assert refused.exit_code == 1
        assert (
            "nothing was changed: the tables hold 1 hour whose objects the lake has no more" in refused.stderr
        )
        cloud = {"STREAMING_ASSETS_TARGET": "gcp", "STREAMING_ASSETS_GCP_PROJECT": "a-project"}
        refused = shell(place, "forget", "--user", str(P), **cloud, STREAMING_ASSETS_LAKE_URL="gs://a-bucket")
        assert (refused.exit_code, "docs/privacy.md" in refused.stderr) == (1, True)
        refused = shell(place, "seal", **cloud, STREAMING_ASSETS_LAKE_URL="gs://a-bucket")
        assert (refused.exit_code, "docs/sealed-hours.md" in refused.stderr) == (1, True)
        with locked(place.settings.home / "forget.lock"):
            refused = shell(place, "forget", "--user", str(P))
        assert refused.exit_code == 1
        assert (
            "`streaming-assets forget`, `seal` or Dagster's job `expiry` rewrites the lake now"
            in refused.stderr
        )
        assert place.lake.read(str(name)) == kept
        assert list(place.lake.list("forgotten/")) == []
        bad = tmp_path / "people"
        bad.write_text("17\nAda\n")
        refused = shell(place, "forget", "--users", str(bad))
        assert (refused.exit_code, "line 2: 'Ada' is no user id" in refused.stderr) == (2, True)
