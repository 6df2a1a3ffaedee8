"""The hourly checks on tables made by hand: what passes, what fails, and what they name. One hour or a range alike."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from streaming_assets.checks.hourly import SHOWN, build_hourly_checks
from streaming_assets.contracts import model_columns
from streaming_assets.dagster_runtime.instance import prepare_dagster_home
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.dagster_runtime.runtime import runtime_of
from streaming_assets.lake.names import ObjectName
from streaming_assets.partitions import hourly_partitions, key_of
from streaming_assets.settings import Settings
from streaming_assets.warehouses.factory import warehouse_of
from streaming_assets.warehouses.tables import STAGING
from streaming_assets_tests.graph import FIRST, Place, hour

TABLES = """
create table lake_objects (
    topic varchar, bucket_ingestion_datetime timestamp, row_count bigint, is_processed boolean,
    object_name varchar, error varchar, unknown_fields varchar, size_bytes bigint, generation bigint, lines_uri varchar
);
create table stg_quarantine (
    topic varchar, bucket_ingestion_datetime timestamp, stream_epoch varchar, kafka_partition bigint,
    kafka_offset bigint, dead_letter_offset bigint, reason varchar
);
create table stg_filtered_rows (topic varchar, bucket_ingestion_datetime timestamp, row_count bigint);
create table stg_offset_ranges (
    topic varchar, bucket_ingestion_datetime timestamp, stream_epoch varchar, kafka_partition bigint,
    first_offset bigint, last_offset bigint
);
create table stg_field_profile (
    topic varchar, bucket_ingestion_datetime timestamp, field varchar, row_count bigint, null_count bigint,
    unknown_count bigint, unknown_value varchar, mean decimal(18, 6), differing_events bigint
);
create table fact_listen_events (bucket_ingestion_datetime timestamp, pk_user varchar, level varchar);
create table dim_users (
    pk_user varchar, level varchar, user_id bigint, first_name varchar, last_name varchar, gender varchar,
    registration_datetime timestamp, row_effective_datetime timestamp, row_expiry_datetime timestamp,
    is_first_row boolean
);
"""
TYPES = {"user_id": "bigint", "session_id": "bigint", "item_in_session": "bigint", "copies": "bigint"}
LISTENS = "listen_events"
OBJECT = "? as topic, cast(? as timestamp) as bucket_ingestion_datetime, ? as row_count"
HOURS = hourly_partitions(FIRST)
RUNTIME = runtime_of(Settings(), warehouse_of(Settings()))
HOURLY_CHECKS = sorted(build_hourly_checks(HOURS, Settings(), RUNTIME).check_keys, key=str)


@dataclass
class Told:
    """What a check says of the hours of a run: passed if it is in all of them, and all that it found."""

    by_hour: dict[str | None, dg.AssetCheckEvaluation]

    @property
    def passed(self) -> bool:
        return all(evaluation.passed for evaluation in self.by_hour.values())

    @property
    def severities(self) -> set[dg.AssetCheckSeverity]:
        return {evaluation.severity for evaluation in self.by_hour.values() if not evaluation.passed}

    def sum(self, name: str) -> Any:
        return sum(e.metadata[name].value for e in self.by_hour.values() if name in e.metadata)

    def failing(self) -> list[str | None]:
        return [hour for hour, evaluation in self.by_hour.items() if not evaluation.passed]


Evaluations = dict[tuple[str, str], Told]


class Tables(Place):
    """A warehouse with just the columns that the checks look at, and the checks."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, quarantine_warn_share=0.1)
        self.settings.home.mkdir(exist_ok=True)
        for statement in TABLES.split(";"):
            if statement.strip():
                self.add(statement)
        for table in STAGING.values():
            columns = [
                f"{name} {TYPES.get(name, 'timestamp' if name.endswith('_datetime') else 'varchar')}"
                for name in model_columns(f"staging/{table}")
            ]
            self.add(f"create table {table} ({', '.join(columns)})")
        self.job = self._job(dg.AssetSelection.all_asset_checks())

    def _job(self, selection: dg.AssetSelection) -> dg.JobDefinition:
        return dg.Definitions(
            asset_checks=[build_hourly_checks(HOURS, self.settings, RUNTIME)],
            jobs=[dg.define_asset_job("checks", selection=selection)],
            resources={"warehouse": self.warehouse},
            executor=dg.in_process_executor,
        ).resolve_job_def("checks")

    def only(self, check: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
        """A run of one check over two hours."""
        job = self._job(dg.AssetSelection.checks(check))
        return job.execute_in_process(instance=self.instance, tags=span_tags((hour(0), hour(2))))

    def add(self, sql: str, *parameters: object) -> None:
        """Run a statement; hours may be given as they are."""
        values = [
            value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in parameters
        ]
        with self.warehouse.connect() as connection:
            connection.execute(sql, values)

    def objects(self, number: int, rows: int, topic: str = LISTENS) -> None:
        self.add(
            f"insert into lake_objects by name select {OBJECT}, true as is_processed",
            topic,
            hour(number),
            rows,
        )

    def departing(self, number: int, told: dict[str, Any], topic: str = LISTENS) -> None:
        self.add(
            f"insert into lake_objects by name select {OBJECT}, true as is_processed, ? as unknown_fields",
            *(topic, hour(number), told["rows"], json.dumps(told)),
        )

    def staged(self, number: int, rows: int, copies: int = 1, table: str = "stg_listen_events") -> None:
        columns = "bucket_ingestion_datetime, copies"
        self.add(f"insert into {table} ({columns}) select ?, ? from range({rows})", hour(number), copies)

    def offsets(
        self,
        number: int,
        first: int,
        last: int,
        partition: int = 0,
        stream_epoch: str | None = None,
        topic: str = LISTENS,
    ) -> None:
        self.add(
            "insert into stg_offset_ranges values (?, ?, ?, ?, ?, ?)",
            *(topic, hour(number), stream_epoch, partition, first, last),
        )

    def quarantined(
        self,
        number: int,
        offset: int,
        dead: int | None = None,
        reason: str = "malformed JSON",
        partition: int = 0,
        stream_epoch: str | None = None,
        topic: str = LISTENS,
    ) -> None:
        self.add(
            "insert into stg_quarantine values (?, ?, ?, ?, ?, ?, ?)",
            *(topic, hour(number), stream_epoch, partition, offset, dead, reason),
        )

    def check(self, first: int, end: int) -> Evaluations:
        """The evaluations of a run over the hours [first, end), by table and check."""
        tags = span_tags((hour(first), hour(end)))
        result = self.job.execute_in_process(instance=self.instance, tags=tags)
        told: Evaluations = {}
        for e in result.get_asset_check_evaluations():
            told.setdefault((e.asset_key.path[-1], e.check_name), Told({})).by_hour[e.partition] = e
        wanted = [key_of(hour(number)) for number in range(first, end)]
        assert {tuple(check.by_hour) for check in told.values()} == {tuple(wanted)}, "a verdict an hour"
        return told

    def __call__(self, first: int, end: int, check: str, table: str = "stg_listen_events") -> Told:
        return self.check(first, end)[table, check]


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    with closing(Tables(tmp_path)) as tables:
        yield tables


def found(told: Told) -> list[tuple[str, ...]]:
    """The findings that a check lists, hour by hour."""
    rows = []
    for evaluation in told.by_hour.values():
        listed = evaluation.metadata.get("first_findings")
        if listed is not None:
            assert isinstance(listed, dg.TableMetadataValue)
            assert evaluation.metadata["findings"].value == len(listed.records)
            rows += [tuple(str(value) for value in record.data.values()) for record in listed.records]
    return rows


def at(number: int) -> str:
    return str(hour(number).replace(tzinfo=None))


def test_hours_of_nothing_pass(tables: Tables) -> None:
    evaluations = tables.check(0, 3)
    assert len(evaluations) == 18
    assert all(evaluation.passed for evaluation in evaluations.values())


def test_rows_staged_repeated_quarantined_and_filtered_account_for_all(tables: Tables) -> None:
    for number in (0, 1):
        tables.objects(number, 6)
        tables.objects(number, 4)
        tables.staged(number, 3)
        tables.staged(number, 1, copies=3)
        tables.quarantined(number, 1)
        tables.quarantined(number, 2)
        tables.add("insert into stg_filtered_rows values (?, ?, 2)", LISTENS, hour(number))
        tables.quarantined(number, 3, dead=0)  # a record that never was in the objects
        tables.quarantined(number, 3, topic="user_info")
    evaluation = tables(0, 2, "rows_are_accounted_for")
    assert evaluation.passed, found(evaluation)
    counts = {name: evaluation.sum(name) for name in evaluation.by_hour[key_of(hour(0))].metadata}
    assert counts == {"in_objects": 20, "staged": 8, "duplicates": 4, "quarantined": 4, "filtered": 4}


def test_rows_that_are_missing_are_named_by_hour(tables: Tables) -> None:
    for number in range(4):
        tables.objects(number, 5)
        tables.staged(number, 4 if number in (1, 3) else 5)
    evaluation = tables(0, 4, "rows_are_accounted_for")
    assert not evaluation.passed
    assert found(evaluation) == [(at(1), "5", "4", "0", "0", "0"), (at(3), "5", "4", "0", "0", "0")]
    assert tables(2, 3, "rows_are_accounted_for").passed, "another hour's loss"
    assert not tables(3, 4, "rows_are_accounted_for").passed


def test_rows_that_no_object_holds_are_found_too(tables: Tables) -> None:
    tables.staged(1, 2)
    tables.objects(2, 0)
    tables.staged(2, 1)
    findings = found(tables(0, 3, "rows_are_accounted_for"))
    assert sorted(findings) == [(at(1), "0", "2", "0", "0", "0"), (at(2), "0", "1", "0", "0", "0")]


@pytest.mark.parametrize(
    ("topic", "table"),
    [
        ("page_view_events", "stg_page_view_events"),
        ("status_change_events", "stg_status_change_events"),
        ("user_info", "stg_users"),
    ],
)
def test_each_topic_is_counted_in_its_own_table(tables: Tables, topic: str, table: str) -> None:
    tables.objects(0, 2, topic)
    tables.staged(0, 1, table=table)
    failed = {key for key, evaluation in tables.check(0, 1).items() if not evaluation.passed}
    assert failed == {(table, "rows_are_accounted_for")}


def test_contiguous_offsets_pass_within_hours_and_from_one_to_the_next(tables: Tables) -> None:
    for number in range(3):
        tables.objects(number, 10)
        for partition in (0, 1):
            tables.offsets(number, 10 * number, 10 * number + 4, partition)
            tables.offsets(number, 10 * number + 5, 10 * number + 9, partition)
    evaluation = tables(1, 3, "offsets_are_contiguous")
    assert evaluation.passed, found(evaluation)
    assert evaluation.sum("missing_offsets") == 0


def test_gaps_are_listed_by_hour_epoch_partition_first_and_last(tables: Tables) -> None:
    for number in range(3):
        tables.objects(number, 10)
    tables.offsets(0, 0, 4)
    tables.offsets(0, 7, 9)  # 5 and 6 are missing within the hour
    tables.offsets(1, 12, 19)  # 10 and 11 between the hours
    tables.offsets(1, 0, 3, partition=1, stream_epoch="b")
    tables.offsets(2, 5, 9, partition=1, stream_epoch="b")
    tables.offsets(2, 20, 29)
    evaluation = tables(0, 3, "offsets_are_contiguous")
    assert not evaluation.passed
    assert evaluation.sum("missing_offsets") == 5
    assert found(evaluation) == [
        (at(0), "", "0", "5", "6", "0", "0"),
        (at(1), "", "0", "10", "11", "0", "0"),
        (at(2), "b", "1", "4", "4", "0", "0"),
    ]
    assert found(tables(0, 1, "offsets_are_contiguous"))[:1] == [(at(0), "", "0", "5", "6", "0", "0")]
    assert found(tables(2, 3, "offsets_are_contiguous")) == [(at(2), "b", "1", "4", "4", "0", "0")]


def test_offsets_compare_within_an_epoch_and_a_partition_alone(tables: Tables) -> None:
    tables.objects(0, 1)
    tables.objects(1, 1)
    tables.offsets(0, 0, 9, stream_epoch="a")
    tables.offsets(1, 0, 5, stream_epoch="b")
    tables.offsets(1, 100, 105, partition=1, stream_epoch="a")
    tables.offsets(1, 50, 55, topic="user_info", stream_epoch="a")
    assert all(e.passed for key, e in tables.check(0, 2).items() if key[1] == "offsets_are_contiguous")


def test_objects_that_overlap_are_no_gap(tables: Tables) -> None:
    tables.objects(0, 1)
    tables.offsets(0, 0, 9)
    tables.offsets(0, 3, 5)
    tables.offsets(0, 8, 12)
    assert tables(0, 1, "offsets_are_contiguous").passed


def test_a_topic_that_was_quiet_for_hours_goes_on_where_it_stopped(tables: Tables) -> None:
    tables.objects(9, 1, topic="user_info")  # the hour before was taken in
    tables.offsets(3, 0, 9)
    tables.offsets(10, 12, 19)
    assert found(tables(10, 11, "offsets_are_contiguous")) == [(at(10), "", "0", "10", "11", "0", "0")]


def test_an_hour_before_that_is_not_there_yet_is_no_gap(tables: Tables) -> None:
    """Materialised in reverse, an hour says nothing of those before it; they will."""
    tables.offsets(3, 0, 9)
    tables.objects(10, 1)
    tables.offsets(10, 12, 19)
    assert tables(10, 11, "offsets_are_contiguous").passed


def test_the_hour_before_sees_the_gap_to_one_that_was_taken_in_first(tables: Tables) -> None:
    tables.objects(10, 1)
    tables.offsets(10, 12, 15)
    tables.offsets(10, 18, 19)  # a gap within that hour is for its own check
    tables.offsets(11, 30, 39)
    assert tables(9, 10, "offsets_are_contiguous").passed
    tables.objects(9, 1)
    tables.offsets(9, 0, 9)
    assert found(tables(9, 10, "offsets_are_contiguous")) == [(at(10), "", "0", "10", "11", "0", "0")]


def test_the_end_of_the_hour_before_is_not_missing_while_it_lies_unread_in_the_lake(tables: Tables) -> None:
    tail = ObjectName(LISTENS, hour(0), 0, 5)
    tables.lake.write(str(tail), b"as it was, longer")
    tables.objects(0, 5)
    tables.offsets(0, 0, 4)
    tables.offsets(1, 10, 19)
    tables.offsets(1, 30, 39)  # a gap within the hour is one at once
    assert found(tables(1, 2, "offsets_are_contiguous")) == [(at(1), "", "0", "20", "29", "0", "0")]
    held = f"{OBJECT}, true as is_processed, ? as object_name, ? as size_bytes"
    known = (LISTENS, hour(0), 1, str(tail))
    tables.add(f"insert into lake_objects by name select {held}", *known, len("as it was"))
    assert len(found(tables(1, 2, "offsets_are_contiguous"))) == 1
    tables.add("update lake_objects set size_bytes = ?", len("as it was, longer"))
    assert found(tables(0, 1, "offsets_are_contiguous")) == [(at(1), "", "0", "5", "9", "0", "0")]
    assert found(tables(1, 2, "offsets_are_contiguous"))[0] == (at(1), "", "0", "5", "9", "0", "0")


def test_gaps_that_dead_letters_explain_pass(tables: Tables) -> None:
    tables.objects(0, 8)
    tables.offsets(0, 0, 4, stream_epoch="a")
    tables.offsets(0, 7, 9, stream_epoch="a")
    tables.quarantined(0, 5, dead=0, stream_epoch="a", reason="dead letter: no JSON")
    evaluation = tables(0, 1, "offsets_are_contiguous")
    assert found(evaluation) == [(at(0), "a", "0", "5", "6", "1", "0")]
    assert evaluation.sum("missing_offsets") == 1
    tables.quarantined(
        1, 6, dead=1, stream_epoch="a", reason="dead letter: no JSON"
    )  # it may arrive in a later hour
    assert tables(0, 1, "offsets_are_contiguous").passed


@pytest.mark.parametrize(
    "other", [{"partition": 1}, {"stream_epoch": "b"}, {"topic": "user_info"}, {"dead": None}]
)
def test_dead_letters_of_other_coordinates_explain_nothing(tables: Tables, other: dict) -> None:
    tables.objects(0, 8)
    tables.offsets(0, 0, 4)
    tables.offsets(0, 6, 9)
    tables.quarantined(0, 5, **{"dead": 0, **other})
    assert not tables(0, 1, "offsets_are_contiguous").passed


def test_a_dead_letter_that_was_written_twice_explains_one_offset(tables: Tables) -> None:
    tables.objects(0, 8)
    tables.offsets(0, 0, 4)
    tables.offsets(0, 7, 9)
    for _ in range(2):
        tables.quarantined(0, 5, dead=0)
    assert not tables(0, 1, "offsets_are_contiguous").passed


def test_many_gaps_are_counted_and_the_first_listed(tables: Tables) -> None:
    tables.objects(0, 100)
    row = "select ?, ?, null, 0, 2 * number, 2 * number from range(101) as gaps (number)"
    tables.add(f"insert into stg_offset_ranges {row}", LISTENS, hour(0))
    evaluation = tables(0, 1, "offsets_are_contiguous")
    assert evaluation.sum("findings") == 100
    (hourly,) = evaluation.by_hour.values()
    listed = hourly.metadata["first_findings"]
    assert isinstance(listed, dg.TableMetadataValue)
    assert len(listed.records) == SHOWN


@pytest.mark.parametrize(("rows", "passes"), [(9, False), (10, True), (1000, True)])
def test_a_share_in_quarantine_warns_above_the_setting(tables: Tables, rows: int, passes: bool) -> None:
    tables.objects(0, rows)
    tables.objects(1, 1000)
    tables.quarantined(0, 5)
    evaluation = tables(0, 2, "share_in_quarantine", "stg_quarantine")
    assert evaluation.passed is passes, "by the hour, whatever the others hold"
    assert evaluation.severities <= {dg.AssetCheckSeverity.WARN}
    assert evaluation.sum("highest_share") == pytest.approx(1 / rows)
    assert found(evaluation) == [(at(0), LISTENS, "malformed JSON", "1", "1", str(rows))]


def test_quarantined_rows_that_a_replay_repaired_count_no_more(tables: Tables) -> None:
    for offset in range(30):
        tables.quarantined(0, offset, reason="missing song" if offset % 3 else "mistyped ts")
    tables.objects(0, 100)
    drift, share = ("schema_follows_contract", "schema_drift"), ("share_in_quarantine", "stg_quarantine")
    assert not tables(0, 1, *drift).passed
    assert not tables(0, 1, *share).passed
    replay = f"insert into lake_objects by name select {OBJECT}, true as is_processed, ? as object_name"
    name = str(ObjectName(LISTENS, hour(0), 0, 0, "replay-0123456789abcdef"))
    tables.add(replay, LISTENS, hour(0), 15, name)
    evaluation = tables(0, 1, *share)
    assert not evaluation.passed
    assert found(evaluation) == [
        (at(0), LISTENS, "missing song", "20", "10", "115"),
        (at(0), LISTENS, "mistyped ts", "10", "5", "115"),
    ]
    tables.add(replay, LISTENS, hour(0), 15, name)
    assert tables(0, 1, *share).passed
    assert tables(0, 1, *drift).passed
    for offset in range(40):  # of a replay itself nothing else repairs a row
        tables.quarantined(0, offset, reason="missing song", stream_epoch="replay-0123456789abcdef")
    tables.objects(0, 100)
    assert not tables(0, 1, *share).passed


def test_reasons_of_one_hour_and_topic_add_up(tables: Tables) -> None:
    tables.objects(0, 15)
    tables.quarantined(0, 5)
    assert tables(0, 1, "share_in_quarantine", "stg_quarantine").passed
    tables.quarantined(0, 6, reason="missing userId")
    assert not tables(0, 1, "share_in_quarantine", "stg_quarantine").passed


def test_departures_of_schema_are_told_by_topic_and_field(tables: Tables) -> None:
    renamed = {"rows": 10, "fields": {"track": 10}, "types": {"ts": {"string": 10}}}
    for _ in range(2):
        tables.departing(1, renamed)
    tables.departing(1, {"rows": 5, "fields": {"track": 1}, "types": {"level": {"integer": 1}}})
    tables.departing(2, {"rows": 5, "fields": {}, "types": {"level": {"integer": 1}}})
    for offset in range(20):
        tables.quarantined(1, offset, reason="missing song")
    tables.quarantined(1, 21, reason="mistyped duration")  # one bad row is no drift
    tables.quarantined(1, 22, reason="malformed JSON")
    told = tables(0, 4, "schema_follows_contract", "schema_drift")
    assert told.failing() == [key_of(hour(1))]
    assert told.severities == {dg.AssetCheckSeverity.WARN}
    assert [row[1:] for row in found(told)] == [
        (LISTENS, "song", "stopped", "", "20", "25"),
        (LISTENS, "track", "unknown field", "", "21", "25"),
        (LISTENS, "ts", "other type", "string for integer", "20", "25"),
    ]


def test_a_retyped_fields_share_falls_as_its_hour_goes_on(tables: Tables) -> None:
    tables.departing(0, {"rows": 40, "fields": {}, "types": {"level": {"integer": 40}}})
    tables.objects(0, 200)  # of a longer object only the first 100 rows were looked at
    tables.objects(1, 5000)
    (row,) = found(tables(0, 1, "schema_follows_contract", "schema_drift"))
    assert row[1:] == (LISTENS, "level", "other type", "integer for string", "40", "140")
    for _ in range(5):
        tables.objects(0, 90)
    assert tables(0, 1, "schema_follows_contract", "schema_drift").passed


def test_all_rows_count_where_a_type_no_longer_casts(tables: Tables) -> None:
    tables.objects(0, 90)
    tables.departing(0, {"rows": 10, "fields": {}, "types": {"duration": {"string": 10}}})
    for offset in range(60):
        tables.quarantined(0, offset, reason="mistyped duration")
    (row,) = found(tables(0, 1, "schema_follows_contract", "schema_drift"))
    assert row[1:] == (LISTENS, "duration", "other type", "string for number", "60", "100")


@pytest.mark.parametrize(("disagreeing", "passes"), [(0, True), (8, True), (9, False)])
def test_levels_may_disagree_now_and_then(tables: Tables, disagreeing: int, passes: bool) -> None:
    """Of 100 listeners 3 do, and 3 times 1.7 more by chance; how often each listens is no matter."""
    tables.add("insert into dim_users (pk_user, level) select 'known ' || range, 'free' from range(50)")
    tables.add("insert into dim_users (pk_user, level) select 'inferred ' || range, null from range(50)")
    tables.add("insert into fact_listen_events select ?, pk_user, 'free' from dim_users", hour(0))
    tables.add(
        "insert into fact_listen_events select ?, 'known ' || range % ?, 'paid' from range(?)",
        hour(0),
        disagreeing or 1,
        disagreeing * 10,
    )
    evaluation = tables(0, 1, "level_agrees_with_history", "fact_listen_events")
    assert evaluation.passed is passes
    assert evaluation.sum("listeners") == 100
    assert evaluation.sum("disagreeing") == disagreeing


def test_each_hour_has_its_own_verdict(tables: Tables) -> None:
    for number in range(4):
        tables.objects(number, 5)
        tables.staged(number, 4 if number in (1, 3) else 5)
    told = tables(0, 4, "rows_are_accounted_for")
    assert told.failing() == [key_of(hour(1)), key_of(hour(3))]
    assert told.by_hour[key_of(hour(1))].metadata["staged"].value == 4


def test_a_gap_into_an_hour_outside_the_run_is_the_last_hours(tables: Tables) -> None:
    for number in (0, 1, 2):
        tables.objects(number, 10)
        tables.offsets(number, 20 * number, 20 * number + 9)
    assert tables(0, 3, "offsets_are_contiguous").failing() == [key_of(hour(1)), key_of(hour(2))]
    assert tables(0, 2, "offsets_are_contiguous").failing() == [key_of(hour(1))]
    assert tables(0, 1, "offsets_are_contiguous").failing() == [key_of(hour(0))]


def test_a_gap_that_an_earlier_hours_object_fills_is_none_once_that_hour_is_run(tables: Tables) -> None:
    for number, first in enumerate((0, 20, 30, 40, 60)):
        tables.objects(number, 10)
        tables.offsets(number, first, first + 9)
    assert tables(0, 5, "offsets_are_contiguous").failing() == [key_of(hour(1)), key_of(hour(4))]
    tables.offsets(0, 10, 19)
    result = tables.job.execute_in_process(instance=tables.instance, tags=span_tags((hour(0), hour(1))))
    verdicts = {
        e.partition: e.passed
        for e in result.get_asset_check_evaluations()
        if e.check_name == "offsets_are_contiguous" and e.asset_key.path[-1] == "stg_listen_events"
    }
    assert verdicts == {key_of(hour(0)): True, key_of(hour(1)): True}, "the last hour's gap is still there"


def test_checks_without_hours_look_at_all_that_were_taken_in(tables: Tables) -> None:
    for number in (0, 1, 5):
        tables.objects(number, 5)
        tables.staged(number, 4 if number == 5 else 5)
    result = tables.job.execute_in_process(instance=tables.instance)
    verdicts = {
        e.partition: e.passed
        for e in result.get_asset_check_evaluations()
        if e.check_name == "rows_are_accounted_for" and e.asset_key.path[-1] == "stg_listen_events"
    }
    assert verdicts == {key_of(hour(0)): True, key_of(hour(1)): True, key_of(hour(5)): False}


@pytest.mark.parametrize("check", HOURLY_CHECKS, ids=str)
def test_each_check_runs_alone(tables: Tables, check: dg.AssetCheckKey) -> None:
    result = tables.only(check)
    assert {e.asset_check_key for e in result.get_asset_check_evaluations()} == {check}
    assert len(result.get_asset_check_evaluations()) == 2


def test_no_plan_of_a_check_is_left_and_an_hour_keeps_its_verdict(tables: Tables, tmp_path: Path) -> None:
    """A bad hour stays bad, whatever other hours are run, until it is run again itself."""
    tables.objects(1, 5)
    key = dg.AssetCheckKey(dg.AssetKey(["staging", "stg_listen_events"]), "rows_are_accounted_for")
    prepare_dagster_home(tables.settings)
    with dg.DagsterInstance.from_config(str(tables.settings.dagster_home)) as tables.instance:
        tables.check(0, 3)
        tables.check(2, 3)
        tables.check(0, 1)
        log = tables.instance.event_log_storage
        records = log.get_asset_check_execution_history(key, limit=100)
        assert sorted((record.partition or "", record.status.value) for record in records) == [
            (key_of(hour(0)), "SUCCEEDED"),
            (key_of(hour(0)), "SUCCEEDED"),
            (key_of(hour(1)), "FAILED"),
            (key_of(hour(2)), "SUCCEEDED"),
            (key_of(hour(2)), "SUCCEEDED"),
        ]
        latest = {
            info.partition_key: info.latest_execution_status.value
            for info in log.get_asset_check_partition_info([key])
        }
        assert latest == {
            key_of(hour(0)): "SUCCEEDED",
            key_of(hour(1)): "FAILED",
            key_of(hour(2)): "SUCCEEDED",
        }


@pytest.mark.parametrize("table", ["lake_objects", "stg_users", "stg_field_profile", "dim_users"])
def test_a_warehouse_that_lacks_tables_is_said_to_have_nothing_to_check(tables: Tables, table: str) -> None:
    tables.add(f"drop table {table}")
    evaluations = tables.check(0, 1)
    assert len(evaluations) == 18
    assert not any(evaluation.passed for evaluation in evaluations.values())
    assert {e.description for evaluation in evaluations.values() for e in evaluation.by_hour.values()} == {
        f"Nothing to look at: materialise these hours first. The warehouse lacks the tables {table}"
    }


def test_a_failing_check_fails_no_run(tables: Tables) -> None:
    tables.objects(0, 5)
    tags = span_tags((hour(0), hour(0) + timedelta(hours=1)))
    result = tables.job.execute_in_process(instance=tables.instance, tags=tags)
    assert result.success
    assert not all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
