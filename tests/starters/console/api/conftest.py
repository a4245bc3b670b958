"""One API for all tests of this folder that one process runs."""

from collections.abc import Iterator

import pytest

from tests.starters.console.api.world import Api, served_api


@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with served_api(tmp_path_factory.mktemp("api")) as served:
        yield served
