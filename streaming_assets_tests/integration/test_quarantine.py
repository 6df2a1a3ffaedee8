"""Bad rows from Kafka to the quarantine, and back into the facts by the commands of docs/reliability.md."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from confluent_kafka import Producer

from streaming_assets.ingestion.broker_file import read_broker_file
from streaming_assets.lake.names import ObjectName, floor_hour
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import Place, listen
from streaming_assets_tests.integration.sink_processes import Machine, machine, rows, wait_until

pytestmark = pytest.mark.integration

AT = datetime.now(UTC) - timedelta(days=2)
PARTITION = 2
CUT = json.dumps(listen(AT, user=7, item=1))[:-20]


def documented(part: str) -> str:
    """The command of the section on repairs that has `part` in it."""
    text = (PROJECT_ROOT / "docs" / "reliability.md").read_text()
    section = text.partition("## Repair rows in quarantine")[2].partition("\n## ")[0]
    (command,) = [
        line.strip() for line in section.splitlines() if line.startswith("       ") and part in line
    ]
    return command


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    (tmp_path / ".local").symlink_to("home", target_is_directory=True)
    with machine(tmp_path) as started:
        yield started


@pytest.fixture
def place(here: Machine) -> Iterator[Place]:
    with closing(Place(here.home)) as place:
        yield place


def do(here: Machine, command: str) -> str:
    """Run a documented command as it stands, from the folder that has .venv and .local."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=here.folder,
        env={**here.environment, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def send(here: Machine, place: Place, *values: str) -> None:
    """Records into one partition; returns when they are in the lake, as an object of their own."""
    before = sum(rows(place.lake).values())
    broker = read_broker_file(here.home / "broker.json")
    assert broker is not None
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value in values:
        producer.produce("listen_events", value.encode(), partition=PARTITION)
    assert producer.flush(30) == 0
    wait_until(lambda: sum(rows(place.lake).values()) == before + len(values), "the records in the lake")


def gap_check(place: Place) -> dg.AssetCheckEvaluation:
    """The newest evaluation of the offsets' check of listens."""
    with dg.DagsterInstance.from_config(str(place.settings.dagster_home)) as instance:
        for run in instance.get_runs(dg.RunsFilter(job_name="hourly")):
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
                assert entry.dagster_event is not None
                found = entry.dagster_event.event_specific_data
                assert isinstance(found, dg.AssetCheckEvaluation)
                if (found.check_name, found.asset_key.path[-1]) == (
                    "offsets_are_contiguous",
                    "stg_listen_events",
                ):
                    return found
    raise AssertionError("the check was not evaluated")


def test_bad_rows_are_told_from_lost_ones_and_repaired(here: Machine, place: Place) -> None:
    here.start("broker")
    wait_until((here.home / "broker.json").exists, "the broker's file")
    sink = here.start("sink")
    wait_until(lambda: sink.said("assigned"), "the sink's partitions")
    good = [json.dumps(listen(AT, item=item)) for item in range(10)]
    mistyped = json.dumps(listen(AT, user=7, item=2, userId="seven"))
    send(here, place, good[0], CUT, good[1], mistyped)  # offsets 0 to 3
    send(here, place, *good[2:5])  # 4 to 6, whose object is going to vanish
    send(here, place, CUT, good[5])  # 7, 8
    stream_epoch = here.state()["stream_epoch"]
    hours = {floor_hour(datetime.now(UTC)), floor_hour(datetime.now(UTC) - timedelta(minutes=10))}
    for lost in hours:
        (place.lake.stored.root / str(ObjectName("listen_events", lost, PARTITION, 4, stream_epoch))).unlink(
            missing_ok=True
        )

    reconcile = documented("reconcile")
    assert "the tables hold what the lake holds" in do(here, reconcile)
    columns = "topic, stream_epoch, kafka_partition, kafka_offset, dead_letter_offset is null, raw_text"
    quarantined = place.warehouse.rows(f"select {columns} from stg_quarantine order by kafka_offset")
    assert quarantined[0] == ("listen_events", stream_epoch, PARTITION, 1, False, CUT)
    assert quarantined[1][:5] == ("listen_events", stream_epoch, PARTITION, 3, True)
    assert json.loads(quarantined[1][5])["value"] == json.loads(mistyped)
    assert quarantined[2] == ("listen_events", stream_epoch, PARTITION, 7, False, CUT)
    check = gap_check(place)
    assert not check.passed
    assert check.metadata["missing_offsets"].value == 3
    table = check.metadata["first_findings"]
    assert isinstance(table, dg.TableMetadataValue)
    # The dead letter beside the hole is known for one: of four offsets that no object holds, three are lost.
    found = [{name: str(value) for name, value in record.data.items()} for record in table.records]
    assert [(f["stream_epoch"], f["partition"], f["first"], f["last"], f["dead_letters"]) for f in found] == [
        (stream_epoch, str(PARTITION), "4", "7", "1")
    ]

    shown = do(here, documented("select topic, reason, raw_text"))
    for part in ("dead letter: ", "mistyped userId", CUT[-40:]):
        assert part in shown
    repaired = [listen(AT, user=7, item=1), listen(AT, user=7, item=2)]
    (here.folder / "repaired.json").write_text("".join(json.dumps(event) + "\n" for event in repaired))
    facts = "select user_id, count(*) from fact_listen_events group by user_id order by user_id"
    assert place.warehouse.rows(facts) == [(1, 3)]
    before = sum(rows(place.lake).values())
    for way in ("--to kafka", "--to kafka", "--to lake"):
        replay = documented(way)
        assert re.fullmatch(r"\S*streaming-assets replay listen_events repaired\.json --to \w+", replay)
        assert "2 records delivered, 0 of them no JSON object" in do(here, replay)
        before += 2
        wait_until(lambda: sum(rows(place.lake).values()) == before, "the records in the lake")  # noqa: B023
        assert re.search(r" run: listen_events: \d objects? new\n", do(here, reconcile))
        assert place.warehouse.rows(facts) == [(1, 3), (7, 2)], "a second replay changes nothing"
    assert place.warehouse.rows("select count(*) from stg_quarantine") == [(3,)], "they stay, as a record"
