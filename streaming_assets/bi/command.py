"""`streaming-assets superset`: Apache Superset over the published snapshot, installed and set up by this one command.

It has an environment of its own, since its dependencies are not this project's. All it keeps lies in one folder, closed
to other accounts:

    env/            the environment, made anew when `bi/superset/requirements.txt` changes
    superset.db     its own database: accounts, what was drawn by hand
    bundle.json     what is imported at each start
    password        of its account `admin`; secret_key: of its sessions
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from streaming_assets.home import PRIVATE
from streaming_assets.settings import PROJECT_ROOT, Settings, env_name, get_settings

if TYPE_CHECKING:
    import duckdb

    from streaming_assets.bi.semantics import Cube

FILES = PROJECT_ROOT / "bi" / "superset"
_NEWEST_PYTHON = (3, 12)  # that Superset's pandas runs on
# A worker answers one request at a time, so it has one connection to the snapshot at most, and the next one is to the
# newest: within a process DuckDB shares a file that is open, even when another has taken its place.
_SERVER = ["--no-control-socket", "--worker-class", "sync", "--timeout", "300", "superset.app:create_app()"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("superset")(superset)


def superset(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port, on this machine alone")] = 8088,
    environment: Annotated[
        Path | None,
        typer.Option(help="Where it is installed; default: superset/env in the home", show_default=False),
    ] = None,
) -> None:
    """Serve Apache Superset over the published tables, with the metrics and one dashboard; Ctrl-C ends it.

    Installs it at the first start (0.7 GB). What this project makes in it is made anew at each start; to change
    a chart or the dashboard, copy it.
    """
    from streaming_assets.published.analytics import DATABASE
    from streaming_assets.published.manifest import SnapshotError

    settings = get_settings()
    home = settings.home / "superset"
    database = settings.published_dir.resolve() / DATABASE
    try:
        made = _bundle(settings, database)
    except SnapshotError as error:
        _fail(str(error))
    home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    environment = environment or home / "env"
    _install(environment)
    for name in ("secret_key", "password"):
        _keep_secret(home / name)
    (home / "bundle.json").write_text(json.dumps({name: json.dumps(file) for name, file in made.items()}))
    variables = {
        "SUPERSET_CONFIG_PATH": str(FILES / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SUPERSET_SNAPSHOT": str(database),
        "WEB_CONCURRENCY": os.environ.get("WEB_CONCURRENCY", "2"),
    }
    with open(home / "set_up.log", "wb") as log:
        done = subprocess.run(
            [environment / "bin" / "python", FILES / "set_up.py", home],
            env=os.environ | variables,
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        _fail(f"it could not be set up; {home / 'set_up.log'} says why")
    print(
        f"http://127.0.0.1:{port}/superset/dashboard/streaming-assets/ (admin; {home / 'password'})",
        flush=True,
    )
    os.environ.update(variables)
    os.chdir(home)
    server = str(environment / "bin" / "gunicorn")
    os.execv(server, [server, "--bind", f"127.0.0.1:{port}", *_SERVER])  # noqa: S606


def _bundle(settings: Settings, database: Path) -> dict[str, dict[str, Any]]:
    from streaming_assets.bi.bundle import bundle
    from streaming_assets.bi.semantics import cubes
    from streaming_assets.published.asking import open_snapshot

    made = cubes({env_name("subscription_price_usd"): settings.dashboards.subscription_price_usd})
    with open_snapshot(settings.published_dir) as connection:
        tables = _tables(connection)
        for cube in made:
            _look(connection, cube, settings.published_dir)
    return bundle(database, tables, made)


def _look(connection: "duckdb.DuckDBPyConnection", cube: "Cube", folder: Path) -> None:
    """Raises SnapshotError where a table is missing that the cube's metrics are counted from."""
    import duckdb

    from streaming_assets.published.manifest import SnapshotError

    try:
        connection.execute(f"select * from ({cube.sql}) limit 0")
    except duckdb.Error as error:
        raise SnapshotError(
            f"the metrics of {cube.name} can't be counted from what is published in {folder}: "
            f"{str(error).splitlines()[0]}. The next run publishes what is missing: start `make dev`, or run any hour "
            "again by `streaming-assets backfill`"
        ) from error


def _tables(connection: "duckdb.DuckDBPyConnection") -> dict[tuple[str, str], list[Any]]:
    from streaming_assets.bi.bundle import Column

    found: dict[tuple[str, str], list[Any]] = {}
    for table, said, *column in connection.execute("""
        select view_name, views.comment, column_name, data_type, columns.comment
        from duckdb_views() as views inner join duckdb_columns() as columns on view_name = table_name
        where not views.internal and not columns.internal
        order by view_name, column_index
    """).fetchall():
        found.setdefault((table, said), []).append(Column(*column))
    return found


def _install(environment: Path) -> None:
    requirements = FILES / "requirements.txt"
    stamp = environment / "requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    here = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=f"{here}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        _fail("it is installed by uv, which is missing: pip install uv")
    python = sys.executable if sys.version_info < (3, 13) else ".".join(map(str, _NEWEST_PYTHON))
    print(f"Superset is installed into {environment}", flush=True)
    for command in (
        ["venv", "--quiet", "--clear", "--python", python, environment],
        [
            "pip",
            "install",
            "--quiet",
            "--python",
            environment / "bin" / "python",
            "--require-hashes",
            "-r",
            requirements,
        ],
    ):
        if subprocess.run([uv, *command]).returncode:
            _fail(f"it could not be installed into {environment}")
    shutil.copyfile(requirements, stamp)


def _keep_secret(path: Path) -> None:
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))


def _fail(message: str) -> NoReturn:
    print(f"superset: {message}", file=sys.stderr)
    raise typer.Exit(1)
