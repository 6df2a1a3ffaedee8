"""dbt's runs on target gcp over BigQuery's REST interface: dbt-bigquery and Google's client whole, before an emulator.

A first build and a later run of all models and data tests; no model is left out and no macro replaced. What differs
from BigQuery: the profile names another address, a token of no one and one thread, since jobs that commit at once may
fail; plain tables stand for the external ones, with `date` and `_file_name` as columns of their own; and three answers,
see `bridge`. The emulator computes with DuckDB, has no limits and no prices. What GoogleSQL says of the statements is
test_models.py's matter.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from streaming_assets.settings import Settings
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.bigquery.bridge import bridge_to
from streaming_assets_tests.bigquery.emulated import EmulatedProject
from streaming_assets_tests.bigquery.emulator import emulator
from streaming_assets_tests.bigquery.site import JUNK, PROJECT
from streaming_assets_tests.bigquery.warehouses import CHANGES, Both, changes, kinds

pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("bigquery_emulator"),
    pytest.mark.timeout(1200),  # 105 s of CPU, on a busy machine; the first time packages are installed, too
]

# Malformed lines that the emulator's parse_json reads nevertheless; GoogleSQL's own, in test_lines.py, does not.
READ_BY_THE_EMULATOR = ['{"value": {"ts": 1}, "offset": 7,}', '{"value": {"ts": NaN}, "offset": 8}']


class Runs:
    """The phases' runs: rows, tables as the service describes them, and jobs by phase."""

    def __init__(self, both: Both, bigquery: EmulatedProject, sent: list[dict[str, Any]]) -> None:
        self.both = both
        self.jobs: list[list[dict[str, Any]]] = []
        for phase in (0, 1):
            sent.clear()
            both.run(phase)
            self.jobs.append(list(sent))
        self.tables = {name: bigquery.description(name) for name in both.models}
        self.configs = bigquery.configs()

    def scripts(self, phase: int) -> list[str]:
        return [job["query"]["query"] for job in self.jobs[phase]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("emulator")
    with emulator(folder / "service", PROJECT) as url, bridge_to(url) as (bridge, sent):
        bigquery = EmulatedProject(folder, url, bridge)
        yield Runs(
            Both(folder, bigquery, [line for line in JUNK if line not in READ_BY_THE_EMULATOR]),
            bigquery,
            sent,
        )


@pytest.mark.parametrize("phase", [0, 1], ids=["first build", "later run"])
def test_every_model_has_the_rows_that_duckdb_has(runs: Runs, phase: int) -> None:
    assert not runs.both.differences(phase)
    assert not runs.both.empty(phase), "every table has rows to compare"


def test_a_table_changes_by_one_job(runs: Runs) -> None:
    assert not any(changes(runs.scripts(0)).values()), "a first build has nothing to replace"
    assert changes(runs.scripts(1)) == CHANGES
    transactions = {script for script in map(kinds, runs.scripts(1)) if "begin" in script}
    assert transactions == {"begin delete insert commit", "begin insert commit"}


def test_tables_are_partitioned_and_clustered_as_their_models_say(runs: Runs) -> None:
    said = {name: _said(config) for name, config in runs.configs.items() if config["materialized"] != "view"}
    found = {name: _found(runs.tables[name]) for name in said}
    assert found == said
    assert {partition[1] for partition, _ in found.values() if partition} == {"HOUR", "DAY"}


def test_each_job_says_which_node_sent_it_for_which_hours_and_what_it_may_bill(runs: Runs) -> None:
    limit = str(Settings().bigquery.maximum_bytes_billed)
    for jobs in runs.jobs:
        assert set(runs.both.models) <= {job["labels"]["asset"] for job in jobs}
        assert {job["query"]["maximumBytesBilled"] for job in jobs} == {limit}
    labels = [job["labels"] for job in runs.jobs[-1]]
    window = {(label["window_start"], label["window_end"]) for label in labels}
    assert window == {tuple(f"{naive(hour):%Y-%m-%d_%H_%M_%S}" for hour in runs.both.site.span)}


def _said(config: dict[str, Any]) -> tuple:
    by = config.get("partition_by")
    partition = (by["field"], by["granularity"].upper()) if by else None
    return partition, config.get("cluster_by")


def _found(table: dict[str, Any]) -> tuple:
    by = table.get("timePartitioning")
    partition = (by["field"], by["type"]) if by else None
    return partition, table.get("clustering", {}).get("fields")
