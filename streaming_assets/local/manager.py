"""The process manager of the local system, and what it prints."""

import sys

from honcho.manager import Manager
from honcho.printer import Message, Printer

PARTED = "dagster"  # the service whose processes complain of each other's end, with tracebacks


class ServicePrinter(Printer):
    """Prints the services' lines; once all is being ended, no more of Dagster's."""

    ending = False

    def write(self, message: Message) -> None:
        if not (self.ending and message.name == PARTED):
            super().write(message)


class ServiceManager(Manager):
    """Runs services until one ends or a signal comes, then ends the others."""

    def __init__(self) -> None:
        self.lines = ServicePrinter(sys.stdout)
        super().__init__(self.lines)

    def terminate(self) -> None:
        self.lines.ending = True
        super().terminate()
