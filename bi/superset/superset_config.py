"""Superset's configuration. All that it keeps lies in one folder, which `streaming-assets superset` names and fills."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = (_HOME / "secret_key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}?check_same_thread=false"
UPLOAD_FOLDER = f"{_HOME / 'uploads'}/"
_SNAPSHOT = os.environ["SUPERSET_SNAPSHOT"]


@event.listens_for(Engine, "connect")
def _restrict(connection: Any, _record: Any) -> None:
    """Who asks the snapshot reads what is published, in SQL Lab too, and no other file; times are UTC."""
    if not type(connection).__module__.startswith("duckdb"):
        return
    cursor = connection.cursor()
    cursor.execute("select path from duckdb_databases() where path = ?", [_SNAPSHOT])
    if cursor.fetchall():
        folder = str(Path(_SNAPSHOT).parent).replace("'", "''")
        cursor.execute("set TimeZone = 'UTC'")
        cursor.execute(f"set allowed_directories = ['{folder}']")
        cursor.execute("set enable_external_access = false")
        cursor.execute("set lock_configuration = true")
