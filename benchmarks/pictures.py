"""Pictures of the suite's figures, as SVG for docs/benchmarks.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

# The same file for the same figures, and letters that a search finds.
plt.rcParams |= {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def parts_of_backfill(figures: dict[str, Any], axes: Axes) -> None:
    """CPU time of each part, and of one scan of the same objects."""
    parts = {**figures["CPU s"], "peer: one typed scan of the objects": figures["scan"]["CPU s"]}
    bars = axes.barh([*parts], [*parts.values()], color=["tab:blue"] * (len(parts) - 1) + ["tab:gray"])
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"CPU s for {figures['events']:,} events")


def ages(figures: dict[str, Any], axes: Axes) -> None:
    """How many of the objects have their rows in the facts after so many seconds."""
    for name, values in figures["ages in the facts, s"].items():
        axes.ecdf(values, label=f"{name} ({len(values)} objects)")
    axes.set_xlabel("s from an object that lands to its rows in fact_listen_events")
    axes.set_ylabel("share of objects")
    axes.set_xlim(left=0)
    axes.legend()


def against_history(figures: str, axes: Axes) -> None:
    """CPU time of an hour behind a day, a month and a year; `figures` is the table that was printed."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in figures.splitlines()]
    head = next(number for number, row in enumerate(rows) if row[-1] == "together")
    behind = {row[0]: float(row[-1].replace(",", "")) for row in rows[head + 2 : head + 5]}
    bars = axes.bar([*behind], [*behind.values()], width=0.5)
    axes.bar_label(bars, fmt="{:,.0f}")
    axes.set_xlabel("history behind the hour")
    axes.set_ylabel("CPU ms of an hour")


def draw(picture: Callable[[Any, Axes], None], figures: Any, file: Path) -> None:
    """Write `picture` of the figures to `file`."""
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    picture(figures, axes)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
