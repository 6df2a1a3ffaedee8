"""The batched event logs tell of a history what Dagster's own tell, and many may write them at once."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent, DagsterEventType

from streaming_assets.dagster_runtime.event_log import BatchedSqliteEventLogStorage
from streaming_assets_tests.dagster_runtime import event_log_graph as graph

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
StorageConfig = dict[str, Any] | None
STOCK: StorageConfig = None
SQLITE_MODULE = "streaming_assets.dagster_runtime.event_log"
POSTGRES_MODULE = "streaming_assets.dagster_runtime.event_log_postgres"


@pytest.fixture(autouse=True)
def _batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)


def make_home(home: Path, storage: StorageConfig) -> str:
    """A Dagster home whose event log is `storage` (None: the stock one)."""
    home.mkdir()
    config: dict[str, Any] = {"telemetry": {"enabled": False}}
    if storage:
        config["event_log_storage"] = storage
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    return str(home)


def batched_sqlite(home: Path) -> StorageConfig:
    return {
        "module": SQLITE_MODULE,
        "class": "BatchedSqliteEventLogStorage",
        "config": {"base_dir": str(home / "history")},
    }


@pytest.fixture
def home(tmp_path: Path) -> str:
    return make_home(tmp_path / "home", batched_sqlite(tmp_path / "home"))


def history_of(home: str) -> dict[str, Any]:
    with dg.DagsterInstance.from_config(home) as instance:
        graph.a_varied_history(instance)
        return graph.answers(instance)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {
        question: (expected.get(question), found.get(question))
        for question in expected | found
        if expected.get(question) != found.get(question)
    }


@pytest.fixture(scope="module")
def stock_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    answers = history_of(make_home(tmp_path_factory.mktemp("stock") / "home", STOCK))
    # The history is worth comparing: it has what the storages treat differently.
    assert answers["AssetKey(['last']) attempts without result"]
    assert len(set(answers["AssetKey(['last']) status by partition"].values())) > 1
    assert answers["AssetKey(['first']) observations"]
    assert answers["AssetKey(['first']) event tags"]
    statuses = {record[1] for question in answers if "records" in question for record in answers[question]}
    assert statuses == {"SUCCEEDED", "FAILED"}
    return answers


def test_sqlite_answers_as_the_stock_storage_does(home: str, stock_answers: dict[str, Any]) -> None:
    assert differences(stock_answers, history_of(home)) == {}


def test_events_one_by_one_make_the_same_history(
    home: str, stock_answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE")
    assert differences(stock_answers, history_of(home)) == {}


def test_a_batch_of_planned_events_holds_checks_too(home: str, capfd: pytest.CaptureFixture[str]) -> None:
    batches: list[set[str]] = []

    class Recording(BatchedSqliteEventLogStorage):
        def store_event_batch(self, events: Any) -> None:
            batches.append({event.get_dagster_event().event_type_value for event in events})
            super().store_event_batch(events)

    with dg.DagsterInstance.from_config(home) as instance:
        instance.event_log_storage.__class__ = Recording
        assert graph.ranged_run(instance, 0, 6)
        check = dg.AssetCheckKey(dg.AssetKey("first"), "of_the_whole")
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
        assert "SUCCEEDED" in {record.status.value for record in records}
    assert {"ASSET_MATERIALIZATION_PLANNED", "ASSET_CHECK_EVALUATION_PLANNED"} in batches
    assert "Falling back" not in capfd.readouterr().err


def test_a_check_of_a_range_is_planned_once(home: str) -> None:
    with dg.DagsterInstance.from_config(home) as instance:
        assert graph.ranged_run(instance, 0, 6)
        for name in ("of_the_whole", "of_each_hour"):
            check = dg.AssetCheckKey(dg.AssetKey("first"), name)
            records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
            assert "PLANNED" not in {record.status.value for record in records}
        assert not graph.ranged_run(instance, 30, 6), "its last asset fails, with its check left out"
        check = dg.AssetCheckKey(dg.AssetKey("last"), "of_the_whole")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        assert (record.status.value, record.partition) == ("PLANNED", None)


def test_verdicts_of_a_batch_are_those_of_one_by_one(tmp_path: Path) -> None:
    """Of each hour the run's last word, though an hour is judged twice within a batch and again in the next."""
    said = [[(0, True), (1, True), (1, False), (2, True), (3, True)], [(2, False), (4, False), (0, True)]]
    check = dg.AssetCheckKey(dg.AssetKey("first"), "of_each_hour")
    found = []
    for size in (1, 5):
        folder = tmp_path / str(size)
        folder.mkdir()
        with dg.DagsterInstance.from_config(make_home(folder / "home", batched_sqlite(folder))) as instance:
            log = instance.event_log_storage
            assert graph.ranged_run(instance, 0, 5)
            run_id = instance.get_runs()[0].run_id
            for batch in said:
                events = [_verdict(run_id, check, graph.KEYS[hour], passed) for hour, passed in batch]
                for first in range(0, len(events), size):
                    log.store_event_batch(events[first : first + size])
            records = log.get_asset_check_execution_history(check, limit=100)
            found.append(sorted((str(r.partition), r.status.value, r.run_id == run_id) for r in records))
    assert found[0] == found[1]
    assert [status for partition, status, _ in found[0] if partition != "None"] == [
        "SUCCEEDED",
        "FAILED",
        "FAILED",
        "SUCCEEDED",
        "FAILED",
    ]


def _verdict(run_id: str, check: dg.AssetCheckKey, hour: str, passed: bool) -> dg.EventLogEntry:
    evaluation = dg.AssetCheckEvaluation(check.asset_key, check.name, passed, {}, partition=hour)
    event = DagsterEvent(
        DagsterEventType.ASSET_CHECK_EVALUATION.value, "hourly", event_specific_data=evaluation
    )
    return dg.EventLogEntry(None, logging.INFO, "", run_id, time.time(), dagster_event=event)


def test_a_batch_is_stored_whole_or_not_at_all(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.from_config(home) as instance:
        log: Any = instance.event_log_storage
        assert graph.ranged_run(instance, 0, 2)
        run = instance.get_runs()[0]
        events = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        before = log.get_maximum_record_id()

        def broken(*_: Any) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(log, "_store_asset_event", broken)
        with pytest.raises(OSError, match="disk full"):
            log.store_event_batch(events)
        assert log.get_maximum_record_id() == before
        monkeypatch.undo()
        log.store_event_batch([])
        log.store_event_batch(events)  # the connection is as good as new
        assert log.get_maximum_record_id() == before + len(events)


def test_the_newest_event_of_each_asset_is_kept(home: str) -> None:
    with dg.DagsterInstance.from_config(home) as instance:
        assert graph.ranged_run(instance, 0, 4)
        (record,) = instance.event_log_storage.get_asset_records([dg.AssetKey("middle")])
        latest = record.asset_entry.last_materialization
        assert latest is not None
        assert latest.asset_materialization is not None
        assert latest.asset_materialization.partition == graph.KEYS[3]


@pytest.mark.integration
def test_live_logs_follow_a_run_in_another_process(home: str) -> None:
    seen: list[str] = []
    done = threading.Event()

    def notice(event: Any, _cursor: str) -> None:
        seen.append(event.dagster_event.event_type_value if event.dagster_event else "log")
        if event.dagster_event and event.dagster_event.is_job_success:
            done.set()

    with dg.DagsterInstance.from_config(home) as instance:
        log = instance.event_log_storage
        with writer(home, 0, 2) as process:
            while not (runs := instance.get_runs()):
                assert process.poll() is None, "the run never started"
                time.sleep(0.01)
            log.watch(runs[0].run_id, None, notice)
            assert done.wait(timeout=120), seen
            log.end_watch(runs[0].run_id, notice)
            process.communicate(timeout=120)
    assert seen.count("ASSET_MATERIALIZATION") == 2 * len(graph.HOURLY)


@contextmanager
def writer(home: str, first: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that makes one ranged run in `home`; it is over when the block is."""
    module = "streaming_assets_tests.dagster_runtime.event_log_graph"
    command = [sys.executable, "-W", "ignore", "-m", module, home, str(first), str(count)]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def check_concurrent_writers(home: str) -> None:
    """Four processes, each with hours of its own, make their runs at the same time."""
    dg.DagsterInstance.from_config(home).dispose()  # Dagster's run storage must not be created by two at once
    hours = 6
    with ExitStack() as running:
        writers = [running.enter_context(writer(home, first, hours)) for first in range(40, 64, hours)]
        for process in writers:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            assert "Falling back" not in errors
            assert "locked" not in errors
    with dg.DagsterInstance.from_config(home) as instance:
        written = set(graph.KEYS[40 : 40 + hours * len(writers)])
        for asset in graph.HOURLY:
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == written
        stats: list[Any] = [instance.get_run_stats(run.run_id) for run in instance.get_runs()]
        assert [stat.materializations for stat in stats] == [hours * len(graph.HOURLY)] * len(writers)


def check_ids_appear_in_order(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later batch waits for an earlier one that is not committed: who keeps the last id misses nothing."""
    first_is_inside, first_may_end = threading.Event(), threading.Event()
    with dg.DagsterInstance.from_config(home) as instance, dg.DagsterInstance.from_config(home) as other:
        assert graph.ranged_run(instance, 0, 2)
        run_id = instance.get_runs()[0].run_id
        events = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        log: Any = instance.event_log_storage
        before = log.get_maximum_record_id()
        store_asset_event = log._store_asset_event

        def slowly(*arguments: Any) -> None:
            first_is_inside.set()
            assert first_may_end.wait(timeout=60)
            store_asset_event(*arguments)

        monkeypatch.setattr(log, "_store_asset_event", slowly)
        first = threading.Thread(target=log.store_event_batch, args=[events[:2]])
        first.start()
        assert first_is_inside.wait(timeout=60)
        second = threading.Thread(target=other.event_log_storage.store_event_batch, args=[events[2:3]])
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()
        assert other.event_log_storage.get_maximum_record_id() == before
        first_may_end.set()
        first.join(timeout=60)
        second.join(timeout=60)
        stored = [record.storage_id for record in log.get_records_for_run(run_id).records]
        assert [stored_id for stored_id in stored if stored_id > before] == [before + n for n in (1, 2, 3)]


def test_ids_appear_in_order(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_ids_appear_in_order(home, monkeypatch)


@pytest.mark.integration
def test_processes_write_at_once(home: str) -> None:
    check_concurrent_writers(home)


def test_a_new_database_is_never_seen_half_made(tmp_path: Path) -> None:
    made: list[BatchedSqliteEventLogStorage] = []
    starters = [
        threading.Thread(target=lambda: made.append(BatchedSqliteEventLogStorage(str(tmp_path / "log"))))
        for _ in range(4)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(made) == 4
    for storage in made:
        assert storage.has_table("asset_check_executions")
        assert storage.has_secondary_index("asset_key_index_columns")
        storage.dispose()
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["event_log.db"]


def batched_postgres(url: str) -> StorageConfig:
    return {
        "module": POSTGRES_MODULE,
        "class": "BatchedPostgresEventLogStorage",
        "config": {"postgres_url": url},
    }


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_postgres_answers_as_the_stock_storage_does(
    tmp_path: Path, postgres: Callable[[str], str], stock_answers: dict[str, Any]
) -> None:
    home = make_home(tmp_path / "home", batched_postgres(postgres("answers")))
    assert differences(stock_answers, history_of(home)) == {}


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_processes_write_to_postgres_at_once(tmp_path: Path, postgres: Callable[[str], str]) -> None:
    check_concurrent_writers(make_home(tmp_path / "home", batched_postgres(postgres("writers"))))


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_ids_appear_in_order_in_postgres(
    tmp_path: Path, postgres: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_ids_appear_in_order(make_home(tmp_path / "home", batched_postgres(postgres("ids"))), monkeypatch)
