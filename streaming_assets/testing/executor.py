"""The dbt project's models in this process, on databases in memory: what makes thousands of runs affordable.

`dbt run` costs seconds for what it does around the models (arguments, manifest, logs, temporary tables). Here the
project is parsed once, dbt's runtime context renders the SQL of models and hooks, and the materialisations are the
few statements that change a table. A test holds SQL and tables to those of `dbt run`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
from dbt.adapters.cache import RelationsCache
from dbt.adapters.factory import get_adapter, register_adapter, reset_adapters
from dbt.cli.main import dbtRunner
from dbt.config.runtime import RuntimeConfig, load_profile, load_project
from dbt.context.providers import generate_runtime_macro_context, generate_runtime_model_context
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode
from dbt.flags import get_flags
from dbt.mp_context import get_mp_context
from dbt_common.clients.jinja import get_template

from streaming_assets.dagster_runtime.dbt import environment, know_graph
from streaming_assets.partitions import Span
from streaming_assets.settings import env_name
from streaming_assets.warehouses.duckdb_functions import register
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.tables import naive
from streaming_assets.warehouses.waiting import Wait


class MemoryWarehouse(DuckDbWarehouse):
    """A warehouse that lives in memory as long as this object; `relations` is what dbt knows of its tables."""

    def __init__(self) -> None:
        super().__init__(Path(":memory:"), lock_timeout=0)
        self.database = duckdb.connect(":memory:", config={"threads": 1})
        register(self.database)
        self._lines = TemporaryDirectory(prefix="lines-")
        self.relations = RelationsCache()
        self.relations.update_schemas([("memory", "main")])

    @property
    def lines_folder(self) -> Path:
        return Path(self._lines.name)

    def _open(self, wait: Wait) -> duckdb.DuckDBPyConnection:
        return self.database.cursor()


class Executor:
    """The project's models, ready to run on any number of warehouses in memory.

    dbt keeps its adapter in the process's global state: of several executors the last made works.
    """

    def __init__(self, project: Path, target: Path) -> None:
        with environment({"DBT_TARGET_PATH": str(target), env_name("warehouse_path"): ":memory:"}):
            manifest = _parse(project)
            profile = load_profile(str(project), {})
            config = RuntimeConfig.from_parts(
                load_project(str(project), False, profile, {}), profile, get_flags()
            )
        reset_adapters()
        register_adapter(config, get_mp_context())
        self._adapter: Any = get_adapter(config)  # its type is that of no adapter in particular
        self._adapter.set_macro_context_generator(generate_runtime_macro_context)
        self._adapter.set_macro_resolver(manifest)
        self._config = config
        self._models = [_Model(node, config, manifest) for node in _in_order(manifest)]

    @property
    def models(self) -> list[str]:
        """Names of the models in the order in which they run."""
        return [model.name for model in self._models]

    def run(self, warehouse: MemoryWarehouse, span: Span, models: int | None = None) -> dict[str, str]:
        """Run the first `models` models over hours, or all, which the inventory notes; returns their SQL."""
        self._adapter.cache = warehouse.relations
        credentials: Any = self._config.credentials
        for name, value in (credentials.settings or {}).items():
            warehouse.database.execute(f"set {name} = '{value}'")
        start, end = span
        self._config.cli_vars.update(window_start=str(naive(start)), window_end=str(naive(end)))
        done = {model.name: model.run(warehouse, span) for model in self._models[:models]}
        if models is None:
            warehouse.mark_processed(span)
        return done


class _Text:
    """A template's text, kept by what it depends on: the hours, the tables there are, what its queries answer.

    Schedules ask for few spans of hours many times, and to render costs more than to run.
    """

    def __init__(self, template: Any) -> None:
        self._template = template
        self._kept: dict[tuple, list[tuple[list[tuple[str, list]], str]]] = {}

    def render(self, context: dict[str, Any], given: tuple, ask: Callable[[str], list]) -> str:
        """The text for `given`; `ask` answers a query, and each is asked anew, once."""
        ask = cache(ask)
        known = self._kept.setdefault(given, [])
        for asked, text in known:
            if all(ask(query) == answer for query, answer in asked):
                return text
        queries: list[tuple[str, list]] = []

        def answer(query: str) -> SimpleNamespace:
            rows = ask(query)
            queries.append((query, rows))
            return SimpleNamespace(rows=rows)

        context["run_query"] = answer  # in place: the project's macros hold this dictionary
        context["graph"].pop("days", None)  # which other texts asked for: this one depends on them, too
        text = self._template.render(context)
        known.append((queries, text))
        return text


class _Model:
    """One model: its templates compiled and its context built once, where dbt does so anew in each run."""

    def __init__(self, node: ModelNode, config: RuntimeConfig, manifest: Manifest) -> None:
        self.name = node.name
        self._kind = node.get_materialization()
        self._relation = "view" if self._kind == "view" else "table"
        self._columns = {column.name: column.data_type for column in node.columns.values()}
        self._context = generate_runtime_model_context(node, config, manifest)
        self._this = self._context["this"]
        replaces = node.config.get("replaces")
        self._sql, self._replaces, self._post = (
            [_Text(get_template(text, self._context, node)) for text in texts]
            for texts in (
                [node.raw_code],
                [replaces] if replaces else [],
                [hook.sql for hook in node.config.post_hook],
            )
        )

    def run(self, warehouse: MemoryWarehouse, span: Span) -> str:
        self._database = warehouse.database
        known = {relation.identifier for relation in warehouse.relations.get_relations("memory", "main")}
        self._given = (span, frozenset(known))
        exists = self.name in known
        (sql,) = self._rendered(self._sql)
        self._execute("begin")
        if self._kind != "incremental":
            self._execute(f"create or replace {self._relation} {self._this} as {sql}")
        elif not exists:
            columns = ", ".join(f"{name} {kind}" for name, kind in self._columns.items())
            self._execute(f"create table {self._this} ({columns})")
            self._execute(f"insert into {self._this} select {', '.join(self._columns)} from ({sql})")
        else:
            self._execute(f"create or replace temp table given as {sql}")
            for predicate in self._rendered(self._replaces):
                self._execute(f"delete from {self._this} as replaced where {predicate}")
            self._execute(f"insert into {self._this} select {', '.join(self._columns)} from given")
        for hook in self._rendered(self._post):
            self._execute(hook)
        self._execute("commit")
        if not exists:
            warehouse.relations.add(self._this.incorporate(type=self._relation))
        return sql

    def _rendered(self, templates: list[_Text]) -> Iterator[str]:
        return (template.render(self._context, self._given, self._rows) for template in templates)

    def _execute(self, sql: str) -> None:
        if sql.strip():
            self._database.execute(sql)

    def _rows(self, sql: str) -> list:
        found = self._database.execute(sql)
        return found.fetchall() if found.description else []


def _in_order(manifest: Manifest) -> Iterator[ModelNode]:
    """The models, each after what it depends on; of those that are ready the first by name."""
    waiting = {name: node for name, node in sorted(manifest.nodes.items()) if isinstance(node, ModelNode)}
    while waiting:
        ready = next(
            name
            for name, node in waiting.items()
            if not any(need in waiting for need in node.depends_on.nodes)
        )
        yield waiting.pop(ready)


def _parse(project: Path) -> Manifest:
    folders = ["--project-dir", str(project), "--profiles-dir", str(project)]
    result = dbtRunner().invoke(["parse", "--quiet", *folders, "--log-level-file", "none"])
    if not isinstance(result.result, Manifest):
        raise RuntimeError(f"dbt can't parse {project}: {result.exception}")
    know_graph(result.result)
    return result.result
