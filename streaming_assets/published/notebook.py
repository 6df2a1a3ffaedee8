"""`streaming-assets notebook`: a marimo notebook over the published snapshot, begun from the worked example.

marimo is no dependency of the system, but of who wants this command: the extra `notebook`.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = Path(__file__).with_name("questions_notebook.py")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("notebook")(notebook_command)


def notebook_command(
    file: Annotated[
        Path,
        typer.Argument(help="The notebook; where there is none, the worked example is copied there"),
    ] = Path("notebooks/questions.py"),
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port; default: a free one from 2718 on", show_default=False),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open it in the browser")] = True,
) -> None:
    """Ask the published tables in a notebook of yours, which begins with a worked example. Ctrl-C ends it.

    A file that exists is opened as it is, so what you wrote in it stays when the project is upgraded.
    """
    if importlib.util.find_spec("marimo") is None:
        print("notebook: marimo is not installed: pip install 'marimo>=0.25,<0.26'", file=sys.stderr)
        raise typer.Exit(1)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLE, file)
        print(f"{file} is yours: a worked example to begin with")
    options = [f"--port={port}"] if port else []
    options += [] if browser else ["--headless"]
    # Whoever has the address with its token runs code in it, so it stays on this machine.
    command = [
        sys.executable,
        "-m",
        "marimo",
        "edit",
        "--skip-update-check",
        "--no-sandbox",
        *options,
        str(file),
    ]
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606
