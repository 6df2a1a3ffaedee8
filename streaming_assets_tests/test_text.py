"""The fold of text: what is the same song, artist or place."""

import unicodedata
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.text import fold
from streaming_assets.warehouses.duckdb_functions import register

SAME = [
    ("D\u00e9j\u00e0 Vu", "De\u0301ja\u0300 vu"),
    ("Beyonc\u00e9", "BEYONC\u00c9"),
    ("Beyonc\u00e9", "Beyonc\u00c3\u00a9"),  # UTF-8 read as Latin-1
    ("Don\u2019t Stop", "Don't Stop"),
    ('Say "Hello"', "Say \u201cHello\u201d"),
    ("\uff21\uff22\uff23", "abc"),  # full width
    (" Reno\t", "reno"),
    ("Stra\u00dfe", "STRASSE"),
    ("zero\u200bwidth", "zerowidth"),
]
DIFFERENT = [
    ("\u5149", "\u685c\u6d41\u3057"),
    ("D\u00e9j\u00e0 Vu", "Dj Vu"),
    ("D\u00e9j\u00e0 Vu", "Deja Vu"),
    ("\u5149", ""),
    ("a\x1fb", "ab"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_names_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_text_that_only_looks_like_latin_1_stays() -> None:
    assert fold("Z\u00fcrich") == "z\u00fcrich"
    assert fold("\u00c3\u0085") == "\u00e5"


# Behind a character that Latin-1 lacks nothing is taken for mistaken bytes.
_texts = st.text(st.characters(codec="utf-8")).map(lambda text: f"\u5149{text}")


@given(_texts)
def test_a_fold_folds_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(_texts)
def test_composed_and_decomposed_are_one(text: str) -> None:
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text))


def test_a_database_that_knows_the_fold_already_is_no_error(tmp_path: Path) -> None:
    """dbt opens the file while the run holds it open: both are one database of this process."""
    file = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(file) as first, duckdb.connect(file) as second:
        register(first)
        register(second)
        assert second.execute("select fold('ZÜRICH')").fetchall() == [("zürich",)]
