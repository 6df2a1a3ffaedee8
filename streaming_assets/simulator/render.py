"""The events as JSON lines, a topic at a time, with exactly eventsim's fields in its order.

Lines are joined from a few numbers and ready-made pieces by Arrow's string kernels: no event is ever a Python
object, and a topic's lines lie one after the other in one buffer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming_assets.simulator import arrow
from streaming_assets.simulator.catalogue import Catalogue
from streaming_assets.simulator.machine import AD_PAGE, SONG_PAGE, STATUS_CHANGE_PAGES, Machine
from streaming_assets.simulator.pieces import NodePieces, PoolPieces, ad_values, as_json
from streaming_assets.simulator.walk import Steps

SESSION_STRIDE = 10**9  # a user's next session has the id of the one before plus this
_OPEN = '{"ts":'
_SESSION = ',"sessionId":'


@dataclass(frozen=True)
class Lines:
    """Events of one topic in the order of time.

    Attributes:
        time: milliseconds since 1970.
        text: one JSON object each, as Arrow strings, with the renderer's line end.
    """

    time: NDArray[np.int64]
    text: pa.StringArray

    def __len__(self) -> int:
        return len(self.time)


class Topics:
    """Which of the machine's nodes each topic reports."""

    def __init__(self, machine: Machine) -> None:
        self._views = machine.flags(lambda node: not node.is_end)
        self._ends = machine.flags(lambda node: node.is_end and not node.is_last)
        self._nodes = {
            "page_view_events": self._views,
            "listen_events": machine.flags(lambda node: node.state.page == SONG_PAGE),
            "status_change_events": machine.flags(lambda node: node.state.page in STATUS_CHANGE_PAGES),
            "auth_events": machine.flags(lambda node: node.logs_in),
        }

    def rows(self, topic: str, steps: Steps) -> NDArray[np.int64]:
        """Which steps are events of the topic."""
        if topic == "user_info":
            chosen = steps.introduces
        elif topic == "session_start_end_events":
            chosen = (self._views[steps.node] & (steps.item == 0)) | self._ends[steps.node]
        else:
            chosen = self._nodes[topic][steps.node]
        return np.flatnonzero(chosen)


class Renderer:
    """Renders steps of the users of one machine and catalogue.

    Args:
        show: by auth, whether an event says whose it is.
        first_user_id: the first user's id is one more.
        milliseconds: what a time has beyond its seconds, the same in all.
        tag: a label that each event with a user carries, if any.
        line_end: what follows each object's brace.
    """

    def __init__(
        self,
        machine: Machine,
        catalogue: Catalogue,
        show: Mapping[str, bool],
        first_user_id: int,
        milliseconds: int,
        tag: str | None,
        line_end: str,
    ) -> None:
        self._select = Topics(machine)
        self._first_user_id, self._milliseconds = first_user_id, milliseconds
        self._tag = f',"tag":{as_json(tag)}' if tag else ""
        self._close = "}" + line_end
        self._nodes, self._pools = NodePieces(machine, self._tag, self._close), PoolPieces(catalogue)
        self._shown = machine.flags(lambda node: show.get(node.state.auth, False))
        self._is_ad = machine.flags(lambda node: node.state.page == AD_PAGE)
        self._ad_values = ad_values(self._close)

    def render(self, steps: Steps, topics: Sequence[str]) -> dict[str, Lines]:
        """The lines of each of `topics` that has any, of steps in the order of time."""
        crowd = _Crowd(steps, self._pools, self._first_user_id, self._milliseconds, self._tag)
        lines = {}
        for topic in topics:
            rows = self._select.rows(topic, steps)
            if not len(rows):
                continue
            time = steps.time[rows] * 1000 + self._milliseconds
            event = _Event(steps, rows, time, crowd, self._shown)
            parts = _PARTS[topic](self, event)
            lines[topic] = Lines(time, arrow.join(*parts))
        return lines

    def counts(self, steps: Steps, topics: Sequence[str]) -> dict[str, int]:
        """How many events each of `topics` has."""
        return {topic: len(self._select.rows(topic, steps)) for topic in topics}

    def _listen(self, e: "_Event") -> list[Any]:
        song, auth_level = self._pools.song[e.detail], self._nodes.auth_level[e.node]
        return [song, e.ts, _SESSION, e.session, auth_level, e.item, e.owner, self._close]

    def _page_view(self, e: "_Event") -> list[Any]:
        close = self._ad_values[np.where(self._is_ad[e.node], e.detail + 1, 0)]
        return [_OPEN, e.ts, _SESSION, e.session, self._nodes.page[e.node], e.item, e.owner, close]

    def _status_change(self, e: "_Event") -> list[Any]:
        return [
            _OPEN,
            e.ts,
            _SESSION,
            e.session,
            self._nodes.auth_level[e.node],
            e.item,
            e.owner,
            self._close,
        ]

    def _auth(self, e: "_Event") -> list[Any]:
        level, success = self._nodes.level[e.node], self._nodes.success[e.node]
        return [_OPEN, e.ts, _SESSION, e.session, level, e.item, e.owner, success]

    def _session(self, e: "_Event") -> list[Any]:
        level, is_end = self._nodes.level[e.node], self._nodes.is_end[e.node]
        return [_OPEN, e.ts, _SESSION, e.session, level, e.item, is_end, e.owner, self._close]

    def _user_info(self, e: "_Event") -> list[Any]:
        return [_OPEN, e.ts, e.person, self._nodes.last_level[e.node]]


_PARTS: dict[str, Callable[[Renderer, "_Event"], list[Any]]] = {
    "listen_events": Renderer._listen,
    "page_view_events": Renderer._page_view,
    "status_change_events": Renderer._status_change,
    "auth_events": Renderer._auth,
    "session_start_end_events": Renderer._session,
    "user_info": Renderer._user_info,
}
WRITTEN = tuple(_PARTS)  # topics; contracts say the same, but how an event is made only this module knows


class _Crowd:
    """The users that some steps belong to, with each one's pieces, made once."""

    def __init__(
        self, steps: Steps, pools: PoolPieces, first_user_id: int, milliseconds: int, tag: str
    ) -> None:
        present = np.zeros(len(steps.people), dtype=bool)
        present[steps.who] = True
        self.index = np.cumsum(present) - 1  # of steps.who among those present
        people = steps.people.take(present)
        self.ordinal = people.ordinal
        device = arrow.join(
            pools.place[people.place], pools.agent[people.agent], pools.coordinates[people.place]
        )
        self.people = arrow.join(
            ',"userId":',
            arrow.digits(self.ordinal + first_user_id),
            pools.surname[people.surname],
            pools.first_name[people.first_name],
            arrow.digits(people.registration * 1000 + milliseconds),
        )
        self.owners = pa.concat_arrays([device, arrow.join(device, self.people, tag)])


class _Event:
    """Columns of one topic's events, as text where they go into the line."""

    def __init__(
        self,
        steps: Steps,
        rows: NDArray[np.int64],
        time: NDArray[np.int64],
        crowd: _Crowd,
        shown: NDArray[np.bool_],
    ) -> None:
        self._steps, self._rows, self._crowd, self._shown = steps, rows, crowd, shown
        self._who = crowd.index[steps.who[rows]]
        self.node, self.detail = steps.node[rows], steps.detail[rows]
        self.ts = arrow.digits(time)

    @property
    def session(self) -> pa.StringArray:
        return arrow.digits(
            self._crowd.ordinal[self._who] + self._steps.session[self._rows] * np.int64(SESSION_STRIDE)
        )

    @property
    def item(self) -> pa.StringArray:
        return arrow.digits(self._steps.item[self._rows])

    @property
    def owner(self) -> pa.StringArray:
        """The device's fields, and the user's where they are shown."""
        return self._crowd.owners.take(
            arrow.numbers(self._who + len(self._crowd.ordinal) * self._shown[self.node])
        )

    @property
    def person(self) -> pa.StringArray:
        return self._crowd.people.take(arrow.numbers(self._who))
