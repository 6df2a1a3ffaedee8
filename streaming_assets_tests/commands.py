"""Commands in processes of their own, forked from one that has imported what they need: dbt imports for 2 s of CPU."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb"])


def run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a console script of this environment did, as `subprocess.run` tells it; the first word is its name."""
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        outputs = (Path(folder) / "stdout", Path(folder) / "stderr")
        process = _forkserver.Process(target=_be, args=(list(command), cwd, dict(environment), outputs))
        process.start()
        try:
            process.join()
        finally:
            process.kill()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            list(command), process.exitcode, *(output.read_text() for output in outputs)
        )


def _be(command: list[str], cwd: Path, environment: dict[str, str], outputs: tuple[Path, Path]) -> None:
    """Be the command: the exit code is that of its script."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, output in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = command
    (script,) = entry_points(group="console_scripts", name=command[0])
    try:
        sys.exit(script.load()())
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out; dbt closes its connections there
