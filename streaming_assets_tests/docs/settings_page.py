"""docs/settings.md, made from the settings' declarations; as a program, writes it."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streaming_assets.settings import PROJECT_ROOT, Settings, declared, env_name

PAGE = PROJECT_ROOT / "docs" / "settings.md"

HEAD = """# Settings

<!-- Made by `python -m streaming_assets_tests.docs.settings_page`; a test holds it to streaming_assets/subjects.py. -->

Nothing else than these is read from the environment. Of each the value is, first wins: the environment variable, the
line of the file `.env` in the working directory, the default. An empty value is none. A variable that begins with
`STREAMING_ASSETS_` and is no setting is an error, which names the nearest one. `streaming-assets settings` prints what
is in force, and where it comes from.
"""


def page() -> str:
    """The page's text."""
    return HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for subject, settings in groupby(declared().items(), key=lambda item: item[1].subject):
        kind = Settings if subject is None else Settings.model_fields[subject].annotation
        title = "Target, local state, first hour" if kind is Settings else str(kind.__doc__).rstrip(".")
        yield from ("", f"## {title}", "", "| variable | default | what it is |", "|---|---|---|")
        for name, setting in settings:
            field = setting.info
            yield f"| `{env_name(name)}` | {_default(field)} | {field.description}{_limits(field)} |"


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value is None or value == "":
        return "empty"
    if isinstance(value, Path):
        value = value.relative_to(PROJECT_ROOT)
    return f"`{value}`"


def _limits(field: FieldInfo) -> str:
    """What values it takes, where the description does not say so."""
    if get_origin(field.annotation) is Literal:
        return ". One of " + ", ".join(f"`{value}`" for value in get_args(field.annotation) if value)
    words = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
    told = [
        text.format(getattr(limit, name))
        for limit in field.metadata
        for name, text in words.items()
        if getattr(limit, name, None) is not None
    ]
    return ". " + (", ".join(told)).capitalize() if told else ""


if __name__ == "__main__":
    PAGE.write_text(page())
