"""What runs say on the console, as JSON lines with run, hours, step and asset."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from streaming_assets.dagster_runtime.runs import partitions_of
from streaming_assets.log_lines import json_line

# Of Dagster's events, which are thousands; what is logged beside and what fails is told in any case.
_TOLD = {"RUN_START", "RUN_SUCCESS", "ASSET_MATERIALIZATION"}


@dg.logger({"log_level": dg.Field(str, is_required=False, default_value="INFO")})
def json_console(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger of runs: a line an event on the error output."""
    handler = logging.StreamHandler()
    handler.setFormatter(_RunLines())
    least = logging.getLevelNamesMapping()[context.logger_config["log_level"]]
    handler.addFilter(lambda record: record.levelno >= least or _event_type(record) in _TOLD)
    logger = logging.Logger("dagster")  # of this run alone, so that none gets a second handler
    logger.addHandler(handler)
    return logger


def _event_type(record: logging.LogRecord) -> str | None:
    event = _meta(record).get("dagster_event")
    return event.event_type_value.replace("PIPELINE_", "RUN_") if event else None  # as pages call it


def _meta(record: logging.LogRecord) -> Mapping[str, Any]:
    return getattr(record, "dagster_meta", {})


class _RunLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta = _meta(record)
        event = meta.get("dagster_event")
        data = event.event_specific_data if event else None
        asset = event and (event.asset_key or getattr(data, "asset_key", None))
        failure = getattr(data, "error", None)
        trace = self.formatException(record.exc_info) if record.exc_info else None
        return json_line(
            datetime.fromtimestamp(record.created, UTC),
            record.levelname,
            "run",
            meta.get("orig_message") or record.getMessage(),
            run=meta.get("run_id"),
            job=meta.get("job_name"),
            hour=(event and event.partition) or _hours(meta.get("job_tags") or {}),
            step=meta.get("step_key"),
            asset=asset.to_user_string() if asset else None,
            event=_event_type(record),
            error=failure.to_string() if failure else trace,
        )


def _hours(tags: Mapping[str, str]) -> str | None:
    """The run's hour, or its first and last, as Dagster writes a range."""
    first, last = partitions_of(tags)
    return first if first == last else f"{first}...{last}"
