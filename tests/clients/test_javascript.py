"""The AWS SDK for JavaScript v3."""

import shutil
from collections.abc import Callable

from clients.programs import BUILD


def test_javascript__puts_polls_and_subscribes(run: Callable[..., str]) -> None:
    node = shutil.which("node")
    assert node is not None
    assert run(node, BUILD / "javascript" / "fanout.mjs", "javascript-sdk", "200") == "ok 200\n"
