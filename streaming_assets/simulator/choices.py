"""What a simulation is asked for: options and the configuration's values, met in one plan and span."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from streaming_assets.simulator.catalogue import Files
from streaming_assets.simulator.config import Config
from streaming_assets.simulator.run import Span
from streaming_assets.simulator.simulation import Plan
from streaming_assets.simulator.times import milliseconds, parse_time


class ChoiceError(Exception):
    """An option's value can't be used; the message names the option."""


@dataclass(frozen=True)
class Choices:
    """Options that were given; None where the configuration's value holds, or the default beside it.

    Attributes:
        users: how many there are at the start; 1.
        growth_rate: yearly rate at which users join, per user; 0.
        attrition_rate: yearly rate at which a user leaves for good.
        start, end, resume_from: times as `parse_time` reads them; 15 days and 1 day ago, and the start. A simulation
            that goes on starts now, and has no end.
        seed: 0.
        first_user_id: the first user's id is one more; 1.
        tag: label of each event with a user; none.
        continuous: whether events are delivered when their time has come.
        files: reference files, by their names in `Files`.
    """

    users: int | None = None
    growth_rate: float | None = None
    attrition_rate: float = 0.0
    start: str | None = None
    end: str | None = None
    resume_from: str | None = None
    seed: int | None = None
    first_user_id: int | None = None
    tag: str | None = None
    continuous: bool = False
    files: dict[str, Path] = field(default_factory=dict)

    def plan_and_span(self, config: Config, now: datetime) -> tuple[Plan, Span]:
        """The simulation, and what of it is wanted.

        Raises:
            ChoiceError: a time is none, or the end is not after the start.
        """
        start = _moment("start", self.start, config.start, "now" if self.continuous else "15d", now)
        plan = Plan(
            config=config,
            files=Files(**self.files),
            users=_first(self.users, config.users, 1),
            growth=_first(self.growth_rate, config.growth_rate, 0.0),
            attrition=self.attrition_rate,
            seed=_first(self.seed, config.seed, 0),
            start=start,
            first_user_id=_first(self.first_user_id, config.first_user_id, 1),
            tag=_first(self.tag, config.tag, None),
        )
        endless = self.continuous and self.end is None and config.end is None
        end = None if endless else _moment("end", self.end, config.end, "1d", now)
        if end is not None and end <= start:
            raise ChoiceError("--end must be later than --start")
        resumed = _moment("resume-from", self.resume_from, None, "now", now) if self.resume_from else start
        return plan, Span(
            start=plan.start_second,
            deliver_from=plan.second(resumed),
            end=None if end is None else plan.second(end),
            real_time=self.continuous,
        )


def chosen_topics(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The topics of a list separated by commas.

    Raises:
        ChoiceError: one of them is not `known`.
    """
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in known:
            raise ChoiceError(
                f"--topics: {name!r} is no topic that the simulator writes; there are {', '.join(known)}"
            )
    return chosen


def _moment(option: str, text: str | None, configured: datetime | None, otherwise: str, now: datetime) -> int:
    """Milliseconds since 1970."""
    if text is None and configured is not None:
        return milliseconds(configured)
    try:
        return parse_time(text or otherwise, now)
    except ValueError as error:
        raise ChoiceError(f"--{option}: {error}") from None


def _first(*values):
    """The first that is not None; the last otherwise."""
    return next((value for value in values if value is not None), values[-1])
