"""What a function can't do. Each test tries it from inside."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Workbench = Any
TRY = """
    import os, socket, subprocess, urllib.request
    def handler(e, c):
        try:
            return ["done", eval(e)]
        except Exception as error:
            return [type(error).__name__, str(error)]
"""


@pytest.fixture(scope="module")
def attempt(bench: Workbench) -> Callable[[str], list[object]]:
    if not bench.engine.isolation().startswith("bubblewrap"):
        pytest.skip("no bubblewrap on this host")
    function = bench.function(TRY, timeout_seconds=10)

    def run(expression: str) -> list[object]:
        value: list[object] = bench.run(function, expression).value
        return value

    return run


def test_sandbox__host_files_are_not_there(attempt: Callable[[str], list[object]], bench: Workbench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    for path in (secret, bench.folder, Path("/etc/passwd"), Path("/etc/shadow"), Path("/home"), Path(__file__)):
        assert attempt(f"os.path.exists({str(path)!r})") == ["done", False], path
    assert attempt("sorted(os.listdir('/etc'))")[0] == "done"


def test_sandbox__root_is_read_only(attempt: Callable[[str], list[object]]) -> None:
    for path in ("/x", "/var/task/x", "/var/runtime/x", "/usr/x", "/etc/x", "/opt/x"):
        assert attempt(f"open({path!r}, 'w')")[0] in ("OSError", "PermissionError", "FileNotFoundError"), path
    assert attempt("open('/tmp/x', 'w').write('abc')") == ["done", 3]


def test_sandbox__tmp_is_bounded_and_its_own(bench: Workbench, attempt: Callable[[str], list[object]]) -> None:
    assert attempt("os.listdir('/tmp')")[0] == "done"
    small = bench.function("def handler(e, c):\n    open('/tmp/x', 'wb').write(b'x' * (20 << 20))\n", temporary_mib=10)
    assert bench.run(small).value["errorMessage"] == "[Errno 28] No space left on device"


def test_sandbox__sees_and_reaches_no_other_process(attempt: Callable[[str], list[object]]) -> None:
    kind, pids = attempt("[p for p in os.listdir('/proc') if p.isdigit()]")
    assert kind == "done"
    assert isinstance(pids, list)
    assert len(pids) <= 3
    assert attempt(f"os.path.exists('/proc/{os.getpid()}/environ')") == ["done", False]
    assert attempt(f"os.kill({os.getpid()}, 9)")[0] in ("ProcessLookupError", "PermissionError")


def test_sandbox__no_privileges(attempt: Callable[[str], list[object]]) -> None:
    kind, status = attempt("open('/proc/self/status').read()")
    assert kind == "done"
    fields = dict(line.split(":\t", 1) for line in str(status).splitlines() if ":\t" in line)
    assert fields["CapEff"] == "0000000000000000"
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert "0" not in fields["Uid"].split()
        assert attempt("os.setuid(0)")[0] == "PermissionError"


def test_sandbox__private_network_reaches_the_server_alone(attempt: Callable[[str], list[object]], bench: Workbench) -> None:
    assert attempt("urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'], timeout=3).read().decode()") == ["done", "answer"]
    assert attempt("socket.create_connection(('127.0.0.1', 22), 1)")[0] == "ConnectionRefusedError"
    assert attempt("socket.create_connection(('192.0.2.1', 80), 1)")[0] == "OSError"
    assert attempt("[name for _, name in socket.if_nameindex()]") == ["done", ["lo"]]


def test_sandbox__secrets_are_on_no_command_line(bench: Workbench) -> None:
    function = bench.function(
        "import os\ndef handler(e, c):\n    return [os.environ['SECRET'], open('/proc/self/cmdline').read()]\n",
        environment={"SECRET": "s3cret", "LD_PRELOAD": "/var/task/evil.so"},
    )
    secret, command = bench.run(function).value
    assert secret == "s3cret"
    assert "s3cret" not in command
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert b"s3cret" not in Path("/proc", pid, "cmdline").read_bytes()
        except OSError:
            continue


def test_sandbox__sdk_is_there_and_the_server_is_not(attempt: Callable[[str], list[object]]) -> None:
    assert attempt("__import__('boto3').__name__") == ["done", "boto3"]
    assert attempt("__import__('headrace')")[0] == "ModuleNotFoundError"
    assert attempt("__import__('lmdb')")[0] == "ModuleNotFoundError"


def test_sandbox__open_files_are_bounded(attempt: Callable[[str], list[object]]) -> None:
    kind, text = attempt("[open('/dev/null') for _ in range(5000)]")
    assert (kind, text) == ("OSError", "[Errno 24] Too many open files: '/dev/null'")


def test_bare__runs_without_bubblewrap(open_workbench: Callable[..., Workbench]) -> None:
    bench = open_workbench(bubblewrap="/nonexistent/bwrap")
    assert "no bubblewrap, since it does not run here" in bench.engine.isolation()
    function = bench.function("import os\ndef handler(e, c):\n    return [e, os.getuid(), os.environ['LAMBDA_TASK_ROOT']]\n")
    ran = bench.run(function, 5)
    assert ran.value[0] == 5
    assert ran.value[2] == str(function.code)
    if os.geteuid() == 0 and "a user id each" in bench.engine.isolation():
        assert ran.value[1] >= 61184
