"""`streaming-assets backup` and `restore`: the same tables, snapshot and history in another home; refusals by name."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.assets.keys import SNAPSHOT
from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.local import backup as backup_module
from streaming_assets_tests.graph import Place, hour, listen
from streaming_assets_tests.integration.test_graph_backfill import shell

HELD = "select * from lake_objects order by all"


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with tables, a snapshot, events of Dagster and settings of its own; its databases are open."""
    place = Place(tmp_path_factory.mktemp("lived") / "home")
    place.put("listen_events", hour(0), [listen(hour(0))])
    place.take_in((hour(0), hour(1)))
    home = place.settings.home
    (home / "answers.json").write_text("{}")
    folder = place.settings.published_dir / "mart"
    folder.mkdir(parents=True)
    (folder / "a.parquet").write_bytes(b"rows")
    (place.settings.published_dir / "manifest.json").write_text('{"snapshot": 3}')
    (home / "logs").mkdir()
    (home / "logs" / "sink.log").write_text("said")
    return place


def report(place: Place, times: int) -> None:
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(place.settings))) as instance:
        for number in range(times):
            instance.report_runless_asset_event(dg.AssetMaterialization(SNAPSHOT, metadata={"n": number}))


def reported(place: Place) -> list[int]:
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(place.settings))) as instance:
        records = instance.fetch_materializations(SNAPSHOT, limit=10).records
        return [int(record.asset_materialization.metadata["n"].value) for record in records]  # pyright: ignore


def test_what_was_backed_up_is_there_again(lived_in: Place, tmp_path: Path) -> None:
    report(lived_in, 3)
    kept = tmp_path / "kept"
    databases = [*lived_in.settings.dagster_home.rglob("*.db")]
    assert databases
    with closing(sqlite3.connect(databases[0])) as writing:  # what is not committed is in no backup
        writing.execute("create table half_written (one int)")
        writing.execute("begin")
        writing.execute("insert into half_written values (1)")
        said = shell(lived_in, "backup", str(kept))
        writing.rollback()
    assert said.exit_code == 0, said.stderr
    assert f"the lake is none of it: {lived_in.settings.lake.url}" in said.stdout
    told = json.loads((kept / "backup.json").read_text())["files"]
    assert {"warehouse.duckdb", "answers.json", "published/manifest.json", "published/mart/a.parquet"} <= {
        *told
    }
    assert not [name for name in told if name.startswith(("lake/", "logs/"))]

    with closing(Place(tmp_path / "home", lake_url=lived_in.settings.lake.url)) as again:
        lake = {"STREAMING_ASSETS_LAKE_URL": lived_in.settings.lake.url}
        said = shell(again, "restore", str(kept), **lake)
        assert said.exit_code == 0, said.stderr
        assert again.warehouse.rows(HELD) == lived_in.warehouse.rows(HELD) != []
        assert again.warehouse.generation() == lived_in.warehouse.generation()
        assert reported(again) == reported(lived_in) == [2, 1, 0]
        assert (again.settings.published_dir / "mart" / "a.parquet").read_bytes() == b"rows"
        assert again.settings.home.stat().st_mode & 0o077 == 0

        seen, before = (
            json.loads(shell(one, "status", "--json", **lake).stdout) for one in (again, lived_in)
        )
        for what in ("facts", "failed", "checks", "newest_object"):
            assert seen[what] == before[what], what
        assert [c["kind"] for c in seen["conditions"]] == [c["kind"] for c in before["conditions"]]

        twice = shell(again, "restore", str(kept), **lake)
        assert (twice.exit_code, "a system is there already" in twice.stderr) == (1, True)
        assert str(again.settings.warehouse.file) in twice.stderr


@pytest.mark.parametrize("damage", ["changed", "gone", "no listing"])
def test_a_backup_that_is_not_whole_is_not_restored(lived_in: Place, tmp_path: Path, damage: str) -> None:
    kept, home = tmp_path / "kept", tmp_path / "home"
    assert shell(lived_in, "backup", str(kept)).exit_code == 0
    if damage == "changed":
        (kept / "answers.json").write_text("[]")
    elif damage == "gone":
        (kept / "answers.json").unlink()
    else:
        (kept / "backup.json").unlink()
    with closing(Place(home)) as again:
        said = shell(again, "restore", str(kept))
    assert said.exit_code == 1
    assert str(kept) in said.stderr
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_where_no_backup_can_be_made_nothing_is_left(
    lived_in: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(to: Path) -> str:
        said = shell(lived_in, "backup", str(to))
        assert said.exit_code == 1, said.stdout
        return said.stderr

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "is not empty" in refused(tmp_path / "full")
    assert "lies in the home" in refused(lived_in.settings.home / "kept")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert "MiB free, and" in refused(tmp_path / "small")
    monkeypatch.undo()
    monkeypatch.setattr(backup_module, "_sha256", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup_module.backup(lived_in.settings, tmp_path / "broken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
