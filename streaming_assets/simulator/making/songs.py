"""Invented songs: artists with a genre of their own, titles from patterns, listen counts by Zipf's law."""

import random
from collections.abc import Iterator

from streaming_assets.simulator.making.words import words

SONGS = 4000
_ARTISTS = 700
_MOST_LISTENS = 25_000
_DECAY = 0.85  # the count of rank r is the most divided by r to this power
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_GENRES = {  # genre: (share of artists, mean seconds)
    "Rock": (20, 245),
    "Pop": (18, 215),
    "Hip-Hop": (12, 225),
    "Electronic": (10, 300),
    "Country": (8, 205),
    "R&B": (7, 235),
    "Jazz": (6, 330),
    "Classical": (5, 380),
    "Metal": (5, 270),
    "Folk": (4, 220),
    "Latin": (3, 230),
    "Reggae": (2, 240),
}
_FIRST = words(
    """
    Amber Velvet Silver Hollow Northern Electric Paper Crimson Midnight Golden Broken Quiet Wild Neon Second
    Salt Little Distant Glass Painted Lucky Wooden Cobalt Sunday Secret Dusty Marble Lonesome Rapid Frozen
    """
)
_SECOND = words(
    """
    Harbor Foxes Parade Orchard Satellites Rivers Engines Lanterns Wolves Avenue Choir Machines Pilots Tides
    Sparrows Mirrors Cartel Gardens Prophets Signals Drifters Arcade Canyon Heirs Circus Republic Echoes
    Union
    """
)
_SOLO_FIRST = words(
    """
    Ada Bruno Celia Dario Elena Felix Greta Hugo Inês Jonas Kaya Lars Maëlle Nico Olga Pablo Quinn Rosa
    Søren Tomás Uma Viktor Wanda Xavier Yara Zoë Björn Chloé
    """
)
_SOLO_LAST = words(
    """
    Marlowe Castañeda Whitfield Okafor Lindqvist Beaumont Tanaka Moreau Novak Delacroix Farrow Grünwald
    Ivers Jessop Kowalski Lacombe Mendoza Norgaard Ó_Briain Pereira Quist Ravel Sandoval Thorne Umber
    Vasquez Wilder
    """
)
_NOUNS = words(
    """
    Rain Fire Heart Road Night Summer River Shadow Window Train Ocean Letter Moon Dream Kitchen Ghost
    Highway Garden Mirror Winter Telephone Station Thunder Morning Island Photograph Bridge Candle Horizon
    Radio Storm
    """
)
_VERBS = words(
    """
    Run Fall Wait Burn Dance Sing Drive Breathe Wander Stay Float Shine Dream Call Leave Return
    """
)
_PLACES = words(
    """
    Memphis Lisbon Reykjavík Marseille Havana Kyoto Bogotá Zürich Dublin Nairobi Oslo Córdoba
    """
)
_PATTERNS = (
    "{noun} on the {other}",
    "{verb} With Me",
    "The {noun} in {place}",
    "Don't {verb} Tonight",
    "{noun} & {other}",
    "{verb} Until the {noun}",
    "My {noun}",
    "Last {noun} to {place}",
    "{adjective} {noun}",
    "({verb}) Like {noun}",
    'The "{noun}" Song',
    "{noun} No. {number}",
    "{verb}, {verb}, {verb}",
    "L'été à {place}",
)
_VERSIONS = ("",) * 12 + (" (Live)", " (Acoustic)", " - Remastered", " (Radio Edit)", ' (12" Mix)')


def song_rows(chance: random.Random) -> Iterator[str]:
    """Track id, artist, title, duration s, listen count, genre; each (artist, title) once, most heard first."""
    artists = list(_artists(chance))
    popularity = [1 / (rank + 3) ** 0.5 for rank in range(len(artists))]
    seen: set[tuple[str, str]] = set()
    while len(seen) < SONGS:
        artist, genre = chance.choices(artists, popularity)[0]
        title = _title(chance)
        if (artist, title) in seen:
            continue
        seen.add((artist, title))
        track = "TR" + "".join(chance.choices(_LETTERS, k=16))
        mean = _GENRES[genre][1]
        duration = round(max(45.0, chance.gauss(mean, mean * 0.25)), 5)
        count = max(1, round(_MOST_LISTENS / len(seen) ** _DECAY))
        yield f"{track}\t{artist}\t{title}\t{duration}\t{count}\t{genre}"


def _artists(chance: random.Random) -> Iterator[tuple[str, str]]:
    genres, shares = list(_GENRES), [share for share, _ in _GENRES.values()]
    names: set[str] = set()
    while len(names) < _ARTISTS:
        name = chance.choice((_band, _soloist))(chance)
        if name not in names:
            names.add(name)
            yield name, chance.choices(genres, shares)[0]


def _band(chance: random.Random) -> str:
    article = chance.choice(("", "", "The "))
    return f"{article}{chance.choice(_FIRST)} {chance.choice(_SECOND)}"


def _soloist(chance: random.Random) -> str:
    return f"{chance.choice(_SOLO_FIRST)} {chance.choice(_SOLO_LAST).replace('_', ' ')}"


def _title(chance: random.Random) -> str:
    title = chance.choice(_PATTERNS).format(
        noun=chance.choice(_NOUNS),
        other=chance.choice(_NOUNS),
        verb=chance.choice(_VERBS),
        place=chance.choice(_PLACES),
        adjective=chance.choice(_FIRST),
        number=chance.randrange(1, 30),
    )
    return title + chance.choice(_VERSIONS)
