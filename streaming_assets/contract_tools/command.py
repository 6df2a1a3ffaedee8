"""`streaming-assets contract ...`: a contract from a sample; all contracts held to the project and the lake."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

contract = typer.Typer(
    help="Contracts of event types: make one from a sample, check all.", no_args_is_help=True
)

_TOPIC = re.compile(r"[a-z][a-z0-9_]*")
_NEXT = """\
next: settle each DECIDE, put the file into dbt_project/models/sources/, add {topic} to event_types in
dbt_project/dbt_project.yml, write its base and staging model (docs/add-an-event-type.md); then
`streaming-assets contract check`"""

_PROPOSED = "{topic}: if the producer means it, columns for its contract in dbt_project/models/sources/:"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(contract, name="contract")


@contract.command("infer")
def infer_command(
    sample: Annotated[
        Path, typer.Argument(help="JSON lines, plain or gzip, or a folder of the lake's objects.")
    ],
    topic: Annotated[
        str | None, typer.Option(help="The topic; default: the file's name up to its first dot.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write, a new one; default: the output.")] = None,
) -> None:
    """Write the contract that a sample of events suggests, with what was seen, and marks where a person decides."""
    from streaming_assets.contract_tools.inference import infer
    from streaming_assets.contract_tools.sampling import SampleError, read_sample
    from streaming_assets.contract_tools.writing import contract_text

    name = topic or sample.name.partition(".")[0]
    if not _TOPIC.fullmatch(name):
        _fail(
            f"{name!r} can't be a topic here, since models are called after it: use small letters, digits and _, with "
            "--topic"
        )
    if out is not None and out.exists():
        _fail(f"{out} is there already; remove it, or choose another file")
    try:
        read = read_sample(sample)
    except SampleError as error:
        _fail(str(error))
    text = contract_text(infer(name, read.events))
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)
    faulty = f"; {read.faulty:,} lines hold no JSON object" if read.faulty else ""
    rest = "; there are more, which were not read" if read.is_cut else ""
    print(f"contract: {len(read.events):,} events{rest}{faulty}", file=sys.stderr)
    print(_NEXT.format(topic=name), file=sys.stderr)


@contract.command("check")
def check_command(
    objects: Annotated[
        int, typer.Option(min=1, help="How many of each topic's newest objects are read.")
    ] = 5,
) -> None:
    """Hold all contracts to the project and to the lake's newest objects; exit status 1 if any does not hold.

    Of fields that do not fit, the lines are printed that a contract could have for them.
    """
    from streaming_assets.contract_tools.arrivals import arrived, never, proposal, strangers
    from streaming_assets.contract_tools.checking import check_project
    from streaming_assets.contracts import PROJECT_DIR
    from streaming_assets.events import WAREHOUSE_TYPES
    from streaming_assets.lake.factory import lake_of
    from streaming_assets.lake.store import LakeError
    from streaming_assets.settings import get_settings

    findings = [str(finding) for finding in check_project(PROJECT_DIR)]
    seen = 0
    lake = lake_of(get_settings())
    for event_type in WAREHOUSE_TYPES:
        try:
            found = arrived(lake, event_type.topic, objects, datetime.now(UTC))
        except LakeError as error:
            _fail(str(error))
        findings += [f"{event_type.topic}: {name} can't be read" for name in found.unreadable]
        looked = f"{len(found.events):,} events of {found.objects} objects"
        if not found.events:
            print(f"{event_type.topic}: no event in the lake yet")
            continue
        seen += 1
        findings += [f"{event_type.topic}: {text}" for text in strangers(event_type, found)]
        absent = never(event_type, found)
        print(f"{event_type.topic}: {looked}" + (f"; never there: {', '.join(absent)}" if absent else ""))
        if lines := proposal(event_type, found):
            print(_PROPOSED.format(topic=event_type.topic), lines, sep="\n", end="")
    for text in findings:
        print(text, file=sys.stderr)
    if findings:
        raise typer.Exit(1)
    print(f"contract: all hold to the project; {seen} of {len(WAREHOUSE_TYPES)} to what lies in the lake")


def _fail(message: str) -> NoReturn:
    print(f"contract: {message}", file=sys.stderr)
    raise typer.Exit(2)
