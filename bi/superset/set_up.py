"""Make Superset's own database, where there is none, and put a bundle in force. Run by Superset's Python.

python set_up.py FOLDER     with superset_config.py in force; FOLDER holds

bundle.json                 what is imported: text by the name that it has in an export
password                    of the account `admin`
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from flask.cli import ScriptInfo
from superset.app import create_app
from superset.cli.main import superset

USER = "admin"
_ACCOUNT = ["--username", USER, "--firstname", "Admin", "--lastname", "Admin", "--email", "admin@localhost"]


def main(folder: Path) -> None:
    app = create_app()
    made_by = folder / "superset.version"  # written last, so what was interrupted is done again
    if not made_by.exists() or made_by.read_text() != version("apache-superset"):
        password = (folder / "password").read_text()
        for command in (
            ["db", "upgrade"],
            ["fab", "create-admin", *_ACCOUNT, "--password", password],
            ["init"],
        ):
            superset.main(command, standalone_mode=False, obj=ScriptInfo(create_app=lambda: app))
        made_by.write_text(version("apache-superset"))
    with app.app_context():
        from superset import security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        with override_user(security_manager.find_user(USER)):
            ImportAssetsCommand(json.loads((folder / "bundle.json").read_text())).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
