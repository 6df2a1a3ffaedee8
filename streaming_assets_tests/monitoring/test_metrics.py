"""What is scraped over HTTP, read by Prometheus' parser: the figures of one look, and gaps where nothing was seen."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from waitress.server import create_server

from streaming_assets.monitoring.conditions import conditions
from streaming_assets.monitoring.metrics import metrics_app
from streaming_assets.monitoring.observed import Check, EndedRuns, Facts, FailedRun, Observed
from streaming_assets.settings import Settings
from streaming_assets_tests.monitoring.test_conditions import NEWEST, NOW, RULES, WELL_SEEN, hours

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """A server of metrics; `seen` is what its next look finds."""

    def __init__(self) -> None:
        self.seen = WELL_SEEN
        self.looks = 0
        self.server = create_server(metrics_app(self._look), host="127.0.0.1", port=0, threads=1)
        self.url = f"http://127.0.0.1:{self.server.effective_port}/metrics"  # pyright: ignore
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # its socket is closed under it
            self.server.run()

    def _look(self) -> tuple[Observed, list]:
        self.looks += 1
        return self.seen, conditions(self.seen, RULES, Settings())

    def samples(self) -> Samples:
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=wanted)) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            families = [*text_string_to_metric_families(answer.read().decode())]
        assert all(family.documentation for family in families)
        return {
            (sample.name.removeprefix("streaming_assets_"), frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def scraped() -> Iterator[Scraped]:
    scraped = Scraped()
    yield scraped
    scraped.server.close()
    scraped.server.task_dispatcher.shutdown()


def test_a_scrape_has_the_figures_of_one_look(scraped: Scraped) -> None:
    scraped.seen = replace(
        WELL_SEEN,
        failed=(FailedRun("a", "hourly", hours(1, 2), ""),),
        checks=(Check("staging/stg_users", "no_nulls", hours(1), True, NOW),),
        arrived={"user_info": (3, 4_000)},
        ended={"hourly": EndedRuns({"success": 8, "failure": 1}, 12.5)},
        rows={("user_info", "staged"): 11, ("user_info", "quarantined"): 2},
        sizes={"lake": 5_000},
        versions={"dbt-core": "1.12.6"},
    )
    found = scraped.samples()
    expected = {
        ("up", ("part", "daemon")): 1,
        ("runs_in_flight", ("state", "running")): 1,
        ("failed_hours",): 2,
        ("condition", ("kind", "run_failed"), ("subject", "hourly"), ("severity", "error")): 1,
        (
            "condition",
            ("kind", "check_failing"),
            ("subject", "staging/stg_users: no_nulls"),
            ("severity", "error"),
        ): 1,
        ("ended_runs", ("job", "hourly"), ("result", "success")): 8,
        ("last_run_seconds", ("job", "hourly")): 12.5,
        ("sink_lag_records", ("topic", "listen_events")): 5,
        ("lake_objects", ("topic", "user_info")): 3,
        ("lake_objects_bytes", ("topic", "user_info")): 4_000,
        ("newest_whole_hour_timestamp_seconds",): NEWEST.timestamp(),
        ("event_to_fact_seconds",): 12,
        ("rows_of_hour", ("topic", "user_info"), ("what", "quarantined")): 2,
        ("published_timestamp_seconds",): NOW.timestamp(),
        ("sensor_tick_age_seconds", ("sensor", "lake_objects")): 0,
        ("size_bytes", ("of", "lake")): 5_000,
        ("build_info", ("dbt_core", "1.12.6")): 1,
    }
    for (name, *labels), value in expected.items():
        assert found[name, frozenset(labels)] == value, name
    scraped.samples()
    assert scraped.looks == 1


def test_each_lag_is_counted_once_from_the_first_look_on(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.monitoring.metrics.LOOK_SECONDS", -1.0)
    lag = "event_to_fact_lag_seconds"
    for lags, number, total in (
        ([(5, 90.0)], 0, 0),  # before this process began
        ([(5, 90.0), (7, 6.0), (9, 11.0)], 2, 17),
        ([(9, 11.0), (12, 7.0)], 3, 24),
    ):
        scraped.seen = replace(WELL_SEEN, facts=Facts(NEWEST, NOW, 12.0, lags=tuple(lags)))
        found = scraped.samples()
        assert (found[f"{lag}_count", frozenset()], found[f"{lag}_sum", frozenset()]) == (number, total)
    scraped.seen = replace(WELL_SEEN, facts=None)
    assert scraped.samples()[f"{lag}_bucket", frozenset({("le", "8.0")})] == 2


def test_what_was_not_seen_has_no_samples(scraped: Scraped) -> None:
    scraped.seen = Observed(at=NOW + timedelta(hours=1), unseen={"facts": "broken"})
    found = scraped.samples()
    assert {name for name, _ in found} == {"look_seconds", "look_failed", "condition", "build_info"}
    assert found["look_failed", frozenset({("part", "facts")})] == 1


def test_another_name_is_refused_before_anything_is_looked_at(scraped: Scraped) -> None:
    asked = urllib.request.Request(scraped.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(asked)
    assert b"STREAMING_ASSETS_ALLOWED_HOSTS=evil.example" in refused.value.read()
    assert scraped.looks == 0
