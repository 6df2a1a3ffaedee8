"""What every lake must do; run on a folder and on a bucket."""

import pytest

from streaming_assets.lake.store import Lake, LakeError

A = "raw/listen_events/date=2025-01-01 00:00:00+00/0000000000-00000000000000000000.gz"
B = "raw/listen_events/date=2025-01-01 00:00:00+00/0000000001-00000000000000000000.gz"
C = "raw/listen_events/date=2025-01-01 01:00:00+00/0000000000-00000000000000000007.gz"
D = "raw/listen_events/date=2025-01-02 00:00:00+00/0000000000-00000000000000000009.gz"
OTHER = "raw/listen_events2/date=2025-01-01 00:00:00+00/0000000000-00000000000000000000.gz"


class LakeContract:
    """Subclasses give the fixture `lake`: an empty one."""

    @pytest.fixture
    def filled(self, lake: Lake) -> Lake:
        for number, name in enumerate((D, OTHER, C, A, B)):
            lake.write(name, b"x" * number)
        return lake

    def test_an_absent_prefix_is_an_empty_listing(self, lake: Lake) -> None:
        assert list(lake.list("raw/listen_events/")) == []

    def test_lists_a_prefix_in_name_order_with_sizes(self, filled: Lake) -> None:
        listed = list(filled.list("raw/listen_events/"))
        assert [(entry.name, entry.size) for entry in listed] == [(A, 3), (B, 4), (C, 2), (D, 0)]

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            ("raw/listen_events/date=2025-01-01 01", "", [C, D]),
            ("raw/listen_events/date=2025-01-01 00:00:00+00/", "", [A, B, C, D]),
            ("raw/listen_events/date=2025-01-01 00:00:00+00/0000000001", "", [B, C, D]),
            (C, D, [C]),
            ("", C, [A, B]),
            ("raw/listen_events/date=2025-01-03", "", []),
        ],
    )
    def test_lists_from_a_name_up_to_another(
        self, filled: Lake, start: str, end: str, expected: list[str]
    ) -> None:
        assert [entry.name for entry in filled.list("raw/listen_events/", start, end)] == expected

    def test_reads_what_was_written(self, lake: Lake) -> None:
        lake.write(A, b"\x1f\x8b\x00\xff")
        assert lake.read(A) == b"\x1f\x8b\x00\xff"

    def test_a_write_replaces_and_changes_the_generation(self, lake: Lake) -> None:
        lake.write(A, b"one")
        (before,) = lake.list("raw/")
        lake.write(A, b"two")
        (after,) = lake.list("raw/")
        assert lake.read(A) == b"two"
        assert after.generation != before.generation

    def test_write_if_absent_leaves_what_is_there(self, lake: Lake) -> None:
        assert lake.write_if_absent(A, b"first") is True
        assert lake.write_if_absent(A, b"second") is False
        assert lake.read(A) == b"first"

    def test_reading_what_is_absent_names_it(self, lake: Lake) -> None:
        with pytest.raises(LakeError, match=r"0000000000-00000000000000000000\.gz"):
            lake.read(A)

    def test_a_uri_holds_the_name(self, lake: Lake) -> None:
        assert lake.uri(A).endswith("/" + A)

    def test_replaces_only_what_is_still_of_that_generation(self, lake: Lake) -> None:
        lake.write(A, b"one")
        (before,) = lake.list("raw/")
        assert lake.replace(A, b"two", before.generation) is True
        assert lake.replace(A, b"three", before.generation) is False
        assert lake.read(A) == b"two"
