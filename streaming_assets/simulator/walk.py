"""The walk: every user's steps through the state machine, by columns, up to a given time.

All users that have an event before that time take one step each, then those that still have one take the
next, and so on. What a user does depends on the user's own random stream alone, so any sequence of times, and any
division of the users, gives the same steps once they are put in the order of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from streaming_assets.simulator.catalogue import Pool
from streaming_assets.simulator.clock import LAST_SECOND, Clock
from streaming_assets.simulator.machine import AD_PAGE, GUEST, SONG_PAGE, Machine
from streaming_assets.simulator.randomness import exponential, uniforms
from streaming_assets.simulator.users import NEVER, NO_SONG_END, YEAR, Columns, People
from streaming_assets.simulator.weighted import AliasTable

AD_VALUES = 6
ORDINAL_BITS = 30

# What a user's draws at one count are for; those that come together are made together.
_NEXT, _GAP, _PICK, _SESSION, _ACCEPT, _LEAVE = range(6)
_OF_A_STEP, _OF_A_SESSION = slice(_NEXT, _PICK + 1), slice(_SESSION, _ACCEPT + 1)


@dataclass(frozen=True)
class Steps:
    """Events; arrays of one length but `people`. Those of each user are in sequence.

    Attributes:
        people: the users that the events belong to; not each of them need have one.
        who: index in `people`.
        time: seconds since 1970.
        node: the machine's node.
        session, item, detail: as in Columns.
        introduces: the event is the user's first that shows who it is, so it comes with a user_info.
    """

    people: People
    who: NDArray[np.int64]
    time: NDArray[np.int64]
    node: NDArray[np.int32]
    session: NDArray[np.int32]
    item: NDArray[np.int32]
    detail: NDArray[np.int32]
    introduces: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time)


class Songs:
    """Which song comes next, and how long each lasts."""

    def __init__(self, pool: Pool, similar: dict[int, list[int]]) -> None:
        self.seconds = np.array([int(duration) for _, _, duration in pool.rows], dtype=np.int64)
        self._table = AliasTable(pool.weights)
        self._similar = bool(similar)
        if similar:
            weights = np.asarray(pool.weights)
            chosen = [[s for s in similar.get(song, ()) if weights[s] > 0] for song in range(len(pool.rows))]
            self._neighbours = np.array([s for near in chosen for s in near], dtype=np.int32)
            self._reach = np.concatenate(([0.0], np.cumsum(weights[self._neighbours])))
            self._bounds = np.concatenate(([0], np.cumsum([len(near) for near in chosen])))

    def pick(self, previous: NDArray[np.int32], uniform: NDArray[np.float64]) -> NDArray[np.int32]:
        """A song after each `previous` (-1: none), by listen count, among its similar songs if it has any."""
        picked = self._table.draw(uniform)
        if self._similar:
            low, high = self._bounds[previous], self._bounds[previous + 1]
            near = (previous >= 0) & (high > low)
            bottom, top = self._reach[low[near]], self._reach[high[near]]
            target = bottom + uniform[near] * (top - bottom)
            found = np.searchsorted(self._reach, target, side="right") - 1
            picked[near] = self._neighbours[np.minimum(found, high[near] - 1)]
        return picked


class Walk:
    """Moves users on. `attrition` is the yearly rate at which users leave for good, between sessions."""

    def __init__(self, machine: Machine, clock: Clock, songs: Songs, attrition: float) -> None:
        self._machine, self._clock, self._songs, self._attrition = machine, clock, songs, attrition
        self.is_end = machine.flags(lambda node: node.is_end)
        self._is_last = machine.flags(lambda node: node.is_last)
        self._is_song = machine.flags(lambda node: node.state.page == SONG_PAGE)
        self._is_ad = machine.flags(lambda node: node.state.page == AD_PAGE)
        self._waits = self._is_song | self._is_ad
        self._at_once = machine.flags(lambda node: node.is_end or node.is_redirect)
        self._shows = machine.flags(lambda node: not node.is_end and node.state.auth != GUEST)
        self._has_ads = bool(self._is_ad.any())

    def plan_first_sessions(self, users: Columns, joined: NDArray[np.int64], initial: bool) -> None:
        """Give users who stand before their first session its start and entry state.

        Initial users have been about for a while: their first session is the first of a sequence from two mean
        gaps before they joined that is no earlier than one. Newcomers come after they have joined.
        """
        gap = np.floor(users.beta).astype(np.int64) if initial else 0
        starts, least = joined - 2 * gap, joined - gap
        rows = np.arange(len(users))
        while len(rows):
            starts[rows] = self._next_session(users, rows, starts[rows])
            rows = rows[starts[rows] < least[rows]]
        count = users.count.copy()
        users.count += np.uint64(1)
        users.session += 1
        following, _, pick = uniforms(users.key, count, _OF_A_STEP)
        nodes = self._machine.next_nodes(users.node, following)
        self._arrive(users, np.arange(len(users)), pick, nodes, starts)

    def advance(self, users: Columns, until: int, introductions_only: bool = False) -> Steps:
        """Take every step before `until` (seconds since 1970), and return them, in no order across users.

        Args:
            users: moved on in place.
            until: steps at or after it are not taken.
            introductions_only: return only the steps that introduce a user (of a time before the start).
        """
        active = np.flatnonzero(users.due < until)
        crowd = users.take(active)
        who = np.arange(len(active))
        rounds = [self._step(crowd, who[:0])]  # so that there is one
        while len(who):
            taken = self._step(crowd, who)
            if introductions_only:
                taken = tuple(column[taken[-1]] for column in taken)
            rounds.append(taken)
            who = who[crowd.due[who] < until]
        users.put(active, crowd)
        return Steps(crowd.people(), *(np.concatenate(column) for column in zip(*rounds, strict=True)))

    def _step(self, users: Columns, rows: NDArray[np.int64]) -> tuple[NDArray, ...]:
        """Take one step of each row; what is returned is Steps' columns from `who` to `introduces`."""
        node, time = users.node[rows], users.due[rows]
        session, item, detail = users.session[rows], users.item[rows], users.detail[rows]
        introduces = self._shows[node] & ~users.known[rows]
        users.known[rows[introduces]] = True

        key, count = users.key[rows], users.count[rows]
        users.count[rows] = count + np.uint64(1)
        way, gap, pick = uniforms(key, count, _OF_A_STEP)
        following = self._machine.next_nodes(node, way)
        due = exponential(users.alpha[rows], gap).astype(np.int64)
        due += time
        np.copyto(due, time + 1, where=self._at_once[following])
        self._wait_for_song(due, time, users.song_end[rows], following)
        users.item[rows] = item + 1

        over = np.flatnonzero(self.is_end[node])
        if len(over):
            ended, since = rows[over], time[over]
            starts = self._next_session(users, ended, since.copy())
            leaves = self._is_last[node[over]]
            if self._attrition:
                away = np.minimum(starts - since, LAST_SECOND) / YEAR
                leaves |= uniforms(key[over], count[over], _LEAVE) < -np.expm1(-self._attrition * away)
            starts[leaves] = NEVER
            due[over] = starts
            users.session[ended] += 1
            users.item[ended] = 0
            users.song[ended] = -1
            users.song_end[ended] = NO_SONG_END
        self._arrive(users, rows, pick, following, due)
        return rows, time, node, session, item, detail, introduces

    def _wait_for_song(
        self,
        due: NDArray[np.int64],
        time: NDArray[np.int64],
        song_end: NDArray[np.int64],
        following: NDArray[np.int32],
    ) -> None:
        """The next song, and an advertisement, come when the song that plays is over."""
        playing = song_end > time
        np.copyto(due, song_end, where=playing & self._waits[following])
        if self._has_ads:
            np.copyto(due, time, where=self._is_ad[following] & ~playing & (song_end != NO_SONG_END))

    def _arrive(
        self,
        users: Columns,
        rows: NDArray[np.int64],
        pick: NDArray[np.float64],
        nodes: NDArray[np.int32],
        due: NDArray[np.int64],
    ) -> None:
        """Set the rows' next event, with the song or advertisement that it brings, by `pick` in [0, 1)."""
        users.node[rows] = nodes
        users.due[rows] = due
        songs = np.flatnonzero(self._is_song[nodes])
        listeners = rows[songs]
        picked = self._songs.pick(users.song[listeners], pick[songs])
        users.song[listeners] = picked
        users.detail[listeners] = picked
        users.song_end[listeners] = due[songs] + self._songs.seconds[picked]
        if self._has_ads:
            ads = np.flatnonzero(self._is_ad[nodes])
            users.detail[rows[ads]] = (pick[ads] * AD_VALUES).astype(np.int32)

    def _next_session(
        self, users: Columns, rows: NDArray[np.int64], after: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """When each row's next session starts, after the times `after` (which are used up)."""
        waiting = np.arange(len(rows))
        while len(waiting):
            planners, now = rows[waiting], after[waiting]
            key, count = users.key[planners], users.count[planners]
            users.count[planners] = count + np.uint64(1)
            wait, accept = uniforms(key, count, _OF_A_SESSION)
            gap = exponential(users.beta[planners], wait)
            gap = np.minimum(gap, LAST_SECOND).astype(np.int64) + self._clock.session_gap
            planned = self._clock.warp(now + gap)
            back = planned < now
            happens = accept >= self._clock.rejection(planned)
            beyond = planned >= LAST_SECOND
            planned[beyond] = NEVER
            after[waiting] = np.where(back, now + self._clock.session_gap, planned)
            waiting = waiting[~(happens & ~back | beyond)]
        return after


def in_order(parts: Sequence[Steps]) -> Steps:
    """All steps in the order of time, then of user, then of their sequence. Each user's steps are in one part."""
    people = People.join([part.people for part in parts])
    first = np.cumsum([0, *(len(part.people) for part in parts)])
    who = np.concatenate([part.who + base for part, base in zip(parts, first, strict=False)])
    time = np.concatenate([part.time for part in parts])
    order = np.argsort((time << ORDINAL_BITS) | people.ordinal[who], kind="stable")
    names = [field.name for field in fields(Steps)][3:]
    rest = (np.concatenate([getattr(part, name) for part in parts])[order] for name in names)
    return Steps(people, who[order], time[order], *rest)
