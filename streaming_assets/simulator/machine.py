"""The state machine of a configuration, compiled into arrays that the walk indexes by state.

Besides the configuration's states it has two kinds of its own: the end of a session, one for each (auth, level)
that a session can end in, whose ways out are the entry states of the next session; and a twin of each state
that Login leads to, which is the same but announces the login.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming_assets.simulator.config import Config, State
from streaming_assets.simulator.weighted import AliasRows

SONG_PAGE = "NextSong"
AD_PAGE = "PlayAd"
LOGIN_PAGE = "Login"
STATUS_CHANGE_PAGES = ("Submit Upgrade", "Submit Downgrade")
LOGGED_IN = "Logged In"
GUEST = "Guest"

Group = tuple[str, str]  # (auth, level)


@dataclass(frozen=True)
class Node:
    """One state of the compiled machine.

    Attributes:
        state: the page, or of an end, the group it ends in (page '').
        is_end: the session is over.
        is_last: it is over for good: the user has churned, or no session can begin in this group.
        logs_in: the state was reached from Login.
    """

    state: State
    is_end: bool = False
    is_last: bool = False
    logs_in: bool = False

    @property
    def is_redirect(self) -> bool:
        return not self.is_end and 300 <= self.state.status <= 398


@dataclass(frozen=True)
class Machine:
    """The compiled machine: nodes, where each leads (probabilities sum to 1), and flags by node number."""

    nodes: tuple[Node, ...]
    exits: tuple[tuple[tuple[int, float], ...], ...]
    ends: dict[Group, int]
    rows: AliasRows
    targets: NDArray[np.int32]  # [row, column of the alias rows] flattened -> node
    width: int

    def flags(self, predicate) -> NDArray[np.bool_]:
        """The predicate of each node, as an array."""
        return np.array([predicate(node) for node in self.nodes], dtype=bool)

    def next_nodes(self, nodes: NDArray[np.integer], uniform: NDArray[np.float64]) -> NDArray[np.int32]:
        """Where each goes next, by its own uniform in [0, 1)."""
        column = self.rows.draw(nodes, uniform)
        column += nodes * np.int32(self.width)
        return self.targets[column]


def compile_machine(config: Config) -> Machine:
    """Compile a valid configuration. A pair that is listed twice counts with the sum of its probabilities."""
    exits: dict[State, dict[State, float]] = defaultdict(dict)
    for transition in config.transitions:
        ways = exits[transition.source]
        ways[transition.dest] = ways.get(transition.dest, 0.0) + transition.p
        exits.setdefault(transition.dest, {})
    entries: dict[Group, list[tuple[State, float]]] = defaultdict(list)
    for entry in config.entries:
        exits.setdefault(entry.state, {})
        if entry.weight > 0:
            entries[entry.state.auth, entry.state.level].append((entry.state, entry.weight))
    starts = {(auth, level) for auth, _ in config.auths for level, _ in config.levels}
    starts.add((config.new_user_auth, config.new_user_level))

    numbers: dict[Node, int] = {}

    def number(node: Node) -> int:
        return numbers.setdefault(node, len(numbers))

    def end_of(group: Group) -> Node:
        last = group[0] == config.churned_state or group not in entries
        return Node(State("", "", 0, *group), is_end=True, is_last=last)

    for state in exits:
        number(Node(state))
    for state in exits:
        if state.page == LOGIN_PAGE:
            for dest in exits[state]:
                number(Node(dest, logs_in=True))
    for group in sorted({(state.auth, state.level) for state in exits} | starts):
        number(end_of(group))

    ways_out: list[tuple[tuple[int, float], ...]] = []
    for node in numbers:
        group = (node.state.auth, node.state.level)
        if node.is_end:
            total = sum(weight for _, weight in entries.get(group, []))
            ways = [(Node(state), weight / total) for state, weight in entries.get(group, [])]
            ways = ways or [(node, 1.0)]
        else:
            logs_in = node.state.page == LOGIN_PAGE
            ways = [(Node(dest, logs_in=logs_in), p) for dest, p in exits[node.state].items()]
            rest = 1.0 - sum(p for _, p in ways)
            if rest > 1e-9 or not ways:
                ways.append((end_of(group), max(rest, 0.0)))
        ways_out.append(tuple((numbers[dest], p) for dest, p in ways))

    width = max(len(ways) for ways in ways_out)
    targets = np.zeros((len(numbers), width), dtype=np.int32)
    for row, ways in enumerate(ways_out):
        targets[row, : len(ways)] = [dest for dest, _ in ways]
    rows = AliasRows([np.array([p for _, p in ways]) for ways in ways_out])
    ends = {(node.state.auth, node.state.level): number for node, number in numbers.items() if node.is_end}
    return Machine(tuple(numbers), tuple(ways_out), ends, rows, targets.reshape(-1), width)
