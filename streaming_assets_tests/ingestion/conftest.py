"""Settings for tests: a home folder of their own, nothing from the environment."""

from pathlib import Path

import pytest

from streaming_assets.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path / "home"))
    return load_settings()
