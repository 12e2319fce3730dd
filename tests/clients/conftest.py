"""Real clients, each a program of its own, on a real server. `make clients` puts them below build/clients first."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer


@pytest.fixture(scope="session")
def environment(server: HeadraceServer) -> dict[str, str]:
    """What every SDK needs to know: where, and with which keys."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(scope="session")
def kinesis(server: HeadraceServer) -> Any:
    """boto3's client, in the account that the clients have."""
    return server.client("kinesis")


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., str]:
    """Runs a program to its end; what it printed. It fails with all that it said."""

    def run_one(*command: str | Path, timeout_seconds: float = 120, **changes: str) -> str:
        ran = subprocess.run(
            [str(part) for part in command], env={**environment, **changes}, capture_output=True, text=True, check=False,
            timeout=timeout_seconds,
        )  # fmt: skip
        assert ran.returncode == 0, f"{command[0]} ended with {ran.returncode}:\n{ran.stdout[-5000:]}\n{ran.stderr[-10000:]}"
        return ran.stdout

    return run_one


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a program whose words go to a file, and ends it with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start_one(name: str, *command: str | Path, **changes: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{name}.log").open("ab") as log:
            program = subprocess.Popen(
                [str(part) for part in command], env={**environment, **changes}, stdout=log, stderr=log, start_new_session=True
            )
        running.append(program)
        return program

    yield start_one
    for program in running:
        program.kill()
        program.wait()
