"""Where the events go: files, the lake, Kafka. Thin edges behind one interface."""

from collections.abc import Callable, Mapping
from typing import Protocol

from streaming_assets.simulator.render import Lines


class WriteError(Exception):
    """Events could not be delivered; the message says which and where."""


class Writer(Protocol):
    """Takes batches of lines in the order of time.

    Attributes:
        line_end: what the writer needs at the end of each line.
        deputy: for several processes that write in turn, if they can; else one has to write everything.
    """

    line_end: str

    @property
    def deputy(self) -> "Deputy | None": ...

    def skip(self, counts: Mapping[str, int]) -> None:
        """So many events of each topic are not delivered, but count as earlier ones."""
        ...

    def write(self, lines: Mapping[str, Lines]) -> None:
        """Deliver, or keep for delivery, each topic's lines.

        Raises:
            WriteError: that is not possible.
        """
        ...

    def close(self) -> None:
        """Deliver all that is kept. Raises WriteError if something could not be delivered, now or before."""
        ...


Deputy = Callable[[], Writer]  # makes, in another process, a writer that goes on where the last one stopped
