"""The pieces that stand in for Dagster's own, and the stock ones in their place: which are used is a setting.

Event log and run launcher are chosen in dagster.yaml (instance.py), by the same setting.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from streaming_assets.dagster_runtime.dbt import DbtRunner, StockDbtRunner
from streaming_assets.dagster_runtime.run_process import attended_in_process_executor
from streaming_assets.dagster_runtime.verdicts import Verdict, report, report_one_by_one
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import Warehouse


@dataclass(frozen=True)
class Runtime:
    """What the graph is built with; each field can be the own piece or the stock one."""

    dbt: DbtRunner
    executor: dg.ExecutorDefinition
    report: Callable[
        [dg.AssetCheckExecutionContext, dg.AssetCheckSpec, Mapping[datetime, Verdict]], Iterator[Any]
    ]


def runtime_of(settings: Settings, warehouse: Warehouse) -> Runtime:
    """The pieces that the settings name."""
    if settings.dagster.runtime == "stock":
        return Runtime(
            StockDbtRunner(settings, warehouse),
            dg.in_process_executor,
            report_one_by_one,
        )
    return Runtime(DbtRunner(settings), attended_in_process_executor, report)
