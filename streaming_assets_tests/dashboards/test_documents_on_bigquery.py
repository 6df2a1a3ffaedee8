"""The SQL of the documents, checked by the GoogleSQL analyser against the marts' columns."""

import re
from typing import Any

import pyarrow as pa
import pytest

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.publishing import tables

zetasql = pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

# Loading the analyser takes 20 s of CPU: not one of the fast tests, and once for all that use it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("googlesql")]

PARAMETERS = {"@DS_START_DATE": "'20250113'", "@DS_END_DATE": "'20250211'", "@state": "'TX'"}


def queries() -> list[Any]:
    found = []
    for name in ("looker-studio", "metrics"):
        text = (PROJECT_ROOT / f"docs/{name}.md").read_text()
        for number, query in enumerate(re.findall(r"```sql\n(.*?)```", text, re.S), 1):
            found.append(pytest.param(query, id=f"{name}-{number}"))
    return found


@pytest.fixture(scope="module")
def analyzer() -> Any:
    """GoogleSQL with the marts as its catalog; seconds to make, so once."""
    from zetasql import types
    from zetasql.api import Analyzer, CatalogBuilder, TableBuilder

    kinds = {
        pa.string(): types.TypeKind.TYPE_STRING,
        pa.int64(): types.TypeKind.TYPE_INT64,
        pa.float64(): types.TypeKind.TYPE_NUMERIC,
    }
    language = types.LanguageOptions.maximum_features()
    language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
    catalog = CatalogBuilder("marts").with_builtin_functions(
        types.ZetaSQLBuiltinFunctionOptions(language_options=language)
    )
    for table in filter(lambda table: table.is_mart, tables().values()):
        for name in (table.name, f"PROJECT.DATASET.{table.name}"):
            builder = TableBuilder(name)
            builder.add_column(table.day_column, types.TypeKind.TYPE_DATE)
            for column, kind in table.columns.items():
                builder.add_column(column, kinds[kind])
            catalog.add_table(builder.build())
    return Analyzer(types.AnalyzerOptions(language_options=language), catalog.build())


@pytest.mark.parametrize("query", queries())
def test_bigquery_understands_the_query(analyzer: Any, query: str) -> None:
    for parameter, value in PARAMETERS.items():
        query = query.replace(parameter, value)
    columns = [column.name for column in analyzer.analyze_statement(query).output_column_list]
    assert columns
    assert all(not name.startswith("$") for name in columns)  # each has a name to pick it by


def test_the_analyser_refuses_what_the_marts_do_not_have(analyzer: Any) -> None:
    with pytest.raises(Exception, match="plays"):
        analyzer.analyze_statement("select plays from mart_daily_song_streams")
