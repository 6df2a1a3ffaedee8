"""Schedules: objects land, hours are materialised in any order, runs break off; then all tables equal a rebuild.

A failing schedule is shrunk and printed as the calls that make it. To run one by hand, put the printed lines behind

    from streaming_assets_tests.properties.machine import *
    from streaming_assets_tests.properties.site import *
"""

import shutil
import tempfile
from collections import Counter
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from streaming_assets.automation.arrivals import fingerprints
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.inventory import list_topics
from streaming_assets.lake.names import HOUR
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.executor import Executor, MemoryWarehouse
from streaming_assets_tests.properties.reference import expected_tables
from streaming_assets_tests.properties.reference_staging import Tables
from streaming_assets_tests.properties.site import HOURS, REFERENCES, Event, events
from streaming_assets_tests.properties.world import World, seal, take_stock, whole_span

BOOKKEEPING = {"dim_users": {"first_seen_datetime"}}
EPOCHS = [None, "b"]

_hours = st.integers(0, len(HOURS) - 1)


@lru_cache(maxsize=1)
def project_executor() -> Executor:
    """The executor of the repository's dbt project."""
    with tempfile.TemporaryDirectory(prefix="properties-") as target:
        return Executor(PROJECT_ROOT / "dbt_project", Path(target))


class Schedules(RuleBasedStateMachine):
    """Draws schedules; `executor` may be replaced to run another project."""

    executor: Executor | None = None

    def __init__(self) -> None:
        super().__init__()
        self._dbt = self.executor or project_executor()
        self._folder = tempfile.mkdtemp(prefix="schedule-")
        self._world = World(Path(self._folder))
        self._warehouse = MemoryWarehouse()
        self._changed: set[datetime] = set()  # hours whose objects changed since they were materialised
        self._published: dict[tuple[str, date], list[tuple]] = {}
        self._reference = 0
        self._reference_changed = False

    @initialize(finish=st.sampled_from(["in order", "backwards", "at once"]))
    def begin(self, finish: str) -> None:
        """How what is left at the end is materialised."""
        self._finish = finish

    @rule(
        arrivals=st.lists(st.tuples(_hours, events), min_size=1, max_size=6),
        again=st.none() | _hours,
        stream_epoch=st.sampled_from(EPOCHS),
        partition=st.integers(0, 1),
        grow=st.booleans(),
    )
    def land(
        self,
        arrivals: list[tuple[int, Event]],
        again: int | None = None,
        stream_epoch: str | None = None,
        partition: int = 0,
        grow: bool = False,
    ) -> None:
        """Events arrive, each in an hour of its own, in new objects or at the end of old ones.

        A producer's retry brings them all once more in hour `again`.
        """
        retried = [] if again is None else [(again, event) for _, event in arrivals]
        for hour, event in arrivals + retried:
            self._world.append(event.topic, HOURS[hour], [event.value], stream_epoch, partition, grow)
            self._changed.add(HOURS[hour])

    @precondition(lambda self: self._world.objects)
    @rule(which=st.integers(0, 30), row=st.integers(0, 3), hour=_hours, renewed=st.booleans())
    def deliver_again(self, which: int, row: int, hour: int, renewed: bool) -> None:
        """A row arrives once more, under its own offset or a new one, in this hour or another."""
        name, row = self._pick(which, row)
        text = self._world.objects[name][row]
        if renewed:
            self._world.append(
                name.topic, HOURS[hour], [text], name.stream_epoch, 1 - name.partition, grow=False
            )
        else:
            self._world.redeliver(name, row, HOURS[hour])
        self._changed.add(HOURS[hour])

    @precondition(lambda self: self._world.objects)
    @rule(which=st.integers(0, 30), row=st.integers(0, 3))
    def split(self, which: int, row: int) -> None:
        """A sink that replays leaves the same rows in other objects of the hour."""
        name, row = self._pick(which, row)
        if row:
            self._world.split(name, row)
            self._changed.add(name.hour)

    @rule(topic=st.sampled_from(["listen_events", "user_info"]), stream_epoch=st.sampled_from(EPOCHS))
    def lose_offset(self, topic: str, stream_epoch: str | None) -> None:
        """A row is in no object."""
        self._world.skip_offset(topic, stream_epoch, 0)

    @precondition(lambda self: self._reference < len(REFERENCES) - 1)
    @rule()
    def learn(self) -> None:
        """The reference files gain songs and places, or other genres and names."""
        self._reference += 1
        self._reference_changed = True
        self._world.write_reference(*REFERENCES[self._reference])

    @precondition(lambda self: self._world.objects)
    @rule(which=st.integers(0, 30), changes=st.none() | st.integers(0, 12))
    def seal(self, which: int, changes: int | None = None) -> None:
        """An hour is sealed, or whoever does it is killed. Nothing of the hour changed by that, so no run follows."""
        name, _ = self._pick(which, 0)
        before = list_topics(self._world.lake, LAKE_TOPICS, name.hour, name.hour + HOUR)
        seal(self._world, self._warehouse, name.hour, changes)
        after = list_topics(self._world.lake, LAKE_TOPICS, name.hour, name.hour + HOUR)
        assert fingerprints(after.objects) == fingerprints(before.objects), "the sensor sees no change"
        assert after.strays == before.strays

    @rule(first=_hours, more=st.sampled_from([0, 0, 1, 2, 7]))
    def materialise(self, first: int, more: int) -> None:
        """A run over an hour or a range."""
        self._run(HOURS[first], HOURS[min(first + more, len(HOURS) - 1)])

    @rule(first=_hours, more=st.sampled_from([0, 0, 1, 7]), after=st.integers(0, 30))
    def break_off(self, first: int, more: int, after: int) -> None:
        """A run that dies after some of its models."""
        self._run(HOURS[first], HOURS[min(first + more, len(HOURS) - 1)], models=after)

    def lack(self, table: str) -> None:
        """The warehouse is of a former version, which had no such table; not drawn."""
        self._warehouse.database.execute(f"drop table {table}")
        known = self._warehouse.relations
        relations = known.get_relations("memory", "main")
        known.drop(next(relation for relation in relations if relation.identifier == table))

    def teardown(self) -> None:
        """Materialise what has changed; compare with a rebuild and with plain Python."""
        try:
            if self._world.objects:
                self._catch_up()
                self._compare()
        finally:
            self._warehouse.database.close()
            shutil.rmtree(self._folder)

    def _pick(self, which: int, row: int):
        names = list(self._world.objects)
        name = names[which % len(names)]
        return name, row % len(self._world.objects[name])

    def _run(self, first: datetime, last: datetime, models: int | None = None) -> None:
        take_stock(self._world, self._warehouse, (first, last + HOUR))
        self._dbt.run(self._warehouse, (first, last + HOUR), models)
        if models is None:
            self._changed = {hour for hour in self._changed if not first <= hour <= last}
            self._reference_changed = False
            self._publish()
        else:
            # What a broken run left half done is materialised again.
            self._changed |= {hour for hour in self._world.hours if first <= hour <= last}

    def _publish(self) -> None:
        """Take over the days that wait for it, as the dashboards' snapshot does."""
        queued = self._warehouse.queued_days()
        for mart, days in queued.items():
            for day in days:
                query = f"select * from {mart} where cast({_day_column(mart)} as date) = ?"
                self._published[mart, day] = self._warehouse.rows(query, [day])
        self._warehouse.forget_queued(queued)

    def _catch_up(self) -> None:
        left = sorted(self._changed, reverse=self._finish == "backwards")
        if self._finish == "at once" and left:
            self._run(left[0], left[-1])
        else:
            for hour in left:
                self._run(hour, hour)
        if self._reference_changed:
            self._run(HOURS[0], HOURS[0])

    def _compare(self) -> None:
        rebuilt = MemoryWarehouse()
        span = whole_span(self._world)
        take_stock(self._world, rebuilt, span)
        self._dbt.run(rebuilt, span)
        expected = expected_tables(self._world.lines(), self._world.songs, self._world.locations)
        rebuilt_rows = rows_of(rebuilt, expected)
        rebuilt.database.close()
        assert_equal(rows_of(self._warehouse, expected), rebuilt_rows, "a rebuild")
        assert_equal(rebuilt_rows, rows_of(None, expected), "plain Python")
        for mart in {mart for mart, _ in self._published}:
            published = [row for (name, _), rows in self._published.items() if name == mart for row in rows]
            assert Counter(published) == Counter(self._warehouse.rows(f"select * from {mart}")), (
                f"{mart}: what was queued for publishing differs from the mart"
            )


def _day_column(mart: str) -> str:
    of_facts = {"fact_listen_events": "event_datetime", "fact_session_events": "session_start_datetime"}
    of_facts["fact_churn_events"] = of_facts["fact_session_events"]
    return {"mart_weekly_users": "week_start", **of_facts}.get(mart, "event_date")


def rows_of(warehouse: MemoryWarehouse | None, expected: Tables) -> dict[str, Counter]:
    """Multisets of rows by table, each row its (column, value) pairs; of `expected` itself without a warehouse."""
    found = {}
    for table, rows in expected.items():
        if warehouse is not None:
            result = warehouse.database.execute(f"select * from {table}")
            names = [column[0] for column in result.description]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        skipped = BOOKKEEPING.get(table, set())
        found[table] = Counter(
            tuple(sorted((name, value) for name, value in row.items() if name not in skipped)) for row in rows
        )
    return found


def assert_equal(found: dict[str, Counter], wanted: dict[str, Counter], what: str) -> None:
    """Fails with the rows that are too many and those that are missing, by table."""
    differences = [
        f"{table} {sign} {dict(row)}" + (f" x {count}" if count > 1 else "")
        for table in wanted
        for sign, rows in (("-", wanted[table] - found[table]), ("+", found[table] - wanted[table]))
        for row, count in rows.items()
    ]
    assert not differences, f"differs from {what} (- missing, + too many):\n" + "\n".join(differences)
