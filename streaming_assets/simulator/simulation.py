"""One simulation: all that determines its events, and a process's share in making them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from streaming_assets.simulator.catalogue import Files, load_catalogue
from streaming_assets.simulator.clock import Clock
from streaming_assets.simulator.config import Config
from streaming_assets.simulator.machine import compile_machine
from streaming_assets.simulator.render import Lines, Renderer
from streaming_assets.simulator.users import NEVER, Arrivals, Columns, UserMaker
from streaming_assets.simulator.walk import ORDINAL_BITS, Songs, Steps, Walk, in_order

INTRODUCTIONS = "user_info"  # the one topic that has events from before the start
MAX_USERS = 2**ORDINAL_BITS - 1


@dataclass(frozen=True)
class Plan:
    """What determines a simulation's events.

    Attributes:
        users: how many there are at the start.
        growth: yearly rate at which users join, per user.
        attrition: yearly rate at which a user leaves for good.
        start: milliseconds since 1970.
        first_user_id: the first user's id is one more.
    """

    config: Config
    files: Files
    users: int
    growth: float
    attrition: float
    seed: int
    start: int
    first_user_id: int
    tag: str | None

    @property
    def start_second(self) -> int:
        return self.start // 1000

    def second(self, moment: int) -> int:
        """The first second whose events are at or after `moment` (ms since 1970)."""
        return -((self.start % 1000 - moment) // 1000)

    def digest(self) -> str:
        """A short name for all of the plan and the files' content: plans with the same one make the same events."""
        parts: list[object] = [self.config.text, self.users, self.growth, self.attrition, self.seed]
        parts += [self.start, self.first_user_id, self.tag]
        hashed = hashlib.sha256(repr(parts).encode())
        for field in fields(self.files):
            path = getattr(self.files, field.name)
            hashed.update(path.read_bytes() if path else b"")
        return hashed.hexdigest()[:8]


@dataclass(frozen=True)
class Batch:
    """The events of a window of time.

    Attributes:
        until: the window's end, seconds since 1970, exclusive; it begins where the batch before ended.
        rendered: whether the window's events were wanted, not only their number.
        lines: each topic's events in the order of time, if rendered and not written yet; topics without any are
            left out.
        counts: how many events each topic has in the window.
        steps: how many steps the users took.
    """

    until: int
    rendered: bool
    lines: Mapping[str, Lines]
    counts: Mapping[str, int]
    steps: int


class Share:
    """The users of one process (every `of`-th), and all that it takes to write events of anybody's steps.

    Raises:
        CatalogueError: a data file can't be used.
    """

    def __init__(self, plan: Plan, topics: Sequence[str], line_end: str, rank: int = 0, of: int = 1) -> None:
        config, catalogue = plan.config, load_catalogue(plan.files)
        self._plan, self._topics, self._rank, self._of = plan, tuple(topics), rank, of
        machine = compile_machine(config)
        songs = Songs(catalogue.songs, catalogue.similar)
        self.walk = Walk(machine, Clock(config.rhythm), songs, plan.attrition)
        self._renderer = Renderer(
            machine,
            catalogue,
            config.show,
            plan.first_user_id,
            plan.start % 1000,
            plan.tag,
            line_end,
        )
        start = plan.start_second
        self._maker = UserMaker(config, machine, catalogue, plan.seed, start, plan.growth)
        self.users = self._maker.make(np.arange(rank + 1, plan.users + 1, of), newcomers=False)
        self.walk.plan_first_sessions(self.users, np.full(len(self.users), start), initial=True)
        self._arrivals = Arrivals(plan.users, plan.growth, plan.seed, start)
        self._next_arrival = start if plan.growth > 0 else int(NEVER)

    def advance(self, until: int) -> Steps:
        """This process's users take all steps before `until` (seconds since 1970)."""
        while self._next_arrival < until:
            self._welcome()
        return self.walk.advance(self.users, until, self._is_past(until))

    def batch(self, until: int, parts: Sequence[Steps], render: bool) -> Batch:
        """The events of all processes' steps up to `until`."""
        topics = [t for t in self._topics if t == INTRODUCTIONS or not self._is_past(until)]
        steps = in_order(parts)
        lines = self._renderer.render(steps, topics) if render else {}
        return Batch(until, render, lines, self._renderer.counts(steps, topics), len(steps))

    def _is_past(self, until: int) -> bool:
        """Whether that is the time before the start, of which only user_info is of interest."""
        return until <= self._plan.start_second

    def _welcome(self) -> None:
        ordinals, joined = self._arrivals.next_block()
        self._next_arrival = int(joined[-1])
        if ordinals[-1] > MAX_USERS:
            raise OverflowError(f"the site has grown past {MAX_USERS:,} users; end the simulation earlier")
        mine = slice((self._rank + 1 - int(ordinals[0])) % self._of, None, self._of)
        newcomers: Columns = self._maker.make(ordinals[mine], newcomers=True)
        self.walk.plan_first_sessions(newcomers, joined[mine].copy(), initial=False)
        self.users.append(newcomers)
