"""Whether the folder of all local state can be used; asked before anything is started that would fail in it midway."""

import logging
import os
import tempfile
from pathlib import Path

from streaming_assets.settings import SettingsError, env_name

log = logging.getLogger(__name__)

PRIVATE = 0o700
ROOM_BYTES = 8 * 1024 * 1024  # less than a first start needs, and enough to tell a full disk


def check_home(home: Path) -> None:
    """Make the folder, for this account alone, and write and remove a file in it.

    All that is in it is about people. One that is ours and that any account may enter, as earlier versions made it, is
    closed, and that is logged. One that is open to a group, or has another owner, was made so: it stays.

    Raises:
        SettingsError: it can't be used; the message says why and the way out.
    """
    try:
        home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = home.stat()
        if found.st_mode & 0o007 and found.st_uid == os.geteuid():
            home.chmod(PRIVATE)
            log.warning("%s was open to every account of this machine; it is now to yours alone (0700)", home)
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
