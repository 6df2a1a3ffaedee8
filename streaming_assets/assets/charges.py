"""What a run's queries were billed, laid on the assets that they were for. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from streaming_assets.warehouses.warehouse import Cost

TIB = 2**40
LABEL_LENGTH = 63  # BigQuery's; dbt cuts a longer name


def by_model(costs: Mapping[str, Cost], manifest: Mapping[str, Any]) -> dict[str, Cost]:
    """The cost of each model that is an asset, by name.

    A test's cost is its model's. That of a model which only holds a run's work (in the manifest: ephemeral) is shared
    out equally among the models that read it.

    Args:
        costs: by label of a job, the name of a model or test.
        manifest: dbt's, without the models that are no assets (`dagster_runtime.dbt.without_scratch`).
    """
    nodes: Mapping[str, Any] = manifest["nodes"]
    readers: dict[str, list[str]] = {key: [] for key in nodes}
    for key, node in nodes.items():
        if node["resource_type"] == "model":
            for read in node["depends_on"]["nodes"]:
                readers.get(read, []).append(key)
    charged: dict[str, Cost] = {}

    def lay(key: str, billed: float, slot_ms: float) -> None:
        node = nodes[key]
        if node["resource_type"] == "test":
            lay(_tested(node), billed, slot_ms)
        elif node["config"]["materialized"] != "ephemeral":
            before = charged.get(node["name"], Cost(0, 0))
            charged[node["name"]] = Cost(before.bytes_billed + billed, before.slot_ms + slot_ms)
        else:
            for reader in readers[key]:
                lay(reader, billed / len(readers[key]), slot_ms / len(readers[key]))

    for key, node in nodes.items():
        cost = costs.get(_label(node["name"]))
        if cost and node["resource_type"] in ("model", "test"):
            lay(key, cost.bytes_billed, cost.slot_ms)
    return charged


def metadata(cost: Cost, hours: int, usd_per_tib: float) -> dict[str, float]:
    """An hour's part of a run's cost: plots and sums over partitions are then right for ranges too."""
    return {
        "bytes_billed": round(cost.bytes_billed / hours),
        "slot_seconds": cost.slot_ms / 1000 / hours,
        "cost_usd": cost.bytes_billed / TIB * usd_per_tib / hours,
    }


def _tested(test: Mapping[str, Any]) -> str:
    return test.get("attached_node") or test["depends_on"]["nodes"][0]


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "_", name.lower())[:LABEL_LENGTH]
