"""Runs whose process died without a word (kill -9, power cut), told from those that still work.

Dagster leaves such a run "started" for ever, where it holds the warehouse's pool and keeps the sensor
from asking for its hours again.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from streaming_assets.settings import Settings

LOCK_TAG = "streaming_assets/lock"
ANSWER_TIMEOUT = 5  # seconds
UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@contextmanager
def tags_of_own_run(settings: Settings) -> Iterator[dict[str, str]]:
    """Tags for a run that this process executes itself, by which others see whether it lives."""
    name = uuid4().hex
    path = settings.dagster_home / "running" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system releases it however the process ends
        try:
            yield {LOCK_TAG: name}
        finally:
            path.unlink()


def fail_orphaned_runs(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """Mark runs as failed that nobody executes any more; returns their ids.

    To be called before web server and daemon start. A run of another kind of executor (neither launched by
    a code server nor tagged by `tags_of_own_run`) is left alone: nothing tells whether it lives.
    """
    failed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if not _alive(run, settings):
            instance.report_run_failed(run, "The process that executed this run is gone.")
            failed.append(run.run_id)
    return failed


def _alive(run: dg.DagsterRun, settings: Settings) -> bool:
    if LOCK_TAG in run.tags:
        return _locked(str(settings.dagster_home / "running" / run.tags[LOCK_TAG]))
    if GRPC_INFO_TAG in run.tags:
        return _code_server_has(run.run_id, json.loads(run.tags[GRPC_INFO_TAG]))
    return True


def _locked(path: str) -> bool:
    if not os.path.exists(path):
        return False
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    os.unlink(path)
    return False


def _code_server_has(run_id: str, address: dict) -> bool:
    client = DagsterGrpcClient(
        host=address["host"],
        port=address.get("port"),
        socket=address.get("socket"),
        use_ssl=address.get("use_ssl", False),
    )
    try:
        answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=ANSWER_TIMEOUT)
    except DagsterUserCodeUnreachableError:
        return False
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel
