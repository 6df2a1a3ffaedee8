"""Prometheus' rules and the Grafana dashboard ask for metrics and labels that `streaming-assets metrics` exports."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from streaming_assets.checks.hourly import COUNTED
from streaming_assets.monitoring.metrics import LookCollector
from streaming_assets.monitoring.observed import EndedRuns, Facts
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.monitoring.test_conditions import NEWEST, NOW, WELL_SEEN
from streaming_assets_tests.tools import need

FOLDER = PROJECT_ROOT / "deploy" / "monitoring"
SEEN = replace(
    WELL_SEEN,
    facts=Facts(NEWEST, NOW, 12.0, lags=((1, 2.0),)),
    arrived={"user_info": (3, 4_000)},
    ended={"hourly": EndedRuns({"success": 8}, 12.5)},
    rows={("user_info", what): 1 for what in COUNTED},
    sizes={"lake": 5_000},
)
# PromQL in a file: functions and labels apart, what is left are names of metrics.
_METRIC = re.compile(r"\b(streaming_assets[_:][a-z_0-9:]+)(?:\{([^}]*)\})?")
_BY = re.compile(r"by \(([\w, ]+)\)")


def exported() -> dict[str, set[str]]:
    """The labels of each sample's name, those included that Prometheus adds."""
    labels: dict[str, set[str]] = {}
    for family in LookCollector(lambda: (SEEN, [])).collect():
        names = {sample.name for sample in family.samples} or {family.name}
        told = {label for sample in family.samples for label in sample.labels}
        if family.name.endswith("_condition"):
            told = {"kind", "subject", "severity"}
        labels |= {name: told | {"job", "instance"} for name in names}
    return labels


def asked() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of each rule and panel."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
            legend = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            yield f"legend of {panel['title']}", f"{target['expr']} by ({', '.join(legend) or 'job'})"


def rules() -> list[dict]:
    (group,) = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text())["groups"]
    return group["rules"]


def test_rules_and_dashboard_ask_for_what_is_exported() -> None:
    known = exported() | {rule["record"]: {"job", "topic"} for rule in rules() if "record" in rule}
    used = set()
    for where, query in asked():
        found = _METRIC.findall(query)
        assert found, where
        for name, matchers in found:
            assert name in known, f"{where}: {name} is not exported"
            labels = {*re.findall(r"(\w+)=", matchers)}
            labels |= {label.strip() for by in _BY.findall(query) for label in by.split(",")}
            assert labels <= known[name], f"{where}: {name} has no label {labels - known[name]}"
            used.add(name)
    assert len(used) > 15
    for what in re.findall(r'what="(\w+)"', (FOLDER / "prometheus-rules.yml").read_text()):
        assert what in COUNTED


@pytest.mark.integration
def test_the_rules_fire_when_they_should() -> None:
    for command in (
        ("check", "rules", "prometheus-rules.yml"),
        ("test", "rules", "prometheus-rules.test.yml"),
    ):
        said = subprocess.run([need("promtool"), *command], cwd=FOLDER, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
