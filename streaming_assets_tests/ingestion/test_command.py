"""The commands as a user types them."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streaming_assets.cli import app
from streaming_assets.settings import get_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STREAMING_ASSETS_FIRST_HOUR", "2025-04-01T00:00Z")
    get_settings.cache_clear()
    yield tmp_path / "home"
    get_settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def objects(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home / "lake/raw")) for path in (home / "lake/raw").rglob("*.gz"))


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "events.json"
    path.write_text('{"ts":1743465600000}\nbroken\n{"ts":1735689600000}\n{"ts":1743476400000}\n')
    return str(path)


def test_replay_to_the_lake_counts_what_it_did(home: Path, recording: str) -> None:
    result = run("replay", "user_info", recording, "--to", "lake")
    assert result.exit_code == 0, result.output
    assert "user_info: 4 records delivered, 1 of them no JSON object" in result.output
    assert "3 objects in the lake, stream epoch replay-" in result.output, "one of them of dead letters"
    assert (
        "2 records are filed under another hour than their ts gives: it is before 2025-04-01T00:00Z"
        in result.output
    )
    names = objects(home)
    assert [name.rpartition("replay-")[0].rstrip(".-") for name in names] == [
        "connect_sink_gcs/date=2025-04-01 00:00:00+00/0000000000-00000000000000000001.user_info",
        "user_info/date=2025-04-01 00:00:00+00/0000000000-00000000000000000000",
        "user_info/date=2025-04-01 03:00:00+00/0000000000-00000000000000000003",
    ]
    assert run("replay", "user_info", recording, "--to", "lake").exit_code == 0
    assert objects(home) == names


@pytest.mark.parametrize(
    "time", ["2025-04-01T02:00:00Z", "2025-04-01T02:00Z", "2025-04-01T02:00", "2025-04-01T04:00:00+02:00"]
)
def test_not_before_moves_earlier_events(home: Path, recording: str, time: str) -> None:
    assert run("replay", "user_info", recording, "--to", "lake", "--not-before", time).exit_code == 0
    assert [name.split("/")[1] for name in objects(home)] == [
        "date=2025-04-01 02:00:00+00",
        "date=2025-04-01 02:00:00+00",
        "date=2025-04-01 03:00:00+00",
    ]


def test_not_before_the_first_hour_is_the_first_hour(home: Path, recording: str) -> None:
    assert run("replay", "user_info", recording, "--to", "lake", "--not-before", "2024-01-01").exit_code == 0
    assert objects(home)[0].split("/")[1] == "date=2025-04-01 00:00:00+00"


def test_a_cut_off_file_is_named_and_what_came_before_it_counted(
    home: Path, tmp_path: Path, recording: str
) -> None:
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(b'{"ts":1743465600000}\n' * 1000)[:-20])
    result = run("replay", "user_info", recording, str(cut), "--to", "lake")
    assert result.exit_code == 1
    assert "cut.json.gz: the gzip data is cut off or damaged" in result.output
    delivered = re.search(r"user_info: ([\d,]+) records delivered before it failed", result.output)
    assert delivered is not None
    assert int(delivered[1].replace(",", "")) >= 4


def test_a_line_that_no_reader_takes_is_named_and_the_others_are_delivered(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.ingestion.replay.LONGEST_LINE", 1000)
    path = tmp_path / "events.json"
    path.write_bytes(b'{"ts":1743465600000}\n{"ts":1743465600000,"pad":"%b"}\n{"ts":1}\n' % (b"x" * 2000))
    result = run("replay", "user_info", str(path), "--to", "lake")
    assert result.exit_code == 1
    assert f"{path}, line 2: 2,029 bytes are more than a line may have; left out" in result.output
    assert "user_info: 2 records delivered" in result.output
    assert "replay: 1 lines are too long and were left out" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["listens", "events.json", "--to", "lake"], "'listens' is no topic; the topics are listen_events"),
        (["user_info", "absent.json", "--to", "lake"], "absent.json: No such file or directory"),
        (["user_info", "events.json", "--to", "kafka", "--not-before", "2025-04-01"], "with --to lake only"),
    ],
)
def test_a_bad_replay_is_refused_with_the_reason(
    home: Path, recording: str, arguments: list[str], message: str
) -> None:
    result = run("replay", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not (home / "lake").exists()


def test_help_names_what_matters() -> None:
    texts = {name: " ".join(run(name, "--help").output.split()) for name in ("broker", "sink", "replay")}
    assert "OLDEST RECORDS ARE DROPPED" in texts["broker"]
    assert "--instance" in texts["sink"]
    assert "--not-before" in texts["replay"]
