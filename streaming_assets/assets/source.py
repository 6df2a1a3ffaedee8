"""Where events come from: the site (here its simulator) and the Kafka topics. Dagster sees them, it makes neither."""

import dagster as dg

from streaming_assets.assets.keys import OWNERS, SIMULATOR, topic_key
from streaming_assets.contracts import DeclaredTable
from streaming_assets.events import DEAD_LETTERS, LAKE_TYPES, EventType


def event_columns(event_type: EventType) -> dg.TableSchema:
    """The fields of an event as columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                field.kind,
                field.description,
                dg.TableColumnConstraints(nullable=not field.required),
            )
            for field in event_type.fields
        ]
    )


def declared_columns(table: DeclaredTable) -> dg.TableSchema:
    """The columns of a table that is declared as a source."""
    return dg.TableSchema([dg.TableColumn(c.name, c.kind, c.description) for c in table.columns])


def source_specs() -> list[dg.AssetSpec]:
    """The simulator and a spec for each Kafka topic that the warehouse reads."""
    simulator = dg.AssetSpec(
        SIMULATOR,
        description="The music-streaming site: users walk through its pages and leave events. "
        "`streaming-assets simulate` stands in for it.",
        group_name="source",
        kinds={"python"},
        owners=OWNERS,
    )
    topics = [
        dg.AssetSpec(
            topic_key(event_type.topic),
            deps=[SIMULATOR] if event_type.simulated or event_type is DEAD_LETTERS else [],
            description=f"Kafka topic {event_type.topic}: JSON events, stamped with the broker's append time.",
            group_name="source",
            kinds={"kafka"},
            owners=OWNERS,
            metadata={"dagster/column_schema": event_columns(event_type)},
        )
        for event_type in LAKE_TYPES
    ]
    return [simulator, *topics]
