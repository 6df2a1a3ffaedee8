"""`streaming-assets gcp verify`: arguments and output only."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

gcp_app = typer.Typer(help="A deployment on Google Cloud.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(gcp_app, name="gcp")


@gcp_app.callback()
def _root() -> None:
    """A group, though it has one command."""


@gcp_app.command("verify")
def verify(
    write: Annotated[
        bool, typer.Option("--write", help="Also write an object and a scratch table, and remove them")
    ] = False,
) -> None:
    """Try out what a deployment needs, with the rights of who calls it: what each check found, what it should
    find, and the command that tells the same by hand.

    It reads, and costs less than a cent. Ends with 1 if anything is not as it should be.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import bigquery

    from streaming_assets.gcp.verify import Deployment
    from streaming_assets.lake.factory import lake_of
    from streaming_assets.lake.notifications import pubsub
    from streaming_assets.settings import get_settings

    settings = get_settings()
    if settings.warehouse.kind != "bigquery":
        print(f"gcp verify: the warehouse is {settings.warehouse.kind}, not bigquery", file=sys.stderr)
        raise typer.Exit(2)
    try:
        client = bigquery.Client(project=settings.bigquery.project, location=settings.bigquery.location)
    except GoogleAuthError as error:
        print(f"gcp verify: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    deployment = Deployment(settings, client, lake_of(settings).stored, pubsub)
    now = datetime.now(UTC)
    bad = 0
    for check in [*deployment.checks(now), *(deployment.writing_checks(now) if write else ())]:
        found = check.found()
        bad += not found.is_good
        print(f"{'good' if found.is_good else 'BAD '}  {check.what}: {found.text}")
        print(f"      should be {check.good}; by hand: {check.command}")
    if bad:
        raise typer.Exit(1)
