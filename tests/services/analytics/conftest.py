"""Fixtures of tests that kill servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import HeadraceServer


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[HeadraceServer]:
    """A server that the test may kill."""
    running = HeadraceServer(tmp_path / "data").start()
    yield running
    running.stop()
