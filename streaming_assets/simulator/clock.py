"""When users come: the daily cycle, weekends and holidays, and the next session's start.

Times are whole seconds since 1970, UTC; there are no time zones on this site.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.int64]

DAY = 86_400
MINUTE = 60
_CYCLE_START = 3 * 3600  # the cycle is at rest at 03:00 and 15:00
_FIRST_DAY = np.datetime64("1950-01-01", "D")
_LAST_DAY = np.datetime64("2240-01-01", "D")
LAST_SECOND = int(_LAST_DAY.astype(np.int64)) * DAY


@dataclass(frozen=True)
class Rhythm:
    """The site's rhythm.

    Attributes:
        damping: depth of the daily cycle; times keep their order below 1/(2 pi).
        weekend_damping: share of a free day's sessions that do not happen.
        weekend_offset: how long before a free day's midnight the ramp begins, s.
        weekend_scale: how long the ramp takes, s.
        session_gap: least time between two sessions of a user, s.
    """

    damping: float
    weekend_damping: float
    weekend_offset: int
    weekend_scale: int
    session_gap: int


class Clock:
    """The rhythm, ready for arrays of times."""

    def __init__(self, rhythm: Rhythm) -> None:
        self.session_gap = rhythm.session_gap
        self._weekend = rhythm
        second = np.arange(DAY)
        wave = np.sin(2 * np.pi * (second - _CYCLE_START) / DAY)
        self._shift = np.trunc(rhythm.damping * DAY * wave).astype(np.int64)
        self._run_start, self._run_end = _free_runs()

    def warp(self, t: Seconds) -> Seconds:
        """`t` moved towards 15:00 and away from 03:00."""
        return t + self._shift[t % DAY]

    def rejection(self, t: Seconds) -> NDArray[np.float64]:
        """The probability that a session planned for `t` does not happen: a trapezoid over each free run."""
        rhythm = self._weekend
        run = np.searchsorted(self._run_start, t + rhythm.weekend_offset, side="right") - 1
        run = np.maximum(run, 0)
        scale = max(rhythm.weekend_scale, 1)
        rising = (t - (self._run_start[run] - rhythm.weekend_offset)) / scale
        falling = (self._run_end[run] + rhythm.weekend_offset - t) / scale
        return rhythm.weekend_damping * np.maximum(np.minimum(np.minimum(rising, falling), 1.0), 0.0)


def _free_runs() -> tuple[Seconds, Seconds]:
    """First and last midnight of each run of free days, from 1950 to 2240."""
    days = np.arange(_FIRST_DAY, _LAST_DAY)
    free = is_free(days)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], free, [False])).astype(np.int8)))
    midnights = (edges + int(_FIRST_DAY.astype(np.int64))) * DAY
    return midnights[::2], midnights[1::2]


def is_free(days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether each day is a Saturday, a Sunday or one of the holidays the original keeps.

    New Year, 4 July, 11 November, Christmas, Memorial Day, Labor Day, Thanksgiving; no substitute days.
    """
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    weekday = (days.astype(np.int64) + 3) % 7  # 0 is Monday
    fixed = ((1, 1), (7, 4), (11, 11), (12, 25))
    free = weekday >= 5
    for its_month, its_day in fixed:
        free |= (month == its_month) & (day == its_day)
    free |= (weekday == 0) & (month == 5) & (day > 24)
    free |= (weekday == 0) & (month == 9) & (day <= 7)
    free |= (weekday == 3) & (month == 11) & (day > 21) & (day <= 28)
    return free
