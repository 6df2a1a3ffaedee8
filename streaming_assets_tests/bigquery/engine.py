"""A warehouse that is GoogleSQL's analyser and, where its tables hold rows, its evaluator.

It understands the statements that dbt sends to BigQuery, as scripts of several, and keeps the tables that they make:
their columns' types, partitioning, clustering and rows. A mistake is raised in the analyser's words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zetasql import types
from zetasql.api import Analyzer, PreparedQuery, TableBuilder
from zetasql.core.local_service import ZetaSqlLocalService

from streaming_assets_tests.bigquery.pruning import unpruned
from streaming_assets_tests.bigquery.values import ANY, as_microseconds, decode, encode, name_of, type_of

_QUERY_OF_TABLE = re.compile(r"create or replace table .*?\n\s*as \(\n(.*)\)\s*;?\s*$", re.S | re.I)
_QUERY_OF_VIEW = re.compile(r"create or replace view .*?\n\s*as (.*?);?\s*$", re.S | re.I)
_MERGE = re.compile(
    r"merge into (?P<table>\S+) as \w+\s+using \((?P<source>.*)\) as \w+\s+on FALSE\s+"
    r"when not matched by source\s+and (?P<gone>.*)\s+then delete\s+"
    r"when not matched then insert\s+\((?P<columns>.*?)\)\s+values\s+\((?P=columns)\)",
    re.S,
)
_BIGINT = types.SimpleCatalog.NamedType(name="bigint", type=type_of("INT64"))  # BigQuery's alias
_TEMPORARY = "__dbt_tmp"  # holds what a run has just computed
_DELETED = 2  # EvaluateModifyResponse.Row.Operation
_ROW = "_row"  # the key by which the evaluator says which row it changed


@dataclass
class Table:
    """A table or view: types of its columns, the columns that prune a scan of it, and rows, None if not known."""

    columns: dict[str, types.Type]
    prunes_by: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] | None = None
    is_view: bool = False
    content: types.TableContent | None = field(default=None, repr=False)

    def kinds(self) -> dict[str, str]:
        """Name of the type of each column."""
        return {name: name_of(kind) for name, kind in self.columns.items()}

    def encoded(self) -> types.TableContent:
        """The rows as the evaluator takes them."""
        if self.content is None:
            rows = [[encode(value) for value in row] for row in self.rows or []]
            self.content = _content(rows)
        return self.content


class GoogleSql:
    """Tables by full name (project.dataset.table) and statements on them.

    `whole` names tables that statements may scan whole; `prunes` says whether scans of others are held to bounds.
    """

    def __init__(self, whole: tuple[str, ...] = ()) -> None:
        self.tables: dict[str, Table] = {}
        self.statements: list[str] = []
        self.prunes = False
        self._whole = whole
        self._service = ZetaSqlLocalService.get_instance()
        language = types.LanguageOptions.maximum_features()
        language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
        language.enabled_language_features = [
            *language.enabled_language_features,
            *(feature for feature in types.LanguageFeature if "EXTERNAL_TABLE" in feature.name),
        ]
        language.reserved_keywords = ["QUALIFY"]  # as in BigQuery; else it needs a WHERE before it
        self._options = types.AnalyzerOptions(language_options=language)
        self._options.default_timezone = "UTC"
        self._functions = types.ZetaSQLBuiltinFunctionOptions(language_options=language)

    def run(self, script: str) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
        """Run the statements of a script; (columns, rows) of the last if it is a query.

        Raises:
            zetasql's ServerError: a statement is no GoogleSQL, or does not fit the tables.
            AssertionError: a statement scans a whole table.
        """
        answer: tuple[dict[str, str], list[tuple[Any, ...]]] = ({}, [])
        for text, statement in self._analysed(script):
            self.statements.append(text)
            if self.prunes:
                prunes_by = {name: t.prunes_by for name, t in self.tables.items() if _TEMPORARY not in name}
                bare = set(unpruned(statement, prunes_by)) - set(self._whole)
                assert not bare, f"no literals bound the scan of {', '.join(sorted(bare))} in:\n{text}"
            answer = getattr(self, f"_{type(statement).__name__}", self._nothing)(text, statement)
        return answer

    def columns_of(self, query: str) -> dict[str, str]:
        """Names and types of a query's columns."""
        ((_, statement),) = self._analysed(query)
        return {column.name: name_of(column.column.type) for column in statement.output_column_list}

    def understand(self, script: str) -> list[str]:
        """Kinds of a script's statements, such as `ResolvedMergeStmt`; none is run.

        Raises:
            zetasql's ServerError: a statement is no GoogleSQL, or does not fit the tables.
        """
        return [type(statement).__name__ for _, statement in self._analysed(script)]

    def _analysed(self, script: str) -> Iterator[tuple[str, Any]]:
        data = _joined(script).encode()
        at = types.ParseResumeLocation(input=data.decode(), byte_position=0)
        while data[at.byte_position :].strip(b" \n;"):
            start = at.byte_position
            used = data[start:].decode()
            statement = Analyzer(self._options, self._catalog(used)).analyze_next_statement(at)
            yield data[start : at.byte_position].decode().strip(), statement

    def _catalog(self, text: str, keyed: str | None = None) -> types.SimpleCatalog:
        """The tables that a text mentions; `keyed` gets a key of its own."""
        catalog = types.SimpleCatalog(
            name="warehouse", builtin_function_options=self._functions, named_type=[_BIGINT]
        )
        for name, table in self.tables.items():
            if f"`{name}`" in text:
                builder = TableBuilder(name)
                for column, kind in table.columns.items():
                    builder.add_column(column, kind)
                if name == keyed:
                    builder.add_column(_ROW, type_of("INT64"))
                built = builder.build()
                if name == keyed:
                    built.primary_key_column_index = [len(table.columns)]
                catalog.table.append(built)
        return catalog

    def _contents(self, text: str) -> dict[str, types.TableContent] | None:
        """Rows of the tables that a text mentions; None if those of one aren't known."""
        used = {name: table for name, table in self.tables.items() if f"`{name}`" in text}
        if any(table.rows is None for table in used.values()):
            return None
        return {name: table.encoded() for name, table in used.items()}

    def _rows_of(self, query: str) -> list[tuple[Any, ...]] | None:
        contents = self._contents(query)
        if contents is None:
            return None
        kinds = self.columns_of(query)
        text = _without_normalizer(as_microseconds(query, kinds))
        prepared = (
            PreparedQuery.builder()
            .set_sql(text)
            .set_analyzer_options(self._options)
            .set_catalog(self._catalog(text))
            .set_table_content(contents)
            .prepare()
        )
        with prepared:
            data = prepared.execute().content.table_data
        return [
            tuple(decode(cell, kind) for cell, kind in zip(row.cell, kinds.values(), strict=True))
            for row in (data.row if data else [])
        ]

    def _ResolvedQueryStmt(self, text: str, statement: Any) -> tuple[dict[str, str], list[tuple]]:
        kinds = {column.name: name_of(column.column.type) for column in statement.output_column_list}
        rows = self._rows_of(text)
        return kinds, [tuple(ANY[kind] for kind in kinds.values())] if rows is None else rows

    def _ResolvedCreateTableAsSelectStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        query = _QUERY_OF_TABLE.search(text)
        assert query, text
        columns = {c.name: c.type for c in statement.column_definition_list}
        by_id = {c.column.column_id: c.name for c in statement.column_definition_list}
        partition = statement.partition_by_list
        prunes_by = [_column_ids(by)[0] for by in partition + statement.cluster_by_list[: len(partition)]]
        self.tables[".".join(statement.name_path)] = Table(
            columns, tuple(by_id[number] for number in prunes_by), self._rows_of(query[1])
        )
        return {}, []

    def _ResolvedCreateViewStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        """A view's rows are those that it has now: dbt makes it anew in each run."""
        query = _QUERY_OF_VIEW.search(text)
        assert query, text
        columns = {c.name: c.column.type for c in statement.output_column_list}
        self.tables[".".join(statement.name_path)] = Table(columns, (), self._rows_of(query[1]), is_view=True)
        return {}, []

    def _ResolvedCreateTableStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        name = ".".join(statement.name_path)
        if name not in self.tables:
            columns = {c.name: c.type for c in statement.column_definition_list}
            known = all(table.rows is not None for table in self.tables.values())
            self.tables[name] = Table(columns, (), [] if known else None)
        return {}, []

    def _ResolvedMergeStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        """Its parts one after the other: the evaluator knows no MERGE."""
        parts = _MERGE.search(text)
        assert parts, text
        assert "select" not in parts["gone"], f"BigQuery takes no subquery in a condition of a MERGE:\n{text}"
        self._changed(f"delete from {parts['table']} where {parts['gone']}", parts["table"].strip("`"))
        self._inserted(
            parts["table"].strip("`"), f"select {parts['columns']} from ({parts['source']})", parts["columns"]
        )
        return {}, []

    def _ResolvedInsertStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        parts = re.search(r"insert into (\S+)(?: \((.*?)\))?\s+(.*?);?$", text.strip(), re.S)
        assert parts, text
        name = parts[1].strip("`")
        query = parts[3].strip()
        if query.startswith("values"):
            rows = query.removeprefix("values").strip().strip("()").split("), (")
            query = " union all ".join(f"select {row}" for row in rows)
        self._inserted(name, query, parts[2] or ", ".join(self.tables[name].columns))
        return {}, []

    def _ResolvedDeleteStmt(self, text: str, statement: Any) -> tuple[dict, list]:
        self._changed(text, statement.table_scan.table.full_name or statement.table_scan.table.name)
        return {}, []

    _ResolvedUpdateStmt = _ResolvedDeleteStmt

    def _nothing(self, text: str, statement: Any) -> tuple[dict, list]:
        return {}, []

    def _inserted(self, name: str, query: str, columns: str) -> None:
        table = self.tables[name]
        order = [column.strip(" `") for column in columns.split(",")]
        assert sorted(order) == sorted(table.columns), name
        rows = self._rows_of(query)
        if table.rows is not None and rows is not None:
            places = [order.index(column) for column in table.columns]
            table.rows += [tuple(row[place] for place in places) for row in rows]
            table.content = None

    def _changed(self, text: str, name: str) -> None:
        table, contents = self.tables[name], self._contents(text)
        if contents is None or table.rows is None:
            return
        keyed = [[encode(value) for value in (*row, number)] for number, row in enumerate(table.rows)]
        prepared = self._service.prepare_modify(
            sql=text,
            options=self._options,
            simple_catalog=self._catalog(text, keyed=name),
            table_content={**contents, name: _content(keyed)},
        ).prepared.prepared_modify_id
        changes = self._service.evaluate_modify(prepared_modify_id=prepared).content
        self._service.unprepare_modify(prepared_modify_id=prepared)
        rows: list[tuple[Any, ...] | None] = list(table.rows)
        for change in changes:
            number = change.old_primary_key[0].int64_value
            if change.operation == _DELETED:
                rows[number] = None
            else:
                rows[number] = tuple(
                    old if kind == "TIMESTAMP" else decode(cell, kind)  # no statement changes a time
                    for old, cell, kind in zip(
                        table.rows[number], change.cell, table.kinds().values(), strict=False
                    )
                )
        table.rows = [row for row in rows if row is not None]
        table.content = None


def _without_normalizer(query: str) -> str:
    """The evaluator comes without Unicode's tables: of composed text lower case is what it would give."""
    return query.replace("normalize_and_casefold(", "lower(").replace(", NFKC)", ")")


def _joined(script: str) -> str:
    """Backticks around a whole path, so that a table of the catalogue has the path for its name."""
    return re.sub(r"`([^`\s]+)`\.`([^`\s]+)`\.`([^`\s]+)`", r"`\1.\2.\3`", script)


def _content(rows: list[list[types.Value]]) -> types.TableContent:
    data = types.TableData(row=[types.TableData.Row(cell=cells) for cells in rows])
    return types.TableContent(table_data=data)


def _column_ids(expression: Any) -> list[int]:
    """The columns that an expression reads."""
    if isinstance(expression, types.ResolvedColumnRef):
        return [expression.column.column_id]
    return [number for part in getattr(expression, "argument_list", []) for number in _column_ids(part)]
