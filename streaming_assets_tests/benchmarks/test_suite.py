"""The driver of `make bench`, on a benchmark of its own; and that the page is of the results that are kept."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.settings import PROJECT_ROOT

SUITE = PROJECT_ROOT / "benchmarks" / "suite.py"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(SUITE.parent))
    return runpy.run_path(str(SUITE))


def test_the_page_is_what_the_results_say(suite: dict[str, Any]) -> None:
    assert suite["PAGE"].read_text() == suite["page"](), "make it anew: python benchmarks/suite.py NAME"
    assert {file.stem for file in suite["RESULTS"].iterdir()} <= suite["BENCHES"].keys()


def test_each_benchmark_is_a_program(suite: dict[str, Any]) -> None:
    for bench in suite["BENCHES"].values():
        assert (SUITE.parent / bench.command.split()[0]).is_file()


def test_figures_are_kept_with_command_machine_and_load(suite: dict[str, Any], tmp_path: Path) -> None:
    program = tmp_path / "made.py"
    program.write_text("import json, sys; print(json.dumps({'a': {'b': 1.5}, 'c': len(sys.argv)}))")
    result = suite["run"](suite["Bench"]("Made", f"{program} FOLDER"), tmp_path / "kept")
    assert result["figures"] == {"a": {"b": 1.5}, "c": 2}
    assert result["status"] == 0
    assert len(result["load"]) == 2
    assert "cores" in result["machine"]
    assert suite["_shown"](result["figures"]).splitlines()[2:] == ["| a: b | 1.5 |", "| c | 2 |"]
    assert suite["_shown"]("| x | y |\n") == "| x | y |"


def test_a_ratio_that_lost_a_third_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(SUITE.parent))
    quick = runpy.run_path(str(SUITE.with_name("quick.py")))
    main, globs = quick["main"], quick["main"].__globals__
    committed = tmp_path / "quick.json"
    committed.write_text(json.dumps({"cost": 2.0}))
    measured = iter([3.1, 2.9, 3.1, 3.2])
    globs.update(COMMITTED=committed, RATIOS={"cost": lambda _: next(measured)})
    monkeypatch.setattr("sys.argv", ["quick.py"])
    main()  # once more, and it was well
    with pytest.raises(SystemExit, match=r"cost: 3.1, more than 1.5 times the 2 of quick.json"):
        main()


@pytest.mark.parametrize(
    ("name", "figures", "seen"),
    [
        (
            "backfill",
            {"events": 9000, "CPU s": {"models": 3.5}, "scan": {"CPU s": 0.5}},
            ["models", "3.5", "peer: one typed scan", "9,000 events"],
        ),
        (
            "freshness",
            {"ages in the facts, s": {"alone": [4.0, 5.0, 6.5], "beside backfills": [9.0]}},
            ["alone (3 objects)", "beside backfills (1 objects)"],
        ),
        (
            "flat_cost",
            "| CPU ms | together |\n|---|---|\n| 1 day | 1,457 |\n| 1 month | 1,455 |\n| 1 year | 1,502 |",
            ["1 day", "1 year", "1,502"],
        ),
    ],
    ids=["backfill", "freshness", "flat_cost"],
)
def test_figures_have_a_picture(
    suite: dict[str, Any], tmp_path: Path, name: str, figures: Any, seen: list[str]
) -> None:
    suite["pictures"].draw(suite["BENCHES"][name].picture, figures, tmp_path / "picture.svg")
    drawn = (tmp_path / "picture.svg").read_text()
    assert [text for text in seen if text not in drawn] == []
