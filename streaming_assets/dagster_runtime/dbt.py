"""dbt in this process: the parsed project kept beside the state, and runs of it over a span of hours.

Starting dbt for each run, or parsing for each, costs more than the models of an hour do.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from streaming_assets.dagster_runtime.interrupts import first_interrupt_as_keyboard_interrupt
from streaming_assets.files import locked
from streaming_assets.partitions import Span
from streaming_assets.settings import PROJECT_ROOT, Settings, env_name
from streaming_assets.warehouses.tables import naive
from streaming_assets.warehouses.warehouse import Warehouse

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
_SOURCES = ("*.yml", "*.sql", "*.csv")
_SCRATCH = ("path:models/staging/base", "path:models/core/intermediate")
_RESULT_EVENTS = ("LogModelResult", "LogTestResult")


class DbtError(Exception):
    """dbt could not parse or build the project; the message is dbt's own."""


class DbtRunner:
    """Parses the project once for each change of it, and builds or tests it over spans of hours."""

    def __init__(self, settings: Settings) -> None:
        self.target_path = settings.home / "dbt" / settings.warehouse.kind
        # Of these the names of tables are made, which the parsed project holds.
        self._names = (settings.warehouse.file.stem, settings.bigquery.project, settings.bigquery.dataset)
        self._environment = {
            "DBT_TARGET_PATH": str(self.target_path),
            "DBT_LOG_PATH": str(self.target_path / "logs"),
            "PYTHON_DOTENV_DISABLED": "1",  # dbt would put all of the working directory's .env into this process
            "DBT_TARGET": "",  # the settings say it; a shell's is for dbt by hand
            env_name("warehouse"): settings.warehouse.kind,
            env_name("lake_url"): settings.lake.url,
            env_name("warehouse_path"): str(settings.warehouse.path),
            env_name("gcp_project"): settings.bigquery.project,
            env_name("bigquery_dataset"): settings.bigquery.dataset,
            env_name("bigquery_location"): settings.bigquery.location,
            env_name("bigquery_maximum_bytes_billed"): str(settings.bigquery.maximum_bytes_billed),
        }

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The project's manifest, parsed anew if a file of it, its tables' names or dbt are others than when it was.

        Raises:
            DbtError: the project does not parse.
        """
        path, parsed = self.target_path / "manifest.json", self.target_path / "parsed.sha256"
        with locked(self.target_path / "parse.lock"):  # web server, daemon and runs load it at the same time
            sources = _digest_of_sources(self._names)
            if not path.exists() or not parsed.exists() or parsed.read_text() != sources:
                self._parse()
                parsed.write_text(sources)
        return json.loads(path.read_bytes())

    def run(self, span: Span) -> list[dict[str, Any]]:
        """Build all models for the ingestion hours of `span`; dbt's events of finished nodes.

        Raises:
            DbtError: a model failed; the message names it and says why.
            KeyboardInterrupt: the process was interrupted; each table is as before or after its model.
        """
        failure, events = self._invoke("run", span)
        if failure:
            raise DbtError(failure)
        return events

    def run_scratch(self, span: Span) -> None:
        """Find what the hours of `span` concern, and change no table, for tests that are run alone.

        Raises:
            DbtError: a model failed; the message names it and says why.
        """
        failure, _ = self._invoke("run", span, "--select", *_SCRATCH)
        if failure:
            raise DbtError(failure)

    def test(self, span: Span) -> list[dict[str, Any]]:
        """Run all data tests over what `span` concerns; dbt's events, failures among them.

        Raises:
            KeyboardInterrupt: the process was interrupted.
        """
        return self._invoke("test", span, "--exclude-resource-type", "unit_test")[1]

    def _parse(self) -> None:
        with environment(self._environment):
            from dbt.cli.main import dbtRunner

            result = dbtRunner().invoke(["parse", *_common_arguments()])
        if not result.success:
            raise DbtError(f"{PROJECT_DIR} does not parse: {result.exception}")

    def load(self) -> Any:
        """The parsed project, and with it what dbt imports; it is kept for the next run."""
        _ = self.manifest  # makes sure that both files are there and fresh
        path = self.target_path / "partial_parse.msgpack"
        return _parsed_project(path, path.stat().st_mtime_ns)

    def _invoke(self, command: str, span: Span, *options: str) -> tuple[str | None, list[dict[str, Any]]]:
        """Run a command; why it failed, if it did, and the events of its nodes."""
        from google.protobuf.json_format import MessageToDict

        events: list[dict[str, Any]] = []

        def keep(event: Any) -> None:
            if event.info.name in _RESULT_EVENTS:
                events.append(MessageToDict(event, preserving_proto_field_name=True))

        with environment(self._environment), _file_released(), first_interrupt_as_keyboard_interrupt():
            from dbt.cli.main import dbtRunner

            result = dbtRunner(manifest=self.load(), callbacks=[keep]).invoke(
                [command, *_bounds(span), "--no-write-json", *options, *_common_arguments()]
            )
        if isinstance(result.exception, KeyboardInterrupt):
            # dbt has cancelled its queries, whose transactions are undone, and waited for its threads.
            raise result.exception
        if result.success:
            return None, events
        return "\n".join(_failures(result)) or str(result.exception), events


class StockDbtRunner(DbtRunner):
    """dbt as dagster-dbt runs it: a process for each command, which loads the project itself."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        super().__init__(settings)
        self._warehouse = warehouse

    def _invoke(self, command: str, span: Span, *options: str) -> tuple[str | None, list[dict[str, Any]]]:
        from dagster_dbt import DbtCliResource

        dbt = DbtCliResource(
            project_dir=str(PROJECT_DIR),
            profiles_dir=str(PROJECT_DIR),
            dbt_executable=str(Path(sys.executable).with_name("dbt")),
        )
        with environment(self._environment), self._warehouse.released():
            running = dbt.cli(
                [command, *_bounds(span), *options, "--log-level-file", "none"],
                target_path=self.target_path / "stock",
                raise_on_error=False,
            )
            told = [event.raw_event for event in running.stream_raw_events()]
        error = running.get_error()
        return str(error) if error else None, [
            event for event in told if event["info"]["name"] in _RESULT_EVENTS
        ]


def _bounds(span: Span) -> list[str]:
    start, end = (f"{naive(moment):%Y-%m-%d %H:%M:%S}" for moment in span)
    return ["--vars", json.dumps({"window_start": start, "window_end": end})]


def know_graph(manifest: Any) -> None:
    """Give macros `graph`, in whose sources they read the contracts: dbt makes it only as it parses.

    dbt's own makes a dictionary of a source each time that a macro looks at it, though they stay what they are.
    """
    manifest.build_flat_graph()
    manifest.flat_graph["sources"] = {
        name: source.to_dict(omit_none=False) for name, source in manifest.sources.items()
    }


def without_scratch(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the manifest in which models that only hold a run's work are ephemeral, so no assets.

    The lineage then leads from what they read to what reads them.
    """
    nodes = {
        name: {**node, "config": {**node["config"], "materialized": "ephemeral"}}
        if node["resource_type"] == "model" and is_scratch(node["name"])
        else node
        for name, node in manifest["nodes"].items()
    }
    return {**manifest, "nodes": nodes}


def is_scratch(model: str) -> bool:
    """Whether the model of that name only holds a run's work, so is no asset."""
    return model.startswith(("base_", "int_"))


def _common_arguments() -> list[str]:
    folder = str(PROJECT_DIR)
    return ["--quiet", "--log-level-file", "none", "--project-dir", folder, "--profiles-dir", folder]


def source_files() -> list[Path]:
    """The files of dbt's project."""
    return [
        path
        for pattern in _SOURCES
        for path in PROJECT_DIR.rglob(pattern)
        if "target" not in path.relative_to(PROJECT_DIR).parts
    ]


def _digest_of_sources(names: Iterable[str]) -> str:
    """Of what the parsed project depends on. Not of file times: a version that is put back has older ones."""
    digest = hashlib.sha256("\0".join((version("dbt-core"), *names)).encode())
    for path in sorted(source_files()):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(PROJECT_DIR)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _parsed_project(path: Path, changed_ns: int) -> Any:
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(path.read_bytes())
    know_graph(manifest)
    return manifest


def _failures(result: Any) -> Iterator[str]:
    for node in getattr(result.result, "results", None) or []:
        if node.status in ("error", "fail"):
            yield f"{node.node.name}: {node.message}"


@contextmanager
def _file_released() -> Iterator[None]:
    """Afterwards the DuckDB file is closed: the adapter would keep it open as long as this process lives.

    Whoever holds the warehouse next, in another process, could then not open it, while this one waits for them.
    """
    try:
        yield
    finally:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        if DuckDBConnectionManager._ENV is not None:
            DuckDBConnectionManager._ENV.close()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for the time of the block: dbt and profiles.yml read their paths from the environment."""
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
