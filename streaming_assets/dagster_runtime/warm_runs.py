"""Runs forked from a process that has everything imported: the code server launches them as before, only sooner.

Dagster's code server starts a new Python for each run, which imports Dagster, dbt and the graph for longer than an
hour's work takes. Here it forks the run from its template: multiprocessing's fork server, one thread, with the imports
done, the graph built and dbt's project loaded (streaming_assets/warm.py). All else of a run's process stays the code
server's: it ends, fails, is cancelled and is asked for by the same code.

The template belongs to one code server: a reload of the code location starts another. It ends with the last of its code
server and their runs. While a file that it has loaded is another than it was then, runs start as the stock ones.
"""

import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from logging import Logger
from multiprocessing import forkserver
from multiprocessing.context import BaseContext, ForkServerProcess, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.server import DagsterApiServer, DagsterGrpcServer

from streaming_assets.dagster_runtime.dbt import environment, source_files

READY_SECONDS = 120.0  # for all imports, on a machine that is busy
# Libraries that start threads as they are imported: a forked process has none of them, and waits for them in vain.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}

_is_template = False


def fork_runs_of_code_servers(preload: str) -> None:
    """Have a code server of this process fork its runs.

    To be called while it loads the graph, which it does before it serves.

    Args:
        preload: the module that the template imports, which calls `become_template`.
    """
    stock = DagsterGrpcServer.serve
    if sys.platform != "linux" or stock.__module__ == __name__:  # elsewhere libraries don't bear a fork
        return

    def serve(self: DagsterGrpcServer) -> None:
        servicer = self._api_servicer
        assert isinstance(servicer, DagsterApiServer)
        servicer._mp_ctx = _RunContext(_Template(preload, self._logger))  # pyright: ignore[reportAttributeAccessIssue]
        stock(self)

    DagsterGrpcServer.serve = serve


def become_template(module: str) -> None:
    """Make this process ready to fork: the graph of `module` is built, and no thread but this one is left.

    Raises:
        RuntimeError: a library has started a thread, which a forked process would lack.
    """
    global _is_template
    ReconstructableRepository.for_module(module, "defs", os.getcwd()).get_definition().get_all_jobs()
    for name in ("dagster._grpc.impl", "dagster._core.instance.ref"):  # where a run begins
        importlib.import_module(name)
    if "duckdb" in sys.modules:
        sys.modules["duckdb"].default_connection().close()  # opened by the import, with threads
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that came by now is dropped
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(f"The template of runs has {threads} threads, so no run can be forked from it")
    gc.collect()
    gc.freeze()  # the runs share these pages as long as nobody writes to them
    _is_template = True


class _Template:
    """The process that runs are forked from, as its code server sees it."""

    def __init__(self, preload: str, logger: Logger) -> None:
        self._preload = preload
        self._logger = logger
        self._alone = threading.Lock()
        self._is_given_up = self._is_seen = False
        self._files = _loaded_files()
        self._start()

    def is_ready(self) -> bool:
        """Whether a run can be forked now; waits until the template has imported everything."""
        with self._alone:
            if self._is_given_up or self._files != _state(self._files):
                return False
            for _ in range(2):  # one that is killed while it is looked at says nothing of the next
                look = threading.Thread(target=self._look, daemon=True)
                look.start()
                look.join(READY_SECONDS)
                if self._is_seen or look.is_alive():
                    break
            self._is_given_up = not self._is_seen
            if self._is_given_up:
                self._logger.warning(
                    "Runs can't be forked from a process that has all imported, so each imports everything itself. "
                    "What went wrong there is told above."
                )
            return not self._is_given_up

    def _look(self) -> None:
        self._is_seen = False
        with suppress(OSError, EOFError):  # it ended as it imported
            self._start()
            probe = ForkServerProcess(target=_exit_well_if_forked_from_template)
            probe.start()
            probe.join()
            self._is_seen = probe.exitcode == 0

    def _start(self) -> None:
        """Start the process, unless it is there; it imports while others go on."""
        forkserver.set_forkserver_preload([self._preload])
        # Both are inherited by the template alone: a run is given its own environment. A Ctrl-C would end the
        # imports with a traceback; what it is for, the template learns from the end of its code server.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with environment(_ONE_THREAD):
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class _RunContext(BaseContext):
    """Makes the processes of a code server's runs: forked where that is possible."""

    _name = "spawn"

    def __init__(self, template: _Template) -> None:
        self._template = template

    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:
        kind = _ForkedProcess if self._template.is_ready() else SpawnProcess
        return kind(*args, **kwargs)


class _ForkedProcess(ForkServerProcess):
    """A process forked from the template, with the environment that a new one would have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._environment = dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()

    def is_alive(self) -> bool:
        """Whether it is; the template tells how it ended, and the death of that is not its own."""
        return super().is_alive() or (self.exitcode == _NOBODY_TELLS and _exists(self.pid))


_NOBODY_TELLS = 255  # the exit code of a process whose template is gone


def _exists(pid: int | None) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _exit_well_if_forked_from_template() -> None:
    sys.exit(0 if _is_template else 1)


def _loaded_files() -> dict[Path, int]:
    """The files of this process's code and of dbt's project, without those of installed packages; when each changed."""
    installed = (sys.prefix, sys.base_prefix)
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    modules = {Path(file) for file in loaded if file and not file.startswith(installed)}
    return _state(dict.fromkeys([*modules, *source_files()], 0))


def _state(files: Mapping[Path, int]) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns if file.exists() else 0 for file in files}
