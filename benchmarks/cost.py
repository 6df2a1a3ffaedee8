"""What the pipeline costs a month on Google Cloud, from measured bytes, the dbt project and one table of prices.

    python benchmarks/cost.py           prints the tables of docs/cost.md
    python benchmarks/cost.py --write   writes them into the page

`cost_measure.py` makes the measurements, `prices.yaml` has the prices, `bigquery_statements.json` what a
run sends, which `python -m streaming_assets_tests.bigquery.counting` counts.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
MEASURED = HERE / "cost_measured.json"
STATEMENTS = HERE / "bigquery_statements.json"
TOPICS = ("listen_events", "page_view_events", "status_change_events", "user_info")
LISTED_TOPICS = 5  # the sensor lists these and the dead letters

GIB = 2**30
MONTH_DAYS = 30
MONTH_HOURS = 24 * MONTH_DAYS
PAGE = 1000  # objects that one list operation answers with
LEAST_MESSAGE = 1000  # bytes billed for a message or request of Pub/Sub
LEAST_READ = 10 * 2**20  # bytes billed for each table of a query
MOST_RUNS = 1440  # a day: one run at a time, each of a minute at least
OVERWRITES = 1500  # a day and table: load jobs, and query jobs that replace or append; DML is not among them
INSERTS_AT_ONCE = 1500  # a day and table that begin at once; further ones ten at a time
LOAD_JOBS = 100_000  # a day and project
CHANGED_PARTITIONS = 4000  # of a table by one job
TYPE_BYTES = {"timestamp": 8, "date": 8, "bigint": 8, "integer": 8, "double": 8, "boolean": 1}


@dataclass(frozen=True)
class Deployment:
    """What is deployed, and the traffic: the reference's by default. Intervals are seconds."""

    users: int = 800_000
    growth_a_year: float = 5.0
    partitions: int = 3
    flush: float = 10.0
    sensor: float = 300.0
    lookback_hours: int = 48
    relist: float = 600.0

    @property
    def runs_a_day(self) -> float:
        """At most one run a look of the sensor, each with something new; a run takes a minute or more."""
        return 86_400 / max(self.sensor, 60.0)

    @property
    def mean_users(self) -> float:
        """Users on average over the month: they grow from `users` exponentially."""
        grown = self.growth_a_year * MONTH_DAYS / 365
        return self.users * (math.expm1(grown) / grown if grown else 1)


@dataclass
class Bill:
    """Lines of (what, quantity, unit price's name, USD)."""

    prices: dict[str, float]
    lines: list[tuple[str, str, str, float]] = field(default_factory=list)

    def add(self, what: str, quantity: float, price: str, free: float = 0) -> None:
        charged = max(0.0, quantity - free)
        self.lines.append((what, f"{quantity:,.1f}", price, charged * self.prices[price]))

    @property
    def total(self) -> float:
        return sum(usd for *_, usd in self.lines)


class Traffic:
    """Quantities that follow from what was measured and from a deployment."""

    def __init__(
        self, measured: dict[str, Any], deployment: Deployment, least_read: int = LEAST_READ
    ) -> None:
        self.least_read = least_read
        self.topics = measured["topics"]
        self.models = measured["models"]
        self.deployment = deployment
        self.daily = {t: m["events_a_user_day"] * deployment.mean_users for t, m in self.topics.items()}

    def month(self, of: str) -> float:
        """Bytes of a month of events by one of the measures."""
        return sum(self.daily[t] * MONTH_DAYS * m[of] / 1e6 for t, m in self.topics.items())

    def objects_a_day(self, topic: str) -> float:
        """A partition has an object for each flush in which an event came."""
        given = self.deployment
        a_flush = self.daily.get(topic, 0) / 86_400 * given.flush / given.partitions
        return 86_400 / given.flush * given.partitions * -math.expm1(-a_flush)

    def listings_a_day(self, woken: bool = False) -> float:
        """List operations of the object sensor: one for each thousand objects of the window, at least one a topic.

        Woken by notifications it looks at most twice a flush (its objects may fall into two ticks) and every `relist`.
        """
        given = self.deployment
        looks = 86_400 / given.sensor
        if woken:
            looks = min(looks, 2 * 86_400 / given.flush + 86_400 / given.relist)
        hours = given.lookback_hours + 0.5  # and the hour that has begun
        pages = sum(max(1, math.ceil(self.objects_a_day(t) / 24 * hours / PAGE)) for t in TOPICS)
        return looks * (pages + LISTED_TOPICS - len(TOPICS))

    def notification_tib_a_day(self) -> float:
        """Of Pub/Sub, each message in and out and each tick's pull at its least size."""
        objects = sum(map(self.objects_a_day, TOPICS))
        return (2 * objects + 86_400 / self.deployment.sensor) * LEAST_MESSAGE / 2**40

    def rows(self, relation: str) -> float:
        """Rows of the part of a relation that a run reads: an hour of events, a day of facts, a dimension whole."""
        listens, views = self.daily["listen_events"], self.daily["page_view_events"]
        a_day = {
            "fact_listen_events": listens,
            "fact_session_events": views / 8,
            "dim_users": self.deployment.mean_users,
            "mart_daily_song_streams": listens / 2,
        }
        if relation in a_day:
            return a_day[relation]
        stem = relation.removeprefix("stg_").removeprefix("base_").removesuffix("_ext")
        return self.daily.get("user_info" if stem == "users" else stem, 0) / 24

    def width(self, relation: str) -> float:
        """Bytes of a row as BigQuery bills them."""
        stem = relation.removeprefix("stg_").removeprefix("base_").removesuffix("_ext")
        topic = self.topics.get("user_info" if stem == "users" else stem, self.topics["listen_events"])
        types = self.models.get(relation, {}).get("types") or []
        if not types:  # external or a copy of it: the text of the event
            return topic["bytes_a_million"] / 1e6
        return sum(
            TYPE_BYTES.get(kind, 16 if kind.startswith("decimal") else 2 + topic["mean_string"])
            for kind in types
        )

    def read(self, relation: str) -> float:
        """Bytes billed for reading a relation once."""
        return max(self.least_read, self.rows(relation) * self.width(relation))

    def run_bytes(self) -> tuple[float, float]:
        """Bytes billed for one run over one hour: models, tests."""
        built = {name: model for name, model in self.models.items() if model["kind"] != "view"}
        models = sum(
            sum(map(self.read, model["reads"])) + (self.read(name) if model["kind"] == "incremental" else 0)
            for name, model in built.items()
        )
        tests = sum(
            self.read(name) for model in self.models.values() for test in model["tests"] for name in test
        )
        return models, tests

    def lookup_bytes(self, statements: dict[str, Any]) -> float:
        """Bytes billed for what one run asks to write its statements, and for the hourly checks."""
        return sum(
            times * self.read(name) for name, times in statements["read_by_lookups_and_checks"].items()
        )


def bill(measured: dict[str, Any], deployment: Deployment) -> Bill:
    """The month's bill, line by line."""
    table = yaml.safe_load((HERE / "prices.yaml").read_text())
    out = Bill({name: price["usd"] for name, price in table["prices"].items()})
    traffic = Traffic(measured, deployment)
    writes = sum(map(traffic.objects_a_day, TOPICS)) * MONTH_DAYS
    lookups = traffic.lookup_bytes(json.loads(STATEMENTS.read_text()))
    models, tests, lookups = (
        size * deployment.runs_a_day * MONTH_DAYS / 2**40 for size in (*traffic.run_bytes(), lookups)
    )
    # Each run reads its hour's objects, on average half of them, twice: the external table, and the count of lines.
    reads = deployment.runs_a_day / 24 + 2
    tables = 2 * traffic.month("column_bytes_a_million") / GIB  # staging, and facts with marts
    out.add("Machine (brokers, Connect, Dagster, dashboards, simulator)", MONTH_HOURS, "machine_hour")
    out.add("Its disks, 100 GB and 20 GB", 120, "disk_gb")
    out.add("Daily snapshots of the data disk, a week of changes", 40, "snapshot_gb")
    out.add("Cloud SQL for Dagster", MONTH_HOURS, "sql_hour")
    out.add("Its disk", 10, "sql_gb")
    out.add("Its backups", 10, "sql_backup_gb")
    out.add("Lake: a month of event objects", traffic.month("object_bytes_a_million") / GIB, "storage_gb")
    out.add("Lake: objects written, thousands", writes / 1000, "class_a_1000")
    out.add(
        "Lake: the sensor's listings, thousands", traffic.listings_a_day() * MONTH_DAYS / 1000, "class_a_1000"
    )
    out.add(
        "Lake: objects read by external tables and checks, thousands", writes * reads / 1000, "class_b_1000"
    )
    out.add("BigQuery: models, TiB", models, "query_tib", free=table["free"]["query_tib"])
    out.add("BigQuery: tests, TiB", tests, "query_tib")
    out.add("BigQuery: lookups and checks, TiB", lookups, "query_tib")
    out.add("BigQuery: tables after a month", tables, "table_gb", free=table["free"]["table_gb"])
    out.add("NAT", MONTH_HOURS, "nat_hour")
    out.add("NAT's address", MONTH_HOURS, "address_hour")
    out.add("NAT: packages and images from outside", 10, "nat_gb")
    out.add("Images, ten versions", 15, "registry_gb")
    out.add("Secrets", 1, "secret_version")
    return out


# What is printed


def rows(header: str, lines: list[tuple[Any, ...]]) -> str:
    columns = header.split("|")
    rule = "|".join("---" if at == 0 else "---:" for at in range(len(columns)))
    return "\n".join(
        [f"|{header}|", f"|{rule}|", *("| " + " | ".join(map(str, line)) + " |" for line in lines)]
    )


def report() -> Iterator[tuple[str, str]]:
    """(name, table) of each table of docs/cost.md."""
    measured = json.loads(MEASURED.read_text())
    traffic = Traffic(measured, Deployment())
    month = bill(measured, Deployment())
    sizes = ("bytes_a_million", "object_bytes_a_million", "column_bytes_a_million")
    header = " topic | events measured | MB a million: JSON | in the lake | in columns | events a day "
    yield (
        "measured",
        rows(
            header,
            [
                (
                    t,
                    f"{m['events']:,}",
                    *(f"{m[size] / 1e6:,.1f}" for size in sizes),
                    f"{traffic.daily[t]:,.0f}",
                )
                for t, m in traffic.topics.items()
            ],
        ),
    )
    lines = [
        (what, much, f"{month.prices[price]:g}", f"{usd:,.2f}") for what, much, price, usd in month.lines
    ]
    whole = ("**All**", "", "", f"**{month.total:,.2f}**")
    yield "bill", rows(" item | quantity | unit price | USD a month ", [*lines, whole])
    yield "alternatives", rows(" variable | what it is | USD a month ", list(_alternatives(measured)))
    header = " flush s | sensor s | objects a day | list operations a day | USD a day | USD a month "
    cases = [(flush, sensor) for flush in (10, 60, 300) for sensor in (5, 30, 300)]
    yield "listing", rows(header, [_listing(measured, *case) for case in cases])
    header = (
        " flush s | sensor s | list operations a day | USD a month | messages a day | Pub/Sub, USD a month "
    )
    yield "woken", rows(header, [_woken(measured, *case) for case in cases if case[1] < case[0]])
    header = (
        " sensor s | runs a day | models, USD a month | tests | lookups and checks | all three without the 10 MB rule"
        " | whole bill "
    )
    yield "runs", rows(header, [_runs(measured, sensor) for sensor in (30, 300, 900, 3600)])
    header = " what is limited | a run | 24 runs a day | 288 | 1,440 | limit "
    yield "quotas", rows(header, list(_quotas(json.loads(STATEMENTS.read_text()))))


def _quotas(statements: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    def line(what: str, a_run: int, limit: str) -> tuple[Any, ...]:
        return what, f"{a_run:,}", *(f"{a_run * runs:,}" for runs in (24, 288, MOST_RUNS)), limit

    def most(kind: str) -> tuple[str, int]:
        return max(statements[kind].items(), key=lambda table: table[1])

    _, overwrites = most("overwritten")
    into, inserts = most("inserted")
    _, mutations = most("mutated")
    yield line("load and query jobs that overwrite one table", overwrites, f"{OVERWRITES:,} a day")
    yield line(
        f"INSERT statements into one table (`{into}`)",
        inserts,
        f"{INSERTS_AT_ONCE:,} a day begin at once, further ones 10 at a time",
    )
    yield line("UPDATE, DELETE and MERGE on one table", mutations, "none a day; 2 at a time, 20 wait")
    yield line("load jobs of the project", 1, f"{LOAD_JOBS:,} a day")
    yield line("jobs", sum(statements["jobs"].values()), "none a day")


def _listing(measured: dict[str, Any], flush: float, sensor: float) -> tuple[Any, ...]:
    traffic = Traffic(measured, Deployment(flush=flush, sensor=sensor))
    operations = traffic.listings_a_day()
    usd = (
        operations
        / 1000
        * yaml.safe_load((HERE / "prices.yaml").read_text())["prices"]["class_a_1000"]["usd"]
    )
    objects = sum(map(traffic.objects_a_day, TOPICS))
    return flush, sensor, f"{objects:,.0f}", f"{operations:,.0f}", f"{usd:,.2f}", f"{usd * MONTH_DAYS:,.2f}"


def _woken(measured: dict[str, Any], flush: float, sensor: float) -> tuple[Any, ...]:
    traffic = Traffic(measured, Deployment(flush=flush, sensor=sensor))
    prices = yaml.safe_load((HERE / "prices.yaml").read_text())["prices"]
    operations = traffic.listings_a_day(woken=True)
    listing = operations * MONTH_DAYS / 1000 * prices["class_a_1000"]["usd"]
    messages = traffic.notification_tib_a_day() * MONTH_DAYS * prices["pubsub_tib"]["usd"]
    objects = sum(map(traffic.objects_a_day, TOPICS))
    return flush, sensor, f"{operations:,.0f}", f"{listing:,.2f}", f"{objects:,.0f}", f"{messages:,.2f}"


def _runs(measured: dict[str, Any], sensor: float) -> tuple[Any, ...]:
    deployment = Deployment(sensor=sensor)
    month = bill(measured, deployment)
    usd = {what: usd for what, *_, usd in month.lines}
    queries = [usd[f"BigQuery: {kind}, TiB"] for kind in ("models", "tests", "lookups and checks")]
    exact = Traffic(measured, deployment, least_read=0)
    free = (
        (sum(exact.run_bytes()) + exact.lookup_bytes(json.loads(STATEMENTS.read_text())))
        * deployment.runs_a_day
        * MONTH_DAYS
        / 2**40
    )
    ruled = max(0.0, free - 1) * month.prices["query_tib"]
    return (
        f"{sensor:g}",
        f"{deployment.runs_a_day:,.0f}",
        *(f"{v:,.2f}" for v in (*queries, ruled, month.total)),
    )


def _alternatives(measured: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    month = bill(measured, Deployment())
    sql = sum(usd for what, _, price, usd in month.lines if price.startswith("sql"))
    yield "`postgres = vm`", "a container, backed up by the disk's snapshots only", f"{-sql:+,.2f}"
    kafka = 3 * MONTH_HOURS * month.prices["kafka_dcu_hour"]
    yield (
        "`kafka = managed`",
        "3 vCPUs and 12 GiB are 3 compute units; storage comes on top",
        f"{kafka:+,.2f}",
    )
    machine = (
        MONTH_HOURS * (month.prices["machine_hour"] + month.prices["nat_hour"])
        + 120 * month.prices["disk_gb"]
    )
    yield "`separate_ingestion = true`", "a second machine with its disks", f"{machine:+,.2f}"


def write(page: Path) -> None:
    """Put the tables between their marks, `<!-- name -->` and `<!-- /name -->`."""
    text = page.read_text()
    for name, table in report():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->{rest.partition(f'<!-- /{name} -->')[2]}"
    page.write_text(text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--write"]:
            write(HERE.parent / "docs" / "cost.md")
        case []:
            for name, table in report():
                print(f"{name}\n\n{table}\n")
        case _:
            sys.exit(__doc__)
