"""What a process does beside the steps of the run that it executes: it gives the run's sign of life, and sees to it
that the run ends when Dagster holds it for ended.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_shared.ipc import send_interrupt

from streaming_assets.dagster_runtime.signs_of_life import folder_of_signs, sign_held

LOOK_SECONDS = 2.0
_CANCELLED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


@contextmanager
def attended(
    instance: dg.DagsterInstance, run_id: str, ended: Collection[dg.DagsterRunStatus] = _CANCELLED
) -> Iterator[None]:
    """Around the execution of a run in this process: others see that it lives, and it sees when it is to end.

    Terminate reaches a run through the code server that launched it. It does not reach one of a shell, nor one whose
    code server is gone: these are interrupted from here, as by Ctrl-C.

    Args:
        instance: the run's.
        run_id: the run, which need not be there yet.
        ended: the states on which it is interrupted.

    Raises:
        OSError: the instance's folder can't be written.
    """
    done = threading.Event()
    watch = threading.Thread(target=_interrupt_when, args=(instance, run_id, ended, done), daemon=True)
    with sign_held(folder_of_signs(instance.root_directory), run_id):
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()


def _interrupt_when(
    instance: dg.DagsterInstance,
    run_id: str,
    ended: Collection[dg.DagsterRunStatus],
    done: threading.Event,
) -> None:
    seen = None
    while not done.wait(LOOK_SECONDS):
        run = instance.get_run_by_id(run_id)
        status = run.status if run else None
        # At the second sight: the code server interrupts at once, and twice does no good.
        if status in ended and status == seen and not done.is_set():
            send_interrupt()
            return
        seen = status


class AttendedExecutor(dg.Executor):
    """Executes steps as another executor does, attended."""

    def __init__(self, steps: dg.Executor) -> None:
        self._steps = steps

    @property
    def retries(self) -> Any:
        return self._steps.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._steps.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        ended = (
            *_CANCELLED,
            dg.DagsterRunStatus.FAILURE,
        )  # failed by another, as its own end comes after the steps
        with attended(plan_context.instance, plan_context.run_id, ended):
            yield from self._steps.execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema.as_field())
def attended_in_process_executor(init_context: dg.InitExecutorContext) -> AttendedExecutor:
    """All steps in the run's process, attended; a process for each would import everything again, for longer than an
    hour's work takes.
    """
    create = dg.in_process_executor.executor_creation_fn
    assert create is not None
    return AttendedExecutor(create(init_context))
