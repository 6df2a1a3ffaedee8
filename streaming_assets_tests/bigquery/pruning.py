"""Which scans of a statement read a whole table, since no constants bound a column that the table is pruned by.

BigQuery prunes partitions by comparisons of the partition column with constants alone, and blocks of clustered tables
by those of the first clustering column; bounds that come from another table prune nothing.
"""

from collections.abc import Mapping
from typing import Any

from zetasql import types
from zetasql.api import ResolvedNodeVisitor

Bounds = dict[int, set[str]]  # by column id, which of "low" and "high" are set

_SIDES = {
    "$greater": {"low"},
    "$greater_or_equal": {"low"},
    "$less": {"high"},
    "$less_or_equal": {"high"},
    "$equal": {"low", "high"},
    "$between": {"low", "high"},
    "$in": {"low", "high"},
}
_OPPOSITE = {"low": "high", "high": "low"}


def unpruned(statement: Any, prunes_by: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names of the tables that the statement scans without bounds; `prunes_by` has the columns to bound, by table."""
    if isinstance(statement, types.ResolvedCreateViewStmt):
        return []  # what reads the view bounds it
    found = _Scans(prunes_by)
    found.visit(statement)
    return [
        name
        for name, columns in found.scans
        if not found.empty
        and not _SIDES["$equal"] <= set().union(*(found.bounds.get(c, ()) for c in columns))
    ]


class _Scans(ResolvedNodeVisitor):
    def __init__(self, prunes_by: Mapping[str, tuple[str, ...]]) -> None:
        self.scans: list[tuple[str, list[int]]] = []
        self.bounds: Bounds = {}
        self.empty = False
        self._prunes_by = prunes_by

    def visit_ResolvedTableScan(self, node: Any) -> None:
        wanted = self._prunes_by.get(node.table.name, ())
        if wanted:
            self.scans.append((node.table.name, [c.column_id for c in node.column_list if c.name in wanted]))

    def visit_ResolvedInsertStmt(self, node: Any) -> None:
        self.visit(node.query)  # the table that gains rows is not read

    def default_visit(self, node: Any) -> None:
        for condition in ("filter_expr", "join_expr", "where_expr", "match_expr"):
            if (expression := getattr(node, condition, None)) is not None:
                bounds = _bounds(expression)
                self.empty |= bounds is None and not isinstance(node, types.ResolvedMergeStmt)
                for column, sides in (bounds or {}).items():
                    self.bounds.setdefault(column, set()).update(sides)
        self.descend(node)


def _bounds(expression: Any) -> Bounds | None:
    """What a condition bounds by constants; None if no row can meet it."""
    name = getattr(getattr(expression, "function", None), "name", "").rpartition(":")[2]
    arguments = list(getattr(expression, "argument_list", []))
    if name == "$and":
        parts = [_bounds(argument) for argument in arguments]
        return None if None in parts else _merged([part for part in parts if part is not None])
    if name == "$or":
        parts = [part for part in map(_bounds, arguments) if part is not None]
        return _common(parts) if parts else None
    if name in _SIDES and all(map(_is_constant, arguments)):
        first, second = (argument.value.value.int64_value for argument in arguments[:2])
        return None if name == "$equal" and first != second else {}
    if name in _SIDES and all(map(_is_constant, arguments[1:])):
        return _of_column(arguments[0], _SIDES[name])
    if name in _SIDES and len(arguments) == 2 and _is_constant(arguments[0]):
        return _of_column(arguments[1], {_OPPOSITE[side] for side in _SIDES[name]})
    return {}


def _of_column(expression: Any, sides: set[str]) -> Bounds:
    is_column = isinstance(expression, types.ResolvedColumnRef)
    return {expression.column.column_id: set(sides)} if is_column else {}


def _is_constant(expression: Any) -> bool:
    if isinstance(expression, types.ResolvedFunctionCall):
        return all(map(_is_constant, expression.argument_list))
    return isinstance(expression, types.ResolvedLiteral)


def _merged(parts: list[Bounds]) -> Bounds:
    merged: Bounds = {}
    for part in parts:
        for column, sides in part.items():
            merged[column] = merged.get(column, set()) | sides
    return merged


def _common(parts: list[Bounds]) -> Bounds:
    columns = set.intersection(*(set(part) for part in parts))
    return {column: set.intersection(*(part[column] for part in parts)) for column in columns}
