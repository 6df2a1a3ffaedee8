"""The manifest of a snapshot: which files it consists of, what is in them, and how fresh it is."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

FORMAT = 2
MANIFEST = "manifest.json"

# A path in the snapshot's folder, and none that leads out of it.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+/[A-Za-z0-9-]+\.parquet$")]


class SnapshotError(RuntimeError):
    """The snapshot can't be read or written; the message says which part and the way out."""


class NoSnapshot(SnapshotError):
    """Nothing has been published yet."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """A file of the snapshot.

    Attributes:
        file: its path in the folder.
        size: bytes.
        sha256: of its content, in hexadecimal.
    """

    file: FileName
    size: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Table(_Part):
    """A table of the snapshot.

    Attributes:
        layout: what the files follow from beside the rows (`PublishedTable.layout`).
        days: the file of each day; None for a day of its mart that it has no rows of.
        whole: the one file of a table without days; None if it has no rows.
        signature: of all rows of a table without days.
    """

    layout: dict[str, Any]
    days: dict[date, File | None] = {}
    whole: File | None = None
    signature: str = ""

    def present(self) -> list[File]:
        """Its files, those of the earliest days first."""
        return [file for file in (self.whole, *(file for _, file in sorted(self.days.items()))) if file]


class Hours(_Part):
    """What a snapshot lacks of the newest ingestion hours.

    Attributes:
        first: the hour from which on they were looked at, UTC.
        absent: those of which no object was in the lake: nothing happened in them, or they are late.
        unfinished: those with an object whose rows are not in the tables: not yet, or because it can't be read.
    """

    first: AwareDatetime
    absent: tuple[AwareDatetime, ...] = ()
    unfinished: tuple[AwareDatetime, ...] = ()


class Manifest(_Part):
    """What a snapshot holds.

    Attributes:
        format: of the manifest itself.
        snapshot: serial number, one more with each publication.
        generation: of the warehouse that it was published from.
        published_at: when it was published, UTC.
        as_of: end of the newest ingestion hour in it, UTC.
        hours: what it lacks of the hours before; None where that was not looked at.
        tables: the tables, by name.
        retired: files that an earlier manifest named, and when they fell out.
        verified: the last file whose content was held to its hash; the next publication goes on after it.
    """

    format: Literal[2] = FORMAT
    snapshot: int
    generation: str = ""
    published_at: AwareDatetime
    as_of: AwareDatetime
    hours: Hours | None = None
    tables: dict[str, Table]
    retired: dict[FileName, AwareDatetime] = {}
    verified: str = ""

    def files(self) -> set[str]:
        """Every file that the snapshot consists of."""
        return {file.file for table in self.tables.values() for file in table.present()}

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """The manifest in force.

        Raises:
            NoSnapshot: there is none.
            SnapshotError: it is unreadable, damaged, or of another version.
        """
        path = folder / MANIFEST
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise NoSnapshot(f"nothing has been published to {folder} yet") from None
        except OSError as error:
            raise SnapshotError(f"can't read {path}: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(map(str, first["loc"])) or "the text"
            raise SnapshotError(
                f"{path} is damaged or of another version ({at}: {first['msg']}): the next publication makes "
                "the snapshot anew"
            ) from error
