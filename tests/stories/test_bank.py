"""The main job: every overdrawn transaction becomes a mail and one row, also when the server is killed while it works."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from conftest import free_port


def demo(*arguments: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "headrace.cli.main", "demo", "--json", *arguments],
        env={**os.environ, "HEADRACE_PORT": str(free_port()), "HEADRACE_REDSHIFT_PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.stdout, ran.stderr
    outcome: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if outcome["reconciles"] else 1)
    return outcome


@pytest.mark.timeout(300)
def test_bank__every_overdraft_is_mailed_and_reported() -> None:
    outcome = demo("--transactions", "400", "--accounts", "40", "--rate", "0", "--seed", "5")
    found = {hop["name"]: hop["found"] for hop in outcome["hops"]}
    assert outcome["reconciles"], outcome
    assert found["transactions seen by the function"] == 400
    assert found["rows in the warehouse"] > 20
    assert outcome["killed"] == 0


@pytest.mark.timeout(300)
def test_bank__killed_while_it_works() -> None:
    outcome = demo("--transactions", "400", "--accounts", "40", "--rate", "100", "--kill", "--kills", "4", "--seed", "6")
    assert outcome["reconciles"], outcome
    assert outcome["killed"] == 4
