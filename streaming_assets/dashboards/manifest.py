"""The manifest of a snapshot: which files it consists of, and how fresh it is."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

FORMAT = 1
MANIFEST = "manifest.json"


class SnapshotError(RuntimeError):
    """The snapshot can't be read or written; the message says which part and the way out."""


class NoSnapshot(SnapshotError):
    """Nothing has been published yet."""


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds.

    Attributes:
        snapshot: serial number, one more with each publication.
        published_at: when it was published, UTC.
        as_of: end of the newest ingestion hour in it, UTC.
        tables: for each table, the file (relative to the folder) of each ISO day.
        retired: files that an earlier manifest named, and when (ISO, UTC) they fell out.
    """

    snapshot: int
    published_at: datetime
    as_of: datetime
    tables: dict[str, dict[str, str]]
    retired: dict[str, str] = field(default_factory=dict)

    def files(self) -> set[str]:
        """Every file that the snapshot consists of."""
        return {file for days in self.tables.values() for file in days.values()}

    def to_json(self) -> str:
        content = asdict(self) | {
            "format": FORMAT,
            "published_at": self.published_at.isoformat(),
            "as_of": self.as_of.isoformat(),
        }
        return json.dumps(content, indent=1, sort_keys=True)

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """The manifest in force.

        Raises:
            NoSnapshot: there is none.
            SnapshotError: it is unreadable or of another format.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            written_as = content.pop("format")
            if written_as != FORMAT:
                raise SnapshotError(
                    f"{path} has format {written_as}, this version reads {FORMAT}: publish everything anew"
                )
            content["published_at"] = datetime.fromisoformat(content["published_at"])
            content["as_of"] = datetime.fromisoformat(content["as_of"])
            return Manifest(**content)
        except FileNotFoundError:
            raise NoSnapshot(f"nothing has been published to {folder} yet") from None
        except OSError as error:
            raise SnapshotError(f"can't read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnapshotError(f"{path} is no manifest ({error!r}): publish everything anew") from error
