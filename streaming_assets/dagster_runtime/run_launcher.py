"""The run launcher: Dagster's own, with word on which runs' processes are gone, so that run monitoring ends these.

A run whose process died without a word (kill -9, memory, a power cut) would else be "started" for ever, hold the
warehouse's pool and keep its hours from the sensor. Named in dagster.yaml, as `run_launcher`.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from streaming_assets.dagster_runtime.signs_of_life import Sign, folder_of_signs, forget, left_behind, sign_of

ANSWER_SECONDS = 5
# For so long nobody must know of a run's process before it counts as gone: it may be about to give its sign, and a
# code server that is starved answers late.
GRACE_SECONDS = 20.0
LOOK_SECONDS = 5.0
# A shell's run is not begun for a moment, one from the queue is starting for longer.
_UNBORN = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


class Word(Enum):
    """What the code server that launched a run says of the run's process."""

    HAS_IT = "works on it"
    HAS_NOT = "does not know it"
    UNREACHABLE = "does not answer"
    NOBODY = "is none"


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Launches runs by the code server, and tells of each run whether the process that executes it lives.

    A run gives a sign of life itself (run_process.py), whether a code server or a shell executes it. Where its sign
    can't be seen, on another machine, the code server that launched it is asked. A run that has neither is left alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock: Callable[[], float] = time.monotonic
        self._missed_since: dict[str, float] = {}
        self._launching: set[str] = set()
        self._watch: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        self._begin_watch()
        sign, process = sign_of(self._signs, run.run_id)
        if sign is Sign.LEFT:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"{process}, which executed this run, is gone")
        word = Word.NOBODY if sign is Sign.HELD else self._word_on(run)
        if word in (Word.HAS_NOT, Word.UNREACHABLE) and self._is_missed_for_long(run.run_id):
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND, f"the code server that launched this run {word.value}"
            )
        if word in (Word.HAS_IT, Word.NOBODY):
            self._missed_since.pop(run.run_id, None)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def launch_run(self, context: LaunchRunContext) -> None:
        self._begin_watch()
        run_id = context.dagster_run.run_id
        self._launching.add(run_id)  # a code server that still loads the graph does not know the run yet
        try:
            super().launch_run(context)
        finally:
            self._launching.discard(run_id)

    def terminate(self, run_id: str) -> bool:
        """As Dagster's; a run that no code server can reach interrupts itself when it sees that it is to end."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        try:
            if GRPC_INFO_TAG in run.tags and super().terminate(run_id):
                return True
        except (DagsterUserCodeUnreachableError, DagsterUserCodeProcessError):
            pass  # the code server is gone, or another by now
        if sign_of(self._signs, run_id)[0] is not Sign.HELD:
            return False
        if GRPC_INFO_TAG not in run.tags:  # else it is reported already
            self._instance.report_run_canceling(run)
        return True

    def dispose(self) -> None:
        self._stop.set()
        super().dispose()

    def end_unborn_runs(self) -> None:
        """End runs whose process died before it began: monitoring looks at these after minutes only.

        A process that begins after all finds its run finished, and does nothing.
        """
        for run in self._instance.get_runs(dg.RunsFilter(statuses=_UNBORN)):
            if run.run_id in self._launching:
                continue
            health = self.check_run_worker_health(run)
            now = self._instance.get_run_by_id(run.run_id)
            if health.status is not WorkerStatus.RUNNING and now and now.status == run.status:
                self._instance.report_run_failed(run, f"The run did not begin: {health.msg}")

    def forget_finished_runs(self) -> None:
        """Remove the signs that runs left behind which have ended by now."""
        for run_id in left_behind(self._signs):
            run = self._instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                forget(self._signs, run_id)
        self._missed_since = {
            run_id: since
            for run_id, since in list(self._missed_since.items())
            if (run := self._instance.get_run_by_id(run_id)) and not run.is_finished
        }

    @property
    def _signs(self) -> Path:
        return folder_of_signs(self._instance.root_directory)

    def _is_missed_for_long(self, run_id: str) -> bool:
        return self._clock() - self._missed_since.setdefault(run_id, self._clock()) >= GRACE_SECONDS

    def _word_on(self, run: dg.DagsterRun) -> Word:
        if GRPC_INFO_TAG not in run.tags:
            return Word.NOBODY
        address = json.loads(run.tags[GRPC_INFO_TAG])
        client = DagsterGrpcClient(
            host=address["host"],
            port=address.get("port"),
            socket=address.get("socket"),
            use_ssl=bool(address.get("use_ssl", False)),
        )
        try:
            answer = client.can_cancel_execution(
                CanCancelExecutionRequest(run_id=run.run_id), timeout=ANSWER_SECONDS
            )
        except DagsterUserCodeUnreachableError:
            return Word.UNREACHABLE
        has_it = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return Word.HAS_IT if has_it else Word.HAS_NOT

    def _begin_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._keep_watch, name="unborn-runs", daemon=True)
            self._watch.start()

    def _keep_watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS) and self.has_instance:
            try:
                self.end_unborn_runs()
                self.forget_finished_runs()
            except Exception:  # such as a database that is away for a moment
                logging.getLogger("dagster").exception("Runs that did not begin could not be looked for")
