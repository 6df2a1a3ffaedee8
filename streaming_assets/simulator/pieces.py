"""The ready-made pieces of JSON that events are put together from: of each node, song, place, agent and name."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from streaming_assets.simulator import arrow
from streaming_assets.simulator.catalogue import Catalogue
from streaming_assets.simulator.machine import LOGGED_IN, Machine
from streaming_assets.simulator.walk import AD_VALUES

_LEAST_AD_VALUE = 5  # thousandths of a dollar


class Pieces:
    """An array of texts, taken by index."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = arrow.texts(texts)

    def __getitem__(self, index: NDArray[np.integer]) -> pa.StringArray:
        return self._texts.take(arrow.numbers(index))


class NodePieces:
    """By the machine's node. Each piece begins with its comma; those up to the item end before its number."""

    def __init__(self, machine: Machine, tag: str, close: str) -> None:
        nodes = machine.nodes
        states = [node.state for node in nodes]
        item = ',"itemInSession":'
        self.page = Pieces(
            f',"page":{as_json(s.page)},"auth":{as_json(s.auth)},"method":{as_json(s.method)}'
            f',"status":{s.status},"level":{as_json(s.level)}{item}'
            for s in states
        )
        self.auth_level = Pieces(
            f',"auth":{as_json(s.auth)},"level":{as_json(s.level)}{item}' for s in states
        )
        self.level = Pieces(f',"level":{as_json(s.level)}{item}' for s in states)
        self.last_level = Pieces(f',"level":{as_json(s.level)}{tag}{close}' for s in states)
        self.success = Pieces(f',"success":{as_json(s.auth == LOGGED_IN)}{close}' for s in states)
        self.is_end = Pieces(f',"auth":{as_json(n.state.auth)},"isEnd":{as_json(n.is_end)}' for n in nodes)


class PoolPieces:
    """By index in the catalogue's pools; the song's piece opens its event."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.song = Pieces(
            f'{{"artist":{as_json(artist)},"song":{as_json(title)},"duration":{np.float32(duration)!s},"ts":'
            for artist, title, duration in catalogue.songs.rows
        )
        self.place = Pieces(
            f',"city":{as_json(city)},"zip":{as_json(code)},"state":{as_json(state)},"userAgent":'
            for city, state, code, _, _ in catalogue.places.rows
        )
        self.coordinates = Pieces(
            f',"lon":{as_json(lon)},"lat":{as_json(lat)}' for *_, lon, lat in catalogue.places.rows
        )
        self.agent = Pieces(as_json(agent) for (agent,) in catalogue.user_agents.rows)
        self.surname = Pieces(f',"lastName":{as_json(name)}' for (name,) in catalogue.surnames.rows)
        self.first_name = Pieces(
            f',"firstName":{as_json(name)},"gender":{as_json(sex)},"registration":'
            for name, sex in catalogue.first_names.rows
        )


def ad_values(close: str) -> Pieces:
    """The end of a page view: by 0, none; by 1 to 6, the advertisement's value in dollars."""
    values = ((_LEAST_AD_VALUE + value) / 1000 for value in range(AD_VALUES))
    return Pieces([close, *(f',"ad_revenue":{value}{close}' for value in values)])


def as_json(value: Any) -> str:
    """The value as JSON, UTF-8."""
    return orjson.dumps(value).decode()
