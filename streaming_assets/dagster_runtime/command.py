"""`streaming-assets webserver`."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    # No options of its own, --help neither: all are dagster-webserver's.
    options = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command("webserver", context_settings=options)(webserver)


def webserver(context: typer.Context) -> None:
    """Serve Dagster's pages, to themselves alone (docs/operations.md); takes dagster-webserver's options."""
    from streaming_assets.dagster_runtime.webserver import serve  # Dagster takes seconds to import

    serve(context.args)
