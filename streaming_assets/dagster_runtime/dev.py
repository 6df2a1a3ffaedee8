"""`dagster dev` with the guarded web server in place of the stock one; a program that takes its options."""

import sys
import warnings
from collections.abc import Sequence
from subprocess import Popen
from typing import Any

from dagster import SupersessionWarning
from dagster._cli import dev

_start = dev.open_ipc_subprocess  # pyright: ignore[reportPrivateImportUsage]
_WEB_SERVER, _DAEMON = ["-m", "dagster_webserver"], ["-m", "dagster._daemon"]


def guarded(command: Sequence[str]) -> list[str]:
    """What is started in place of a command of `dagster dev`.

    Raises:
        RuntimeError: it is none that is known, so it might be a web server without the guard.
    """
    python, *rest = command
    if rest[:2] == _WEB_SERVER:
        return [python, "-m", "streaming_assets", "webserver", *rest[2:]]
    if rest[:2] != _DAEMON:
        raise RuntimeError(
            f"`dagster dev` starts {rest[:2]}, which is not known: see docs/dagster-runtime.md"
        )
    return [python, *rest]


def _start_guarded(command: Sequence[str], **options: Any) -> "Popen[Any]":
    return _start(guarded(command), **options)


if __name__ == "__main__":
    dev.open_ipc_subprocess = _start_guarded  # pyright: ignore[reportPrivateImportUsage]
    warnings.simplefilter("ignore", SupersessionWarning)  # by `dg dev`, of which this is a part
    dev.dev_command(sys.argv[1:])
