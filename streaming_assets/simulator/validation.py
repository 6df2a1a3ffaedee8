"""What is wrong with a configuration, each fault with its place in the file.

Errors are what can't be run; warnings are what runs, but hardly as meant (eventsim's own configurations have some).
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from streaming_assets.simulator.config import Config, ConfigError, State

_SLACK = 1e-9  # by which probabilities that are meant to sum to 1 may exceed it
_MOST_DAMPING = 1 / (2 * math.pi)


@dataclass(frozen=True)
class Finding:
    """One fault; `text` begins with its place in the file."""

    is_error: bool
    text: str


def check(config: Config) -> list[str]:
    """The warnings about a configuration.

    Raises:
        ConfigError: it has errors; the message lists them all, one a line.
    """
    findings = list(_findings(config))
    errors = [finding.text for finding in findings if finding.is_error]
    if errors:
        raise ConfigError("\n".join(errors))
    return [finding.text for finding in findings]


def _findings(config: Config) -> Iterator[Finding]:
    yield from _numbers(config)
    yield from _probabilities(config)
    yield from _shown(config)
    yield from _starts(config)
    yield from _paths(config)


def _error(config: Config, section: str, place: int | None, message: str) -> Finding:
    return Finding(True, f"{config.where(section, place)}: {message}")


def _warning(config: Config, section: str, place: int | None, message: str) -> Finding:
    return Finding(False, f"{config.where(section, place)}: {message}")


def _numbers(config: Config) -> Iterator[Finding]:
    rhythm = config.rhythm
    for key, value in (("alpha", config.alpha), ("beta", config.beta)):
        if not 0 < value < math.inf:
            yield _error(config, key, None, f"{value:g} s is impossible: it must be above 0")
    if not 0 <= rhythm.weekend_damping <= 1:
        yield _error(config, "weekend-damping", None, f"{rhythm.weekend_damping:g} is not between 0 and 1")
    if rhythm.session_gap < 0:
        yield _error(config, "session-gap", None, f"{rhythm.session_gap} s is below 0")
    if rhythm.weekend_scale <= 0:
        yield _error(config, "weekend-damping-scale", None, "the ramp must take more than 0 minutes")
    if abs(rhythm.damping) > _MOST_DAMPING:
        yield _warning(
            config,
            "damping",
            None,
            f"{rhythm.damping:g} is beyond {_MOST_DAMPING:.3f}: the daily cycle then folds time over itself",
        )
    for section, pairs in (("levels", config.levels), ("auths", config.auths)):
        for place, (name, weight) in enumerate(pairs):
            if not 0 <= weight < math.inf:
                yield _error(config, section, place, f"the weight of {name!r} is {weight:g}, below 0")
        if not any(weight > 0 for _, weight in pairs):
            yield _error(config, section, None, "no weight is above 0")
    for entry in config.entries:
        if not 0 <= entry.weight < math.inf:
            yield _error(config, "new-session", entry.place, f"weight {entry.weight:g} is below 0")
    for key in config.unknown_keys:
        yield _warning(config, key, None, "this key is not known, and ignored")


def _probabilities(config: Config) -> Iterator[Finding]:
    total: dict[State, float] = defaultdict(float)
    over: set[State] = set()
    pairs: dict[tuple[State, State], int] = {}
    for transition in config.transitions:
        place, source = transition.place, transition.source
        if not 0 <= transition.p <= 1:
            yield _error(config, "transitions", place, f"p is {transition.p:g}, not between 0 and 1")
            continue
        total[source] += transition.p
        if total[source] > 1 + _SLACK and source not in over:
            over.add(source)
            yield _error(
                config,
                "transitions",
                place,
                f"with this one, the probabilities out of {source} sum to {total[source]:g}, above 1",
            )
        first = pairs.setdefault((source, transition.dest), place)
        if first != place:
            message = f"{source} to {transition.dest} is listed before, as transitions[{first}]; both count"
            yield _warning(config, "transitions", place, message)


def _shown(config: Config) -> Iterator[Finding]:
    missing: dict[str, tuple[str, int]] = {}
    for entry in config.entries:
        missing.setdefault(entry.state.auth, ("new-session", entry.place))
    for transition in config.transitions:
        missing.setdefault(transition.source.auth, ("transitions", transition.place))
        missing.setdefault(transition.dest.auth, ("transitions", transition.place))
    for auth, (section, place) in missing.items():
        if auth not in config.show:
            yield _error(
                config, section, place, f"auth {auth!r} is missing in show-user-details (one of true, false)"
            )


def _starts(config: Config) -> Iterator[Finding]:
    listed = {transition.source for transition in config.transitions}
    listed |= {transition.dest for transition in config.transitions}
    for entry in config.entries:
        if entry.state not in listed:
            message = f"{entry.state} is in no transition: check its page, method, status, auth and level"
            yield _error(config, "new-session", entry.place, message)
    groups = _entry_groups(config)
    for place, (auth, weight) in enumerate(config.auths):
        for level, level_weight in config.levels:
            if weight > 0 and level_weight > 0 and (auth, level) not in groups:
                message = f"users start as ({auth}, {level}), but no new-session entry begins there"
                yield _error(config, "auths", place, message)
    newcomer = (config.new_user_auth, config.new_user_level)
    if newcomer not in groups:
        message = f"users who join are ({newcomer[0]}, {newcomer[1]}), but no new-session entry begins there"
        key = "new-user-level" if any(auth == newcomer[0] for auth, _ in groups) else "new-user-auth"
        yield _warning(config, key, None, message)


def _paths(config: Config) -> Iterator[Finding]:
    exits: dict[State, list[State]] = defaultdict(list)
    for transition in config.transitions:
        if transition.p > 0:
            exits[transition.source].append(transition.dest)
    reached = _reachable(config, exits)
    ending = _ending(config)
    known: set[State] = set()
    for transition in config.transitions:
        place = transition.place
        for state, role in ((transition.source, "source"), (transition.dest, "dest")):
            if state in known:
                continue
            known.add(state)
            if state not in reached:
                message = f"{role} {state} can't be reached from any new-session entry"
                yield _warning(config, "transitions", place, message)
            if state not in ending:
                yield _error(
                    config, "transitions", place, f"{role} {state} can't be left: no session ends there"
                )
            if not exits.get(state) and state.auth != config.churned_state:
                message = (
                    f"{role} {state} has no way out: it ends every session that reaches it"
                    f"{_near(state, exits)}"
                )
                yield _warning(config, "transitions", place, message)
    groups = _entry_groups(config)
    for auth, level in sorted({(s.auth, s.level) for s in reached} - groups):
        if auth != config.churned_state:
            message = (
                f"a user who ends a session as ({auth}, {level}) can't begin another, and is gone for good"
            )
            yield _warning(config, "new-session", None, message)


def _entry_groups(config: Config) -> set[tuple[str, str]]:
    return {(entry.state.auth, entry.state.level) for entry in config.entries if entry.weight > 0}


def _reachable(config: Config, exits: dict[State, list[State]]) -> set[State]:
    reached = {entry.state for entry in config.entries if entry.weight > 0}
    waiting = list(reached)
    while waiting:
        for dest in exits.get(waiting.pop(), ()):
            if dest not in reached:
                reached.add(dest)
                waiting.append(dest)
    return reached


def _ending(config: Config) -> set[State]:
    """The states from which a session can end."""
    total: dict[State, float] = defaultdict(float)
    sources: dict[State, list[State]] = defaultdict(list)
    for transition in config.transitions:
        total[transition.source] += transition.p
        if transition.p > 0:
            sources[transition.dest].append(transition.source)
    states = {transition.dest for transition in config.transitions} | set(total)
    ending = {state for state in states if total.get(state, 0.0) < 1 - _SLACK}
    waiting = list(ending)
    while waiting:
        for source in sources[waiting.pop()]:
            if source not in ending:
                ending.add(source)
                waiting.append(source)
    return ending


def _near(state: State, exits: dict[State, list[State]]) -> str:
    """A hint, if another state of the same page and group has the ways out that this one lacks."""
    for other in exits:
        if exits[other] and (other.page, other.auth, other.level) == (state.page, state.auth, state.level):
            return f" (those of {other} were perhaps meant for it)"
    return ""
