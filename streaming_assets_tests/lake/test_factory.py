"""The choice of a lake by its URL."""

import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.lake.factory import open_lake
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.store import LakeError


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    assert isinstance(lake.stored, FolderLake)
    assert lake.stored.root == tmp_path


def test_a_bucket_with_a_prefix() -> None:
    assert open_lake("gs://bucket/some/prefix/").uri("raw/x") == "gs://bucket/some/prefix/raw/x"
    assert open_lake("gs://bucket").uri("raw/x") == "gs://bucket/raw/x"


@pytest.mark.parametrize("url", ["s3://bucket", "gs://", "gs:///prefix", "https://example.org/lake"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(LakeError, match="must be a folder or gs://bucket"):
        open_lake(url)


def test_a_folder_needs_no_google_library() -> None:
    code = (
        "import sys; from streaming_assets.lake.factory import open_lake; open_lake('x'); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "streaming_assets.lake.folder" in modules
    assert "google.cloud.storage" not in modules
    assert "dagster" not in modules
