from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from streaming_assets.testing.publishing import publish
from streaming_assets_tests.dashboards.browsing import axe, browser, browser_context, visitor
from streaming_assets_tests.dashboards.serving import served
from streaming_assets_tests.dashboards.world import AS_OF, Marts, World, facts_of, make_world, marts_of

__all__ = ["axe", "browser", "browser_context", "visitor"]


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


@pytest.fixture(scope="session")
def marts(world: World) -> Marts:
    return marts_of(world)


@pytest.fixture(scope="session")
def published(world: World, marts: Marts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the world's snapshot; read it only."""
    folder = tmp_path_factory.mktemp("published")
    publish(folder, marts | facts_of(world), AS_OF)
    return folder


@pytest.fixture(scope="session")
def address(published: Path) -> Iterator[str]:
    """The app over the world's snapshot, seven minutes after its newest hour."""
    with served(published, AS_OF + timedelta(minutes=7)) as url:
        yield url
