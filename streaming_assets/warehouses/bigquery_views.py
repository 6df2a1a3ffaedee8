"""The names that readers use on BigQuery: views in a dataset of their own, over the tables where they are. Pure.

The dataset is authorised for that of the models (terraform/): whoever may read the views needs no right to the tables.
"""

import hashlib
import json
from collections.abc import Iterable

from google.cloud.bigquery import DatasetReference

from streaming_assets.warehouses.bigquery_tables import LABELS
from streaming_assets.warehouses.warehouse import ReadersTable

DEFINITION = "definition"  # label of a view: what of it is decided here, as a hash
SNAPSHOT = ReadersTable(
    "snapshot",
    "Up to when the tables are filled.",
    {"as_of": "End of the newest ingestion hour in them (UTC)"},
)
_AS_OF = "least(timestamp_add(max(bucket_ingestion_datetime), interval 1 hour), current_timestamp()) as as_of"


def readers_dataset(dataset: str) -> str:
    """The dataset of the views beside one; terraform/ names it alike."""
    return f"{dataset}_readers"


def statements(models: DatasetReference, tables: Iterable[ReadersTable]) -> dict[str, tuple[str, str]]:
    """What makes each view, by its name: the hash of its definition, and the statement, which replaces a former one.

    Args:
        models: the dataset of the tables.
        tables: those that readers are to see.
    """
    made = {
        table.name: _statement(
            models,
            table,
            f"{', '.join(_column(table, c) for c in table.columns)} from {_of(models, table.name)}",
        )
        for table in tables
    }
    select = f"{_AS_OF} from {_of(models, 'lake_objects')} where is_processed"
    return made | {SNAPSHOT.name: _statement(models, SNAPSHOT, select)}


def _statement(models: DatasetReference, table: ReadersTable, select: str) -> tuple[str, str]:
    place = DatasetReference(models.project, readers_dataset(models.dataset_id))
    columns = ", ".join(
        f"{_name(column)} options (description = {_text(said)})" for column, said in table.columns.items()
    )
    head = f"create or replace view {_of(place, table.name)} ({columns})"
    described = f"description = {_text(table.description)}"
    definition = hashlib.sha256(f"{head} {described} {select}".encode()).hexdigest()[:16]
    labels = ", ".join(f"({_text(k)}, {_text(v)})" for k, v in (LABELS | {DEFINITION: definition}).items())
    return definition, f"{head} options ({described}, labels = [{labels}])\nas select {select}"


def _column(table: ReadersTable, name: str) -> str:
    return f"if(false, {_name(name)}, null)" if name in table.masked else _name(name)  # null of the same type


def _of(dataset: DatasetReference, name: str) -> str:
    return f"`{dataset.project}.{dataset.dataset_id}.{name}`"


def _name(column: str) -> str:
    return f"`{column}`"


def _text(text: str) -> str:
    """A literal of GoogleSQL, whose escapes include JSON's."""
    return json.dumps(text, ensure_ascii=False)
