"""Whether the folder of all local state can be used; asked before anything is started that would fail in it midway."""

import os
import tempfile
from pathlib import Path

from streaming_assets.settings import SettingsError, env_name

ROOM_BYTES = 8 * 1024 * 1024  # less than a first start needs, and enough to tell a full disk


def check_home(home: Path) -> None:
    """Make the folder, and write and remove a file in it.

    Raises:
        SettingsError: it can't be used; the message says why and the way out.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(bytes(ROOM_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        where = error.filename if error.filename and not str(error.filename).startswith(f"{home}/") else home
        raise SettingsError(
            f"{env_name('home')}={home} can't hold the local state: {where}: {error.strerror}. Make room or set the "
            "folder's rights, or choose another folder"
        ) from None
