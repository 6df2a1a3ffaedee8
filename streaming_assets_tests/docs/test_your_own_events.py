"""docs/add-an-event-type.md, "Your own events": a shop's orders from a file to a fact, with nothing but new files.

Some rows come twice, some late, some are bad.
"""

import importlib.util
import json
import random
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from streaming_assets.checks.queries import UNACCOUNTED_ROWS
from streaming_assets.warehouses.tables import literal
from streaming_assets_tests.docs.project_copy import ProjectCopy, read_page

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("docs"), pytest.mark.timeout(1200)]

CONTRACT = "dbt_project/models/sources/orders.yml"
START = datetime(2025, 4, 1, tzinfo=UTC)
ORDERS, HOURS = 600, 10
# The copy's lake, as BigQuery shows it; what the orders' model makes of it there.
ON_BIGQUERY = """
import gzip, json
from pathlib import Path
import duckdb
from streaming_assets.lake.names import parse_object
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA, naive
from streaming_assets_tests.bigquery.project import BigQueryProject, external_tables
from streaming_assets_tests.bigquery.site import LAKE, shown
lake = Path(".local/lake")
rows = {name: [] for name in external_tables()}
for path in lake.glob("raw/orders/*/*.gz"):
    name = parse_object(str(path.relative_to(lake)))
    where = {"date": naive(name.hour), "_file_name": f"{LAKE}/{name}"}
    lines = gzip.open(path, "rt").read().splitlines()
    few = lines[::25] + [line for line in lines if '"A-' not in line]
    rows["orders_ext"] += [shown(line) | where for line in few]
with duckdb.connect(".local/warehouse.duckdb", read_only=True) as connection:
    columns = ", ".join(INVENTORY_SCHEMA.names)
    inventory = connection.sql(f"select {columns} from lake_objects where topic = 'orders'").fetchall()
inventory = [dict(zip(INVENTORY_SCHEMA.names, row)) for row in inventory]
hours = [row["bucket_ingestion_datetime"] for row in inventory]
project = BigQueryProject(Path(".local/bigquery"))
project.fill(rows, [row | {"uri": f"{LAKE}/{row['object_name']}"} for row in inventory])
project.build_base_models((min(hours), max(hours)), "base_orders")
columns, found = project.rows("base_orders")
print(json.dumps([dict(zip(columns, map(str, row))) for row in found]))
"""
BAD = {
    "missing orderId": {"orderId": None},
    "mistyped total": {"total": "free"},
    "impossible total": {"total": -5},
    "mistyped placedAt": {"placedAt": "2025-04-01 soon"},
}
LATE = datetime(2025, 4, 1, 11, tzinfo=UTC)


def order(number: int) -> dict[str, Any]:
    draw = random.Random(number)
    at = START + timedelta(seconds=number * HOURS * 3600 // ORDERS, milliseconds=number % 1000)
    zone = timedelta(hours=2) if number % 3 == 0 else timedelta(0)
    text = (at + zone).replace(tzinfo=None).isoformat(timespec="milliseconds") + ("+02:00" if zone else "Z")
    found = {
        "orderId": f"A-{number:05d}",
        "placedAt": text,
        "status": draw.choice(("paid", "shipped", "cancelled")),
        "total": draw.choice((draw.randrange(5, 200), round(draw.uniform(1, 200), 2))),
        "customer": {
            "email": f"someone{draw.randrange(50)}@example.com",
            "country": draw.choice(("DE", "FR")),
        },
    }
    if number % 5 == 0:
        found["voucher"] = draw.choice(("SPRING", "FRIEND"))
    return found


ON_TIME = [order(number) for number in range(ORDERS)]
COPIES = ON_TIME[::40]
DRAFTS = [order(700 + number) | {"orderId": f"D-{number}", "status": "draft"} for number in range(4)]
CAME_LATE = [order(ORDERS + number) | {"placedAt": "2025-04-01T02:30:00Z"} for number in range(3)]
LATE_LINES = [*CAME_LATE, *COPIES[:2]]


def rows_of(orders: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What models have to say of orders, in plain Python."""
    return sorted(
        (
            o["orderId"],
            datetime.fromisoformat(o["placedAt"]).astimezone(UTC).replace(tzinfo=None),
            o["status"],
            Decimal(str(o["total"])),
            o["customer"]["country"],
        )
        for o in orders
    )


class Shop(ProjectCopy):
    """The copy after the page; what the draft and the checks before and after said."""

    drafted = told = checked = ""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    project = Shop(tmp_path_factory.mktemp("copy"))
    page = read_page("add-an-event-type.md", before="## What a contract says", after="## Your own events")
    bad = [
        order(500 + number) | {"orderId": f"B-{number}"} | change
        for number, change in enumerate(BAD.values())
    ]
    lines = [json.dumps(event) for event in [*ON_TIME, *COPIES, *DRAFTS, *bad]]
    (project.root / "orders.jsonl").write_text("\n".join([*lines, '{"orderId": "cut']))
    (project.root / "late.jsonl").write_text("\n".join(map(json.dumps, LATE_LINES)))

    infer, look = page.commands
    project.shell(infer)
    project.drafted = (project.root / CONTRACT).read_text()
    project.follow(page)
    assert project.changes() == ({"dbt_project/dbt_project.yml"}, set()), (
        "nothing but new files, and the list"
    )
    project.told = project.shell("streaming-assets contract check 2>&1", status=1)
    (project.root / CONTRACT).write_text(decided(project.drafted))
    check, replay, backfill, again = look.splitlines()
    assert "orders: no event in the lake yet" in project.shell(check)
    project.shell(replay)
    project.shell(f"streaming-assets replay orders late.jsonl --to lake --not-before {LATE:%Y-%m-%dT%H:%M}")
    project.shell(backfill)
    project.checked = project.shell(again)
    return project


def decided(draft: str) -> str:
    """The draft, as a person would settle it."""
    lines = [
        line for line in draft.splitlines() if not re.match(r" *# DECIDE", line) and "asks for a" not in line
    ]
    text = "\n".join(lines).replace("DECIDE: ", "Said: ") + "\n"
    amount = "config: {meta: {column: total, required: true}}"
    assert amount in text
    text = text.replace(amount, "config: {meta: {column: total, required: true, minimum: 0}}")
    identity = "identity: [orderId]\n"
    indent = text.partition(identity)[0].rpartition("\n")[2]
    kept = f"{indent}filter: {{field: status, keep: [paid, shipped, cancelled]}}\n"
    return text.replace(identity, identity + kept)


def test_the_sample_gives_the_contract(project: Shop) -> None:
    draft = project.drafted
    assert "identity: [orderId]" in draft
    assert "event_time: placedAt" in draft
    assert "config: {meta: {column: placed_at, required: true, time: iso_8601}}" in draft
    assert re.search(r"name: total\n.*\n *data_type: number", draft)
    assert "config: {meta: {column: customer_email, required: true, personal: true}}" in draft
    assert "config: {meta: {column: voucher}}" in draft
    assert 'seen in all: "' in draft


def test_what_is_undecided_is_told_with_its_line(project: Shop) -> None:
    number = next(n for n, line in enumerate(project.drafted.splitlines(), 1) if "identity?" in line)
    assert f"{CONTRACT}, line {number}: to be decided: identity? orderId differs" in project.told


def test_valid_orders_are_staged_once_an_hour(project: Shop) -> None:
    staged = "select order_id, event_datetime, status, total, customer_country from stg_orders where {} order by all"
    late = f"bucket_ingestion_datetime >= '{LATE:%Y-%m-%d %H:%M}'"
    assert project.rows(staged.format(f"not {late}")) == rows_of(ON_TIME)
    assert project.rows(staged.format(late)) == rows_of(LATE_LINES)
    copies = f"select count(*) from stg_orders where copies = 2 and not {late}"
    assert project.rows(copies) == [(len(COPIES),)]
    assert project.rows("select distinct customer_email like '%@example.com' from stg_orders") == [(True,)]


def test_the_fact_has_each_order_once(project: Shop) -> None:
    columns = "order_id, event_datetime, status, total, customer_country"
    assert project.rows(f"select {columns} from fact_orders order by all") == rows_of([*ON_TIME, *CAME_LATE])


def test_bad_orders_are_quarantined_with_their_reasons(project: Shop) -> None:
    rows = "select {} from stg_quarantine where topic = 'orders' and dead_letter_offset is {} null group by 1"
    assert dict(project.rows(rows.format("reason, count(*)", ""))) == dict.fromkeys(BAD, 1)
    assert project.rows(rows.format("raw_text", "not")) == [('{"orderId": "cut',)]


def test_all_rows_are_accounted_for_those_that_the_filter_leaves_out_too(project: Shop) -> None:
    left_out = "select topic, field, value, sum(row_count) from stg_filtered_rows group by all"
    assert project.rows(left_out) == [("orders", "status", "draft", len(DRAFTS))]
    start, end = literal(START), literal(START + timedelta(days=1))
    query = UNACCOUNTED_ROWS.format(topic="orders", staging="stg_orders", start=start, end=end)
    hours = project.rows(query)
    assert sum(in_objects for _, in_objects, *_ in hours) == len(
        [*ON_TIME, *COPIES, *DRAFTS, *BAD, *LATE_LINES]
    )
    assert [hour for hour, in_objects, *accounted in hours if in_objects != sum(accounted)] == []


@pytest.mark.skipif(importlib.util.find_spec("zetasql") is None, reason="`zetasql` needs Python 3.11")
def test_google_sql_finds_the_same_rows_those_of_nested_fields_too(project: Shop) -> None:
    found = json.loads(project.python(ON_BIGQUERY).splitlines()[-1])
    columns = ("order_id", "status", "customer_country", "customer_email")
    staged = {tuple(row[name] for name in columns) for row in found if row["disposition"] == "staged"}
    assert len(staged) > len(LATE_LINES)
    assert staged <= set(project.rows(f"select distinct {', '.join(columns)} from stg_orders"))
    bad = {row["reason"] for row in found if row["disposition"] == "quarantined"}
    assert {" ".join(reason.split()[:2]) for reason in bad} >= set(BAD)


def test_the_contract_holds_to_what_arrived(project: Shop) -> None:
    assert re.search(r"orders: \d+ events of 5 objects", project.checked)
    assert "1 of 5 to what lies in the lake" in project.checked
