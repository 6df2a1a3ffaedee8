"""Fixtures that tests of several parts share."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streaming_assets.settings import Settings
from streaming_assets_tests.postgres import postgres

__all__ = ["postgres"]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests of a group share a costly set-up, so a pytest whose workers don't keep groups together is refused."""
    if session.config.getoption("loadgroup", False):
        apart = [
            item.nodeid
            for item in session.items
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if apart:
            pytest.exit(f"this pytest-xdist does not keep xdist_group together: {apart[0]}", returncode=3)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell's background jobs ignore SIGINT, and so would the processes that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cheap_behavior_flags() -> Iterator[None]:
    """dbt looks for the source of each flag of adapters through the whole stack, at each run in this process.

    dbt-bigquery adds its flags to one list each time, so that after some runs this costs more than a run.
    """
    from dbt_common.behavior_flags import BehaviorFlagRendered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BehaviorFlagRendered, "_default_source", staticmethod(lambda: "an adapter"))
        yield


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt target folder with the parsed project: parsing costs more than most tests."""
    from streaming_assets.dagster_runtime.dbt import DbtRunner

    home = tmp_path_factory.mktemp("parsed")
    dbt = DbtRunner(Settings(home=home))
    assert dbt.manifest
    return dbt.target_path


@pytest.fixture
def make_graph(tmp_path: Path, parsed_project: Path) -> Iterator[Callable]:
    """A function that builds the graph for a home folder of the test's own and settings by name."""
    from streaming_assets_tests.graph import Graph

    made: list[Graph] = []

    def make(home: str = "home", **settings: object) -> Graph:
        graph = Graph(tmp_path / home, parsed_project, **settings)
        made.append(graph)
        return graph

    yield make
    for graph in made:
        graph.close()
