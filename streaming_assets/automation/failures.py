"""Why a run over hours failed, and which of its hours to try next: pure functions over its events and spans.

One bad hour must not keep its neighbours from the tables, whatever is bad about it: the span is divided until single
hours are left.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import dagster as dg

from streaming_assets.dagster_runtime.private_names import ErrorSource, SerializableErrorInfo
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span
from streaming_assets.warehouses.warehouse import WarehouseLocked

# Failures of one span's parts, and not one success, after which it is no matter of hours: more than two days give,
# the object sensor's window, however many of their hours are bad.
MOST_WITHOUT_SUCCESS = 96

# What is wrong around the hours, as its errors call it: disk, memory, network, access, quota.
_SURROUNDINGS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
    "Input/output error",
    "Out of Memory Error",
    "MemoryError",
    "Connection refused",
    "Connection reset",
    "Connection aborted",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Max retries exceeded",
    "ServiceUnavailable",
    "TooManyRequests",
    "quotaExceeded",
    "rateLimitExceeded",
    "Forbidden: 403",
    "DefaultCredentialsError",
    "RefreshError",
    "503 GET",
    "503 POST",
    "Not found: Dataset",
    "can't open gs://",
    "can't list ",
    "WarehouseOutdated",
)


class Cause(Enum):
    """What a run failed of."""

    LOCKED = "the warehouse was in use"
    SURROUNDINGS = "disk, memory, network or access"  # no hour's fault
    DIED = "its process ended"  # without a word or told to end, as with its container
    UNKNOWN = "an error in a step"


@dataclass(frozen=True)
class Outcome:
    """How an attempt at a span ended: `failure` is None after a success; `said` tells of it, in words."""

    failure: Cause | None = None
    said: tuple[str, ...] = ()


def failure_of(events: Iterable[dg.DagsterEvent]) -> Cause:
    """The cause that a run's step failures tell of."""
    failed = [event for event in events if event.is_step_failure]
    if any(event.step_failure_data.error_source is ErrorSource.INTERRUPT for event in failed):
        return Cause.DIED
    errors = [error for event in failed for error in _errors(event.step_failure_data.error)]
    if any(error.cls_name == WarehouseLocked.__name__ for error in errors):
        return Cause.LOCKED
    if any(sign in f"{error.cls_name}: {error.message}" for error in errors for sign in _SURROUNDINGS):
        return Cause.SURROUNDINGS
    return Cause.UNKNOWN if failed else Cause.DIED


def to_try_next(span: Span, failure: Cause, *, is_repeat: bool) -> list[Span]:
    """The spans that a run over `span`, which failed so, leaves to be tried.

    Args:
        span: the hours of that run.
        failure: why it failed.
        is_repeat: whether it repeated a run whose process had died.
    """
    if failure is Cause.LOCKED or (failure is Cause.DIED and not is_repeat):
        return [span]
    if failure is Cause.SURROUNDINGS:
        return []
    return halves(span)


def halves(span: Span) -> list[Span]:
    """A span's two halves, whole hours each; nothing for a single hour, which can't be divided."""
    start, end = span
    middle = start + (end - start) // HOUR // 2 * HOUR
    return [(start, middle), (middle, end)] if middle > start else []


def work_off(spans: Iterable[Span], attempt: Callable[[Span], Outcome]) -> Iterator[tuple[Span, Outcome]]:
    """Try each span, and its parts as far as needed; what failed for good, with its last outcome.

    All hours but the bad ones get done, in some 2 k log2(n) attempts for k bad hours among n. Parts are tried in the
    order of their size, so that good halves come first. It ends early where nothing is done by going on: the warehouse
    is held, the fault is in the surroundings, or too many parts failed without one success.
    """
    waiting = deque(spans)
    failed, succeeded = 0, False
    while waiting:
        part = waiting.popleft()
        outcome = attempt(part)
        if outcome.failure is None:
            succeeded = True
            continue
        failed += 1
        is_hopeless = outcome.failure in (Cause.LOCKED, Cause.SURROUNDINGS) or (
            failed >= MOST_WITHOUT_SUCCESS and not succeeded
        )
        rest = [] if is_hopeless else to_try_next(part, outcome.failure, is_repeat=True)
        if not rest:
            yield part, outcome
        if is_hopeless:
            for other in waiting:
                yield other, Outcome(outcome.failure, ("not tried, since that would fail as well",))
            return
        waiting.extend(rest)


def _errors(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause
