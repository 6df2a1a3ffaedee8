"""Times as options give them."""

from datetime import UTC, datetime

import pytest

from streaming_assets.simulator.times import as_iso, parse_time

NOW = datetime(2025, 4, 10, 12, 30, 15, 999_999, tzinfo=UTC)
DAY = 86_400_000
APRIL = 1_743_465_600_000  # 2025-04-01T00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-04-01", APRIL),
        ("2025-04-01T00:00:00", APRIL),
        ("2025-04-01T00:00:00Z", APRIL),
        ("2025-04-01T02:00:00+02:00", APRIL),
        ("2025-04-01T00:00:00.250", APRIL + 250),
        ("now", APRIL + 9 * DAY + 45_015_000),
        ("9d", APRIL + 45_015_000),
        ("1.5h", APRIL + 9 * DAY + 45_015_000 - 5_400_000),
        ("30m", APRIL + 9 * DAY + 45_015_000 - 1_800_000),
    ],
)
def test_parse(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "15", "2025-13-01", "-3d"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; give ISO"):
        parse_time(text, NOW)


@pytest.mark.parametrize("moment", [APRIL, APRIL + 1, APRIL + 250, APRIL + 61_000])
def test_iso_and_back(moment: int) -> None:
    text = as_iso(moment)
    assert text.endswith("Z")
    assert parse_time(text, NOW) == moment
    assert ("." in text) == (moment % 1000 > 0)
