"""The external tables as BigQuery keeps them: made from the event types, and how one that is there differs. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud.bigquery import CSVOptions, ExternalConfig, SchemaField, Table, TableReference
from google.cloud.bigquery.external_config import HivePartitioningOptions

from streaming_assets.events import EventType
from streaming_assets.lake.names import topic_prefix
from streaming_assets.lake.store import Lake
from streaming_assets.warehouses.tables import REFERENCE

LABELS = {"application": "streaming-assets"}
# Lines that one read leaves out before it fails, of those that BigQuery can't even show as text (over 100 MB, say). It
# does not keep them: `rows_are_accounted_for` misses them.
MAX_BAD_RECORDS = 10_000
# Where BigQuery ends a column. JSON can't hold it: a line in which it is found is malformed.
DELIMITER = "\x01"

_HIVE_KEY = "date"
_TYPES = {"string": "STRING", "double": "FLOAT", "boolean": "BOOLEAN"}  # as the API spells them


def event_table(reference: TableReference, event_type: EventType, lake: Lake) -> Table:
    """The external table of a topic.

    Columns, all text: `line`, as it lies in the object, and `rest`, null but for a line that holds `DELIMITER`; and the
    key of the folders, `date` TIMESTAMP, which every query must filter. Models parse
    them: a line that BigQuery could not parse would be left out, and no one could see why.
    """
    prefix = lake.uri(topic_prefix(event_type.topic))
    config = ExternalConfig("CSV")
    config.source_uris = [f"{prefix}*"]
    config.compression = "GZIP"
    config.schema = [SchemaField("line", "STRING"), SchemaField("rest", "STRING")]
    config.max_bad_records = MAX_BAD_RECORDS
    config.ignore_unknown_values = True  # what follows a second delimiter
    options = config.csv_options = CSVOptions()
    options.field_delimiter = DELIMITER
    options.quote_character = ""  # none: a quote is a sign like any other
    options.allow_jagged_rows = True  # without `rest`
    options.preserve_ascii_control_characters = True
    hive = HivePartitioningOptions()
    hive.mode = "CUSTOM"
    hive.source_uri_prefix = f"{prefix}{{{_HIVE_KEY}:TIMESTAMP}}"
    hive.require_partition_filter = True
    config.hive_partitioning = hive
    return _described(
        reference,
        config,
        f"Lines of topic {event_type.topic} as they lie in the lake: JSON, if they are sound.",
    )


def reference_table(reference: TableReference, uri: str) -> Table:
    """The external table of a reference file, a parquet file with the columns of `tables.REFERENCE`."""
    config = ExternalConfig("PARQUET")
    config.source_uris = [uri]
    config.schema = reference_columns(reference.table_id)
    return _described(reference, config, "Reference rows, as written to the lake.")


def empty_reference_table(reference: TableReference) -> Table:
    """What stands in for a reference file that is not there yet."""
    table = Table(reference, schema=reference_columns(reference.table_id))
    table.description = "Empty: the reference file is missing from the lake."
    table.labels = LABELS
    return table


def reference_columns(name: str) -> list[SchemaField]:
    """Columns of a reference file's table."""
    return [SchemaField(c.name, _TYPES[c.kind], description=c.description) for c in REFERENCE[name]]


def differences(found: Table, wanted: Table) -> list[str]:
    """How a table differs from what it should be, a line each: `schema.line: BYTES, should be STRING`."""
    old, new = _shape(found), _shape(wanted)
    return [
        f"{path}: {old.get(path, 'none')}, should be {new.get(path, 'none')}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def must_be_made_anew(found: Table, wanted: Table) -> bool:
    """Whether the API can't alter one table into the other: their columns or their format differ."""

    def fixed(table: Table) -> dict[str, Any]:
        return {k: v for k, v in _shape(table).items() if k.startswith("schema.") or k == "sourceFormat"}

    return fixed(found) != fixed(wanted)


def _described(reference: TableReference, config: ExternalConfig, description: str) -> Table:
    table = Table(reference)
    table.external_data_configuration = config
    table.description = description
    table.labels = LABELS
    return table


def _shape(table: Table) -> dict[str, Any]:
    """What of a table is decided here, by path; what the server adds is left out."""
    resource = table.to_api_repr()
    external = resource.get("externalDataConfiguration") or {}
    hive = external.get("hivePartitioningOptions") or {}
    csv = external.get("csvOptions") or {}
    fields = (external.get("schema") or resource.get("schema") or {}).get("fields") or []
    shape: dict[str, Any] = {
        "description": resource.get("description"),
        "labels": dict(resource.get("labels") or {}),
        "sourceFormat": external.get("sourceFormat", "none"),
        "sourceUris": external.get("sourceUris"),
        "compression": external.get("compression", "NONE"),
        "ignoreUnknownValues": bool(external.get("ignoreUnknownValues")),
        "maxBadRecords": int(external.get("maxBadRecords") or 0),
        "csv.fieldDelimiter": csv.get("fieldDelimiter"),
        "csv.quote": csv.get("quote", "") if csv else None,  # none, where the server leaves an empty one out
        "csv.allowJaggedRows": csv.get("allowJaggedRows"),
        "csv.preserveAsciiControlCharacters": csv.get("preserveAsciiControlCharacters"),
        "hive.mode": hive.get("mode"),
        "hive.sourceUriPrefix": hive.get("sourceUriPrefix"),
        "hive.requirePartitionFilter": bool(hive.get("requirePartitionFilter")),
    }
    shape |= _columns(fields, "schema")
    if hive:
        shape.pop(f"schema.{_HIVE_KEY}", None)  # the server lists it among the columns
    return {path: value for path, value in shape.items() if value is not None}


def _columns(fields: list[Mapping[str, Any]], path: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        mode = "" if field.get("mode", "NULLABLE") == "NULLABLE" else f" {field['mode']}"
        yield f"{path}.{field['name']}", f"{field['type']}{mode}"
        yield from _columns(field.get("fields") or [], f"{path}.{field['name']}")
