"""The users: what is drawn once for each, and where each is in the walk, as columns that grow with the site."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from streaming_assets.simulator.catalogue import Catalogue
from streaming_assets.simulator.config import Config
from streaming_assets.simulator.machine import Machine
from streaming_assets.simulator.randomness import exponential, stream_keys, uniforms
from streaming_assets.simulator.weighted import AliasTable

YEAR = 31_557_600  # seconds
OLDEST_REGISTRATION = 157_788_000  # seconds before the start, five years
NEVER = np.int64(2**62)
NO_SONG_END = np.int64(-(2**62))

_MOVING = ("count", "due", "node", "session", "item", "song", "song_end", "detail", "known")
_TRAITS, _WALK = 1, 2  # streams of randomness


@dataclass(frozen=True)
class People:
    """What events tell of users: the columns below that never change."""

    ordinal: NDArray[np.int64]
    place: NDArray[np.int32]
    agent: NDArray[np.int32]
    first_name: NDArray[np.int32]
    surname: NDArray[np.int32]
    registration: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ordinal)

    def take(self, rows: NDArray[np.bool_]) -> "People":
        """Some rows."""
        return People(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @staticmethod
    def join(parts: Sequence["People"]) -> "People":
        """All rows, one part after the other."""
        return People(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(People)
            }
        )


@dataclass
class Columns:
    """One row a user, in the order of their ordinals (1 is the first user of the site).

    Attributes:
        ordinal: position among all users, from 1, on whatever process they live.
        alpha, beta: the user's mean seconds between events and between sessions.
        place, agent, first_name, surname: indices in the catalogue's pools.
        registration: seconds since 1970.
        key, count: the user's random stream, and how far it is.
        due: when the user's next event is, seconds since 1970; NEVER if there is none.
        node: the machine's node at that event.
        session, item: sessions before this one, and the event's number in the session.
        song, song_end: the song that plays or played last (-1: none), and when it is over.
        detail: of the next event, the song (on the song page) or the advertisement's value (0 to 5).
        known: the user's user_info has been written.
    """

    ordinal: NDArray[np.int64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    place: NDArray[np.int32]
    agent: NDArray[np.int32]
    first_name: NDArray[np.int32]
    surname: NDArray[np.int32]
    registration: NDArray[np.int64]
    key: NDArray[np.uint64]
    count: NDArray[np.uint64]
    due: NDArray[np.int64]
    node: NDArray[np.int32]
    session: NDArray[np.int32]
    item: NDArray[np.int32]
    song: NDArray[np.int32]
    song_end: NDArray[np.int64]
    detail: NDArray[np.int32]
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ordinal)

    def take(self, rows: NDArray[np.int64]) -> "Columns":
        """A copy of some rows."""
        return Columns(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def people(self) -> People:
        """Who they are."""
        return People(**{field.name: getattr(self, field.name) for field in fields(People)})

    def put(self, rows: NDArray[np.int64], changed: "Columns") -> None:
        """Write back what the walk has changed in a copy of some rows."""
        for name in _MOVING:
            getattr(self, name)[rows] = getattr(changed, name)

    def append(self, other: "Columns") -> None:
        """Add the rows of `other`."""
        for field in fields(self):
            joined = np.concatenate((getattr(self, field.name), getattr(other, field.name)))
            setattr(self, field.name, joined)


class UserMaker:
    """Makes users by ordinal; the same ordinal gives the same user in every run with the seed."""

    def __init__(
        self, config: Config, machine: Machine, catalogue: Catalogue, seed: int, start: int, growth: float
    ) -> None:
        self._seed, self._start, self._growth = seed, start, growth
        self._alpha, self._beta = config.alpha, config.beta
        self._pools = {
            "first_name": AliasTable(catalogue.first_names.weights),
            "surname": AliasTable(catalogue.surnames.weights),
            "place": AliasTable(catalogue.places.weights),
            "agent": AliasTable(catalogue.user_agents.weights),
        }
        self._auths = AliasTable([weight for _, weight in config.auths])
        self._levels = AliasTable([weight for _, weight in config.levels])
        self._ends = np.array(
            [[machine.ends[auth, level] for level, _ in config.levels] for auth, _ in config.auths],
            dtype=np.int32,
        )
        self._newcomers_end = machine.ends[config.new_user_auth, config.new_user_level]

    def make(self, ordinals: NDArray[np.int64], newcomers: bool) -> Columns:
        """Users whose first session is still to be planned: each stands at the end of one before it.

        Args:
            ordinals: which users.
            newcomers: they join during the run, in the state of new users; else they are the initial ones.
        """
        keys = stream_keys(self._seed, _TRAITS, ordinals)

        def trait(number: int) -> NDArray[np.float64]:
            return uniforms(keys, 0, number)

        radius = np.sqrt(2.0 * exponential(1.0, trait(0)))
        angle = 2 * np.pi * trait(1)
        factor_alpha = np.exp(radius * np.cos(angle) - 0.5)  # log-normal of mean 1
        factor_beta = np.exp(radius * np.sin(angle) - 0.5)
        if newcomers:
            node = np.full(len(keys), self._newcomers_end, dtype=np.int32)
        else:
            node = self._ends[self._auths.draw(trait(2)), self._levels.draw(trait(3))]
        age = exponential(self._growth * YEAR, uniforms(keys, 1, 0))
        pools = {
            name: table.draw(uniforms(keys, 1, number))
            for number, (name, table) in enumerate(self._pools.items(), start=1)
        }
        n = len(keys)
        return Columns(
            ordinal=ordinals.astype(np.int64),
            alpha=self._alpha * factor_alpha,
            beta=self._beta * factor_beta,
            **pools,
            registration=self._start - np.minimum(age, OLDEST_REGISTRATION).astype(np.int64),
            key=stream_keys(self._seed, _WALK, ordinals),
            count=np.zeros(n, dtype=np.uint64),
            due=np.full(n, NEVER),
            node=node,
            session=np.full(n, -1, dtype=np.int32),
            item=np.zeros(n, dtype=np.int32),
            song=np.full(n, -1, dtype=np.int32),
            song_end=np.full(n, NO_SONG_END),
            detail=np.full(n, -1, dtype=np.int32),
            known=np.zeros(n, dtype=bool),
        )


class Arrivals:
    """When users join: a site of N users grows by N times the yearly rate.

    Ordinals come in blocks whose bounds depend on the initial number alone, so that every process that asks
    gets the same times.
    """

    _LEAST_BLOCK = 1024

    def __init__(self, initial: int, growth: float, seed: int, start: int) -> None:
        self._users, self._growth, self._seed = initial, growth, seed
        self._time = float(start)

    def next_block(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(ordinals, joining times in seconds since 1970) of the users who join next."""
        size = max(self._LEAST_BLOCK, self._users // 16)
        ordinals = np.arange(self._users + 1, self._users + size + 1)
        keys = stream_keys(self._seed, _TRAITS, ordinals)
        gaps = exponential(1.0, uniforms(keys, 1, 7)) * YEAR / ((ordinals - 1) * self._growth)
        times = self._time + np.cumsum(gaps)
        self._users += size
        self._time = float(times[-1])
        return ordinals, np.minimum(times, float(NEVER)).astype(np.int64)
