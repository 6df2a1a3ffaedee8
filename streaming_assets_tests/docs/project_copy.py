"""A copy of the project in which a page of docs/ is followed, block by block, with the copy's own package."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from streaming_assets.settings import PROJECT_ROOT

_PARTS = ("streaming_assets", "dbt_project", "kafka")
_FILE = re.compile(r"`(?P<path>dbt_project/[^`\s]+)`:\n\n```(?:sql|yaml)\n(?P<text>.*?)```", re.S)
_SHELL = re.compile(r"```sh\n(?P<text>.*?)```", re.S)
_LIST = re.compile(r"^  event_types: \[.*\]$", re.M)
_GRAPH = """
import json, sys
from streaming_assets.definitions import build_defs
from streaming_assets.settings import get_settings
nodes = build_defs(get_settings()).resolve_asset_graph().asset_nodes
print(json.dumps({n.key.to_user_string(): sorted(k.to_user_string() for k in n.parent_keys) for n in nodes}))
"""


@dataclass(frozen=True)
class Page:
    """A page's code blocks: files by path, commands of the shell in order, and the list as it is to be."""

    files: dict[str, str]
    commands: list[str]
    event_types: str


def read_page(name: str, before: str | None = None, after: str | None = None) -> Page:
    """The blocks of a page of docs/, or of the part between two headings."""
    text = (PROJECT_ROOT / "docs" / name).read_text()
    text = text.partition(f"\n{after}\n")[2] if after else text
    text = text.partition(f"\n{before}\n")[0] if before else text
    lists = _LIST.findall(text)
    assert len(lists) == 1, "the page gives the list once"
    return Page(
        files={found["path"]: found["text"] for found in _FILE.finditer(text)},
        commands=[found["text"] for found in _SHELL.finditer(text)],
        event_types=lists[0],
    )


class ProjectCopy:
    """Package, dbt project and Kafka's files in a folder; all state is in its `.local`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        for part in _PARTS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT_ROOT / part, self.root / part, ignore=ignored)
        self._before = self._contents()
        programs = folder / "bin"
        programs.mkdir()
        command = programs / "streaming-assets"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m streaming_assets "$@"\n')
        command.chmod(0o755)
        ours = ("STREAMING_ASSETS_", "DAGSTER_", "DBT_")
        self._environment = {n: v for n, v in os.environ.items() if not n.startswith(ours)} | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.root}{os.pathsep}{PROJECT_ROOT}",  # tests come from the project
            "PYTHONDONTWRITEBYTECODE": "1",
            "STREAMING_ASSETS_FIRST_HOUR": "2025-04-01T00:00Z",
        }
        where = self.python("import streaming_assets; print(streaming_assets.__file__)")
        assert where.strip() == str(self.root / "streaming_assets" / "__init__.py")

    def follow(self, page: Page) -> None:
        """Write the page's files and its list."""
        for path, text in page.files.items():
            (self.root / path).write_text(text)
        self.list_topics(page.event_types)

    def list_topics(self, line: str) -> None:
        """Put a line in place of the list of topics that are read."""
        path = self.root / "dbt_project" / "dbt_project.yml"
        text, count = _LIST.subn(line, path.read_text())
        assert count == 1
        path.write_text(text)

    def shell(self, command: str, status: int = 0) -> str:
        """Run commands in the copy's folder; what they print. They must end with the status."""
        return self._run(["sh", "-e", "-c", command], status)

    def python(self, program: str) -> str:
        """Run a program with the copy's package; what it prints."""
        return self._run([sys.executable, "-c", program], 0)

    def parents(self) -> dict[str, list[str]]:
        """Of each asset, those that it is made from."""
        return json.loads(self.python(_GRAPH).splitlines()[-1])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query of the copy's warehouse."""
        with duckdb.connect(self.root / ".local" / "warehouse.duckdb", read_only=True) as connection:
            return connection.sql(sql).fetchall()

    def changes(self) -> tuple[set[str], set[str]]:
        """Files of the project that changed since it was copied, and those that are gone; new ones are neither."""
        now = self._contents()
        changed = {name for name, content in self._before.items() if name in now and now[name] != content}
        return changed, self._before.keys() - now.keys()

    def _contents(self) -> dict[str, bytes]:
        files = (path for part in _PARTS for path in (self.root / part).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def _run(self, command: Sequence[str], status: int) -> str:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == status, (done.stdout + done.stderr)[-4000:]
        return done.stdout
