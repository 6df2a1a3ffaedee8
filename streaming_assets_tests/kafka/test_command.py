"""The commands without a cluster: their help, and what they say when something is missing."""

import json

import pytest
from typer.testing import CliRunner

from streaming_assets.cli import app, main
from streaming_assets.events import TOPICS


@pytest.mark.parametrize(
    "command",
    [
        "topics",
        "connect render",
        "connect worker",
        "connect validate",
        "connect apply",
        "kafka up",
        "kafka down",
    ],
)
def test_each_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["topics"], "kafka: no cluster is named: set STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS"),
        (
            ["connect", "apply"],
            "kafka: Connect's address is unknown: give --url or set STREAMING_",
        ),
        (
            ["connect", "render"],
            "kafka: the GCS emulator does not run: start it with `streaming-assets kafka up`",
        ),
        (["connect", "render", "--environment", "gcp"], "kafka: %{bucket} has no value here"),
    ],
)
def test_what_is_missing_is_told_without_a_trace(
    command: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["streaming-assets", *command])

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(message)


def test_connectors_are_rendered_as_json() -> None:
    result = CliRunner().invoke(app, ["connect", "render", "--environment", "docker"])

    rendered = json.loads(result.stdout)
    assert rendered["events-to-lake"]["topics"] == ",".join(TOPICS)
    assert rendered["events-to-lake"]["gcs.endpoint"] == "http://gcs:4443"


def test_the_workers_file_is_printed() -> None:
    result = CliRunner().invoke(app, ["connect", "worker"])

    assert "group.id=streaming-assets-connect" in result.stdout.splitlines()
