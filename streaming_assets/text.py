"""One fold of text, by which names of songs, artists and places are the same, and by which people search.

Text is kept and shown as it came; only keys and search use its fold. The dbt project asks for it as `fold(...)`: on
DuckDB this function, on BigQuery `NORMALIZE_AND_CASEFOLD` with the same rules around it (macros/dialect/text.sql).
A test holds the two together. And what a spreadsheet would not take as text, and a number with its noun.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc\u0060", "'"),
        **dict.fromkeys('"\u201c\u201d\u201e\u201f\u2033', None),
    }
)
_BLANKS = " \t\n\r"
# Unicode's Default_Ignorable_Code_Point: they are not seen, and engines differ on whether case folding keeps them.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IGNORABLE = re.compile(f"[{IGNORABLE}]")


def fold(text: str) -> str:
    """`text` as keys and search see it: `Beyonce\u0301`, `BEYONC\u00c9` and `Beyonc\u00c3\u00a9` are one.

    In this order: UTF-8 that was read as Latin-1 is repaired (as the original simulator's songs need), characters that
    nobody sees go, single quotes become straight, double quotes go (sources differ in their quoting), NFKC with case
    folding, blanks at the ends go.
    """
    if text.isascii():
        return text.replace("`", "'").replace('"', "").lower().strip(_BLANKS)
    seen = _IGNORABLE.sub("", _repaired(text)).translate(_QUOTES)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", seen).casefold())
    return unicodedata.normalize("NFKC", folded.casefold()).strip(_BLANKS)


def _repaired(text: str) -> str:
    """Text whose characters are the bytes of UTF-8, decoded; any other text as it is."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


# What OWASP's page on CSV injection lists, for a spreadsheet takes a cell that begins so for a formula; and all other
# control characters, which it may drop.
_FORMULA = re.compile(r"[=+\-@＝＋－＠\x00-\x1f\x7f-\x9f]")


def harmless(cells: Iterable[Any]) -> list[Any]:
    """A row in which no text is a formula: such a text gets an apostrophe before it. Numbers stay as they are."""
    return [f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in cells]


def counted(number: int, what: str) -> str:
    """`1 hour`, `1,200 hours`: a number with its noun, whose plural takes an s."""
    return f"{number:,} {what}{'s' * (number != 1)}"
