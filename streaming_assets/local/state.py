"""What the local system remembers between starts: since when it simulates, and until when it ran."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from streaming_assets.files import replaced
from streaming_assets.settings import Settings


class StateMismatch(Exception):
    """The settings are not those that the state was made with; the message says how to go on."""


@dataclass(frozen=True)
class LocalState:
    """`start`: of the simulation. `alive_until`: a moment up to which its events are known to be delivered (UTC).

    The two are the same until the history is made.
    """

    start: datetime
    alive_until: datetime
    simulation: dict[str, Any]

    @property
    def has_history(self) -> bool:
        """Whether the history was made to its end."""
        return self.alive_until > self.start

    def save(self, path: Path) -> None:
        """Replace the file at once, so that a kill leaves the former or the new one."""
        content = {
            "start": self.start.isoformat(),
            "alive_until": self.alive_until.isoformat(),
            "simulation": self.simulation,
        }
        with replaced(path) as incoming:
            incoming.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "LocalState | None":
        """The state of an earlier start; None on the first."""
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
            return cls(
                datetime.fromisoformat(content["start"]),
                datetime.fromisoformat(content["alive_until"]),
                content["simulation"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StateMismatch(f"{path} can't be read ({error!r}): `make clean-local` starts anew") from None

    def check(self, settings: Settings) -> None:
        """The simulation goes on with the same people, so what makes them must not change.

        Raises:
            StateMismatch: a setting of the simulation differs from that of the first start.
        """
        now = simulation_settings(settings)
        different = [name for name, value in now.items() if self.simulation.get(name) != value]
        if different:
            raise StateMismatch(
                f"{', '.join(different)} changed since the first start (it was "
                f"{', '.join(str(self.simulation.get(name)) for name in different)}); set it back, or forget all "
                "local state with `make clean-local`"
            )


def simulation_settings(settings: Settings) -> dict[str, Any]:
    """The settings that decide who the simulated people are and what they do."""
    return {
        "simulator_config": str(settings.simulator.config or ""),
        "simulator_users": settings.simulator.users,
        "simulator_growth_rate": settings.simulator.growth_rate,
        "simulator_seed": settings.simulator.seed,
    }
