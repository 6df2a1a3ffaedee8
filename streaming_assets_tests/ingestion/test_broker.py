"""What the embedded broker writes down while it runs."""

import logging
import threading
import time
from pathlib import Path

import pytest

from streaming_assets.ingestion.broker import ENDS_SECONDS, embedded_cluster, keep_ends
from streaming_assets.settings import Settings


def test_a_note_that_can_not_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "epochs").write_text("in the way")
    stop = threading.Event()
    with caplog.at_level(logging.WARNING), embedded_cluster(settings) as info:
        keeper = threading.Thread(target=keep_ends, args=(settings, info, stop))
        keeper.start()
        time.sleep(20 * ENDS_SECONDS)
        stop.set()
        keeper.join(30)
    told = [record.getMessage() for record in caplog.records if "not written down" in record.getMessage()]
    assert len(told) == 1
    assert str(tmp_path / "epochs") in told[0]
