"""The external tables, written as the statements that would make them, are GoogleSQL."""

from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

from google.cloud.bigquery import DatasetReference, Table
from zetasql.core.exceptions import ServerError

from streaming_assets.events import LAKE_TYPES
from streaming_assets.gcp.verify import merge, scratch
from streaming_assets.lake.bucket import BucketLake
from streaming_assets.lake.names import SONGS
from streaming_assets.warehouses.bigquery_tables import event_table, reference_table
from streaming_assets.warehouses.tables import REFERENCE
from streaming_assets_tests.bigquery.engine import GoogleSql
from streaming_assets_tests.bigquery.site import EXTERNAL, PROJECT

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("googlesql")]

LAKE = BucketLake("gs://test-bucket")
DATASET = DatasetReference(PROJECT, EXTERNAL)
TABLES = [
    *(event_table(DATASET.table(str(e.external_table)), e, LAKE) for e in LAKE_TYPES),
    *(reference_table(DATASET.table(name), LAKE.uri(SONGS)) for name in REFERENCE),
]
KINDS = {"INTEGER": "int64", "FLOAT": "float64", "BOOLEAN": "bool"}


def ddl(table: Table) -> str:
    """`create external table`, from what is sent to the API."""
    external = table.to_api_repr()["externalDataConfiguration"]
    hive = external.get("hivePartitioningOptions")
    options = {"format": external["sourceFormat"], "uris": external["sourceUris"]}
    keys = ""
    if hive:
        prefix, _, key = hive["sourceUriPrefix"].partition("{")
        name, _, kind = key.rstrip("}").partition(":")
        keys = f" with partition columns ({name} {kind.lower()})"
        options |= {
            "hive_partition_uri_prefix": prefix,
            "require_hive_partition_filter": hive["requirePartitionFilter"],
            "ignore_unknown_values": external["ignoreUnknownValues"],
            "max_bad_records": external["maxBadRecords"],
            "compression": external["compression"],
            "field_delimiter": external["csvOptions"]["fieldDelimiter"],
            "quote": external["csvOptions"]["quote"],
            "allow_jagged_rows": external["csvOptions"]["allowJaggedRows"],
            "preserve_ascii_control_characters": external["csvOptions"]["preserveAsciiControlCharacters"],
        }
    columns = ", ".join(map(_column, external["schema"]["fields"]))
    written = ", ".join(f"{name} = {_literal(value)}" for name, value in options.items())
    return f"create external table `{PROJECT}`.`{EXTERNAL}`.`{table.table_id}` ({columns}){keys} options ({written})"


def _column(field: dict[str, Any]) -> str:
    return f"`{field['name']}` {KINDS.get(field['type'], field['type'].lower())}"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value) if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.table_id)
def test_a_table_can_be_written_as_a_statement(table: Table) -> None:
    assert GoogleSql().understand(ddl(table)) == ["ResolvedCreateExternalTableStmt"]


def test_a_type_that_there_is_not_is_found() -> None:
    wrong = ddl(TABLES[0]).replace("`line` string", "`line` strng")
    with pytest.raises(ServerError, match="Type not found: strng"):
        GoogleSql().understand(wrong)


def test_the_scratch_table_that_tries_out_a_merge_is_googlesql() -> None:
    engine = GoogleSql()
    engine.run(scratch("p.d.verify_scratch"))
    hour = datetime(2025, 3, 1, 5, tzinfo=UTC)
    assert engine.understand(merge("p.d.verify_scratch", hour)) == ["ResolvedMergeStmt"]
