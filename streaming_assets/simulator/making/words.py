"""Lists of words, kept as text."""


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()
