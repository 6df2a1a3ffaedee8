"""`streaming-assets ...`: the commands, assembled. Each lives beside what it drives."""

import errno
import sys
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streaming_assets.automation import command as backfill_command
from streaming_assets.bi import command as superset_command
from streaming_assets.contract_tools import command as contract_command
from streaming_assets.dagster_runtime import command as webserver_command
from streaming_assets.dashboards import command as dashboards_command
from streaming_assets.gcp import command as gcp_command
from streaming_assets.ingestion import command as ingestion_commands
from streaming_assets.ingestion import kafka_command
from streaming_assets.ingestion.kafka_files import KafkaSetupError
from streaming_assets.local import backup_command
from streaming_assets.local import command as dev_command
from streaming_assets.monitoring import command as monitoring_command
from streaming_assets.published import command as sql_command
from streaming_assets.published import notebook
from streaming_assets.settings import Settings, SettingsError, setting_rows
from streaming_assets.simulator.command import simulate

if TYPE_CHECKING:
    import dagster as dg

app = typer.Typer(
    name="streaming-assets",
    help="Events of a music-streaming site: simulate, ingest, backfill, look.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


# What a folder or disk does wrong; any other error of the system is one of the program.
_OF_THE_PLACE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
)


@app.callback()
def _root(context: typer.Context) -> None:
    context.obj = _build_defs  # what the commands that run hours are handed


def _build_defs(settings: Settings) -> "dg.Definitions":
    from streaming_assets.definitions import build_defs  # the import takes seconds

    return build_defs(settings)


@app.command("settings")
def settings_command() -> None:
    """Print each setting: environment name, value in force, where it comes from, meaning."""
    table = Table("name", "value", "source", "meaning")
    for row in setting_rows():
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


ingestion_commands.register(app)
kafka_command.register(app)
webserver_command.register(app)
dashboards_command.register(app)
sql_command.register(app)
notebook.register(app)
superset_command.register(app)
backfill_command.register(app)
dev_command.register(app)
backup_command.register(app)
contract_command.register(app)
monitoring_command.register(app)
gcp_command.register(app)
app.command("simulate")(simulate)


def main() -> None:
    """Run the command line; a bad setting, or a place that can't be written, ends it with a message, not a trace."""
    try:
        app()
    except SettingsError as error:
        print(f"settings: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KafkaSetupError as error:
        print(f"kafka: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in _OF_THE_PLACE or error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
