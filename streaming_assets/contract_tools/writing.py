"""A draft as the file of a contract: what was seen stands in comments, what is to be decided is marked. Pure."""

import json
import re
from collections.abc import Collection

import yaml

from streaming_assets.contract_tools.inference import Draft
from streaming_assets.contracts import EventField

DECIDE = "DECIDE"
_HEAD = """\
# {events:,} events were looked at. A line with {mark} asks for a decision: settle it, then remove the mark.
# docs/add-an-event-type.md says what can stand here.
version: 2

sources:
  - name: external
    schema: "{{{{ target.schema ~ '_external' if target.type == 'bigquery' else 'main' }}}}"
    tables:
      - name: {table}
        description: "{mark}: what these events are"
        config:
          meta:
            contract:
              topic: {topic}
"""


def contract_text(draft: Draft) -> str:
    """The YAML file."""
    kind = draft.event_type
    lines = [
        _HEAD.format(events=draft.events, mark=DECIDE, table=kind.external_table, topic=kind.topic).rstrip(
            "\n"
        )
    ]
    lines += [f"              # {DECIDE}: {doubt}" for doubt in draft.doubts[""]]
    lines.append(f"              identity: [{', '.join(map(_scalar, kind.identity))}]")
    if kind.event_time:
        lines.append(f"              event_time: {_scalar(kind.event_time)}")
    lines.append("        columns:")
    return "\n".join(lines) + "\n" + columns_text(draft, {field.name for field in kind.fields})


def columns_text(draft: Draft, names: Collection[str]) -> str:
    """The columns of the fields with these names, as they stand in the file."""
    lines = []
    for field in draft.event_type.fields:
        if field.name in names:
            lines.append(f"          # seen {draft.notes[field.name]}")
            lines += [f"          # {DECIDE}: {doubt}" for doubt in draft.doubts[field.name]]
            lines += _column(field)
    lines += [
        f"          # {DECIDE}: left out, since no contract can name it: {json.dumps(name)}"
        for name in draft.left_out
    ]
    return "\n".join(lines) + "\n"


def _column(field: EventField) -> list[str]:
    meta = {
        "column": field.column,
        "required": "true" if field.required else None,
        "time": field.time,
        "personal": "true" if field.personal else None,
    }
    told = ", ".join(f"{key}: {value}" for key, value in meta.items() if value)
    lines = [
        f"          - name: {_scalar(field.name)}",
        f'            description: "{DECIDE}: what it is"',
        f"            data_type: {field.kind}",
    ]
    return [*lines, f"            config: {{meta: {{{told}}}}}"] if told else lines


def _scalar(text: str) -> str:
    """A text as YAML takes it for text."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", text) and yaml.safe_load(text) == text
    return text if is_plain else json.dumps(text)
