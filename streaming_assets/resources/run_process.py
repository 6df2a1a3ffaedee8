"""What a process does beside the steps of the run that it executes: it gives the run's sign of life."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from streaming_assets.resources.signs_of_life import folder_of_signs, sign_held


@contextmanager
def attended(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Around the execution of a run in this process, so that others see whether it lives.

    Raises:
        OSError: the instance's folder can't be written.
    """
    with sign_held(folder_of_signs(instance.root_directory), run_id):
        yield


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
        with attended(plan_context.instance, plan_context.run_id):
            yield from self._steps.execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema.as_field())
def attended_in_process_executor(init_context: dg.InitExecutorContext) -> AttendedExecutor:
    """All steps in the run's process, attended; a process for each would import everything again, for longer than an
    hour's work takes.
    """
    create = dg.in_process_executor.executor_creation_fn
    assert create is not None
    return AttendedExecutor(create(init_context))
