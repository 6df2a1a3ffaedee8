"""docs/cost.md: its tables are the calculator's, and the calculator's defaults are the project's."""

import re
from datetime import date
from runpy import run_path
from typing import Any

import pytest
import yaml

from streaming_assets.events import DEFAULT_TOPICS, LAKE_TYPES
from streaming_assets.settings import PROJECT_ROOT, declared

BENCHMARKS = PROJECT_ROOT / "benchmarks"
cost = run_path(str(BENCHMARKS / "cost.py"))
PRICES: dict[str, Any] = yaml.safe_load((BENCHMARKS / "prices.yaml").read_text())
MEASURED: dict[str, Any] = yaml.safe_load((BENCHMARKS / "cost_measured.json").read_text())
Deployment, Traffic, bill = cost["Deployment"], cost["Traffic"], cost["bill"]


def test_the_page_shows_what_the_calculator_says() -> None:
    page = (PROJECT_ROOT / "docs" / "cost.md").read_text()
    shown = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- /\1 -->", page, re.S))
    assert shown == dict(cost["report"]())


def test_defaults_are_those_of_the_project() -> None:
    worker = (PROJECT_ROOT / "kafka" / "connect" / "worker.properties").read_text()
    variables = (PROJECT_ROOT / "terraform" / "variables.tf").read_text()
    interval = re.search(r'"sensor_interval_seconds" \{.*?default\s+= (\d+)', variables, re.S)
    budget = re.search(r'"budget_usd" \{.*?default\s+= (\d+)', variables, re.S)
    assert interval
    assert budget
    assert f"offset.flush.interval.ms={Deployment.flush * 1000:.0f}\n" in worker
    assert Deployment.sensor == float(interval[1])
    assert Deployment.lookback_hours == declared()["lookback_hours"].info.default
    topics = yaml.safe_load((PROJECT_ROOT / "kafka" / "topics.yaml").read_text())
    assert Deployment.relist == declared()["relist_seconds"].info.default
    assert Deployment.partitions == topics["defaults"]["partitions"]
    assert cost["TOPICS"] == DEFAULT_TOPICS
    assert cost["LISTED_TOPICS"] == len(LAKE_TYPES)
    assert bill(MEASURED, Deployment()).total < float(budget[1])


def test_each_price_is_dated_explained_and_used() -> None:
    assert isinstance(PRICES["date"], date)
    source = (BENCHMARKS / "cost.py").read_text()
    for name, price in PRICES["prices"].items():
        assert price["usd"] > 0, name
        assert price["unit"], name
        assert price["page"].startswith("cloud.google.com/"), name
        assert f'"{name}"' in source, name


def test_a_listing_is_paid_by_the_thousand_objects() -> None:
    """By hand: 4 topics, 1 partition, an object each minute, 10 hours and a half, a look an hour."""
    busy = {"topics": {t: {"events_a_user_day": 1e6} for t in cost["TOPICS"]}, "models": {}}
    deployment = Deployment(users=1, growth_a_year=0, partitions=1, flush=60, sensor=3600, lookback_hours=10)
    traffic = Traffic(busy, deployment)
    assert traffic.objects_a_day("listen_events") == pytest.approx(1440)
    assert traffic.listings_a_day() == 24 * (4 * 1 + 1)  # 630 objects: one page for each topic
    assert traffic.listings_a_day(woken=True) == traffic.listings_a_day(), "never more looks than ticks"
    longer = Traffic(busy, Deployment(**{**vars(deployment), "lookback_hours": 48}))
    assert longer.listings_a_day() == 24 * (4 * 3 + 1)  # 2,910 objects: three pages


def test_notifications_spare_the_looks_between_flushes() -> None:
    seldom = {"topics": {t: {"events_a_user_day": 1e6} for t in cost["TOPICS"]}, "models": {}}
    deployment = Deployment(users=1, growth_a_year=0, partitions=1, flush=3600, sensor=5, lookback_hours=10)
    traffic = Traffic(seldom, deployment)
    assert traffic.listings_a_day(woken=True) == (2 * 24 + 144) * 5
    assert traffic.notification_tib_a_day() * 2**40 == pytest.approx((2 * 4 * 24 + 17_280) * 1000)


def test_a_topic_without_events_writes_no_objects_and_is_listed_all_the_same() -> None:
    quiet = {"topics": {t: {"events_a_user_day": 0} for t in cost["TOPICS"]}, "models": {}}
    traffic = Traffic(quiet, Deployment())
    assert traffic.objects_a_day("listen_events") == 0
    assert traffic.listings_a_day() == 288 * 5


def test_the_most_runs_of_a_day_stay_below_bigquerys_quotas() -> None:
    sent = yaml.safe_load(cost["STATEMENTS"].read_text())
    profile = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "profiles.yml").read_text())
    for table, times in sent["overwritten"].items():
        assert times * cost["MOST_RUNS"] <= cost["OVERWRITES"], table
    at_once = profile["streaming_assets"]["outputs"]["gcp"]["threads"]
    for table, times in sent["inserted"].items():
        assert times * cost["MOST_RUNS"] <= cost["INSERTS_AT_ONCE"] or at_once <= 10, table
    assert declared()["hours_per_step"].info.default <= cost["CHANGED_PARTITIONS"]
    assert sent["overwritten"]["lake_objects_incoming"] == 1


def test_lookups_and_checks_are_billed_by_the_tables_that_they_read() -> None:
    traffic = Traffic(MEASURED, Deployment(users=1))
    asked = {"read_by_lookups_and_checks": {"stg_listen_events": 3, "lake_objects": 2}}
    assert traffic.lookup_bytes(asked) == 5 * 10 * 2**20


def test_the_bill_follows_runs_and_users() -> None:
    default = bill(MEASURED, Deployment()).total
    assert bill(MEASURED, Deployment(sensor=3600)).total < default
    assert bill(MEASURED, Deployment(users=8_000_000)).total > default
    assert Deployment(growth_a_year=0).mean_users == Deployment.users


def test_each_read_is_billed_at_ten_megabytes_at_least() -> None:
    traffic = Traffic(MEASURED, Deployment(users=1))
    assert traffic.read("stg_listen_events") == 10 * 2**20
