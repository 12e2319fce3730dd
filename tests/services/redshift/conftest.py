"""Fixtures of the warehouse tests."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.services.redshift.harness import Engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One warehouse process for all tests that do not kill it."""
    made = Engine(tmp_path_factory.mktemp("warehouse"))
    yield made
    made.stop()


@pytest.fixture
def connection(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the master user."""
    with engine.connect() as made:
        yield made
