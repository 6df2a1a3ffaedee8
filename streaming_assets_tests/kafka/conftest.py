"""Settings of the tests: a home of their own, and nothing from the environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming_assets.settings import ENV_PREFIX, get_settings


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the settings of the machine; the home folder is a temporary one."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(f"{ENV_PREFIX}HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)  # where no .env is
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
