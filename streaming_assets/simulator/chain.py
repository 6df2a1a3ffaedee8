"""What a configuration leads to, solved exactly: the state machine as an absorbing Markov chain.

From an entry state a session walks until it ends; with P the moves among pages, the fundamental matrix
(I - P)^-1 holds how often each page is visited, and with it follow all expectations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from streaming_assets.simulator.clock import DAY, Clock
from streaming_assets.simulator.config import Config
from streaming_assets.simulator.machine import Group, Machine, Node, compile_machine

_WEEK = 7 * DAY
_MONDAY = 4 * DAY  # a Monday, seconds since 1970


@dataclass(frozen=True)
class Session:
    """Expectations of one session that begins in a group.

    Attributes:
        events: page views.
        pages: visits by page name.
        touches: by page name, the probability of at least one visit.
        one_event: probability that the session has one event only.
        ends: by the group in which it ends, the probability.
    """

    events: float
    pages: Mapping[str, float]
    touches: Mapping[str, float]
    one_event: float
    ends: Mapping[Group, float]


class Chain:
    """The solved chain of a valid configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.machine: Machine = compile_machine(config)
        size = len(self.machine.nodes)
        moves = np.zeros((size, size))
        for source, ways in enumerate(self.machine.exits):
            for dest, p in ways:
                moves[source, dest] += p
        self._pages = ~self.machine.flags(lambda node: node.is_end)
        self._moves = moves
        inner = moves[np.ix_(self._pages, self._pages)]
        self._visits = np.linalg.inv(np.eye(len(inner)) - inner)  # from page node to page node
        self._page_nodes = np.flatnonzero(self._pages)

    def groups(self) -> list[Group]:
        """The groups in which sessions begin."""
        return [group for group, end in self.machine.ends.items() if not self.machine.nodes[end].is_last]

    def session(self, group: Group) -> Session:
        """A session that begins in `group` (auth, level)."""
        entry = self._moves[self.machine.ends[group]][self._pages]
        visits = entry @ self._visits
        nodes = [self.machine.nodes[number] for number in self._page_nodes]
        pages: dict[str, float] = {}
        for node, count in zip(nodes, visits, strict=True):
            pages[node.state.page] = pages.get(node.state.page, 0.0) + float(count)
        ends = {
            end_group: float(visits @ self._moves[self._page_nodes, end])
            for end_group, end in self.machine.ends.items()
        }
        closing = self._moves[np.ix_(self._pages, ~self._pages)].sum(axis=1)
        return Session(
            events=float(visits.sum()),
            pages=pages,
            touches={page: self._touches(entry, lambda n, page=page: n.state.page == page) for page in pages},
            one_event=float(entry @ closing),
            ends=ends,
        )

    def initial_mix(self) -> dict[Group, float]:
        """Shares of the initial users by group."""
        auths, levels = dict(self.config.auths), dict(self.config.levels)
        total = sum(auths.values()) * sum(levels.values())
        return {
            (auth, level): a * b / total for auth, a in auths.items() for level, b in levels.items() if a * b
        }

    def later_mix(self) -> dict[Group, float]:
        """Shares of the groups in which the sessions of users who have been there for long begin.

        The quasi-stationary law: of the users who have not left, whatever they began as.
        """
        groups = self.groups()
        turnover = np.array([[self.session(g).ends.get(h, 0.0) for h in groups] for g in groups])
        values, vectors = np.linalg.eig(turnover.T)
        law = np.abs(np.real(vectors[:, np.argmax(np.real(values))]))
        return dict(zip(groups, (law / law.sum()).tolist(), strict=True))

    def mean(self, mix: Mapping[Group, float], value: Callable[[Session], float]) -> float:
        """The mean of a session's value over sessions that begin by `mix`."""
        return sum(share * value(self.session(group)) for group, share in mix.items())

    def _touches(self, entry: NDArray[np.float64], chosen: Callable[[Node], bool]) -> float:
        """The probability of a visit to one of the chosen nodes: that of being absorbed there."""
        target = np.array([chosen(self.machine.nodes[number]) for number in self._page_nodes])
        inner = self._moves[np.ix_(self._page_nodes, self._page_nodes)]
        rest = ~target
        hit = np.linalg.solve(
            np.eye(int(rest.sum())) - inner[np.ix_(rest, rest)], inner[np.ix_(rest, target)].sum(axis=1)
        )
        return float(entry[target].sum() + entry[rest] @ hit)


def acceptance(config: Config) -> float:
    """The share of planned sessions that happen, over a week without holidays.

    Candidates come evenly over the week but for the daily warp.
    """
    clock = Clock(config.rhythm)
    second = np.arange(_MONDAY, _MONDAY + _WEEK, 60)
    return float(1.0 - clock.rejection(clock.warp(second)).mean())


def sessions_a_week(config: Config) -> float:
    """Sessions that an average user starts in a week without holidays, sessions themselves taken as short.

    The mean of the users' rates; each has a mean gap of its own, log-normal with mean beta.
    """
    quantiles = (np.arange(10_000) + 0.5) / 10_000
    normal = np.array([NormalDist().inv_cdf(q) for q in quantiles])
    gaps = config.beta * np.exp(normal - 0.5) + config.rhythm.session_gap
    return float((acceptance(config) * _WEEK / gaps).mean())
