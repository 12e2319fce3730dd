"""Functions that mean harm: each is contained, and others run on beside it."""

import os
from typing import Any

import pytest

Workbench = Any
GOOD = "def handler(e, c):\n    return 'well'\n"


@pytest.fixture(scope="module")
def confined(bench: Workbench) -> Workbench:
    """A workbench that confines as well as this project can."""
    if not bench.engine.isolation().startswith("bubblewrap") or os.geteuid():
        pytest.skip("needs bubblewrap, as root")
    return bench


def test_fork_bomb(confined: Workbench) -> None:
    bomb = confined.function(
        """
        import os, time
        def handler(e, c):
            while True:
                try:
                    if not os.fork():
                        time.sleep(60)
                except OSError:
                    time.sleep(0.05)
        """,
        memory_mib=1024, timeout_seconds=3,
    )  # fmt: skip
    assert confined.run(bomb).value["errorType"] in ("Sandbox.Timedout", "Runtime.OutOfMemory")
    assert confined.run(confined.function(GOOD)).value == "well"


def test_reader_of_others_code_and_of_the_server(confined: Workbench) -> None:
    other = confined.function("SECRET = 'theirs'\n" + GOOD)
    confined.run(other)
    spy = confined.function(
        """
        import os
        def handler(e, c):
            found = []
            for top, folders, files in os.walk("/", onerror=None):
                if top in ("/proc", "/sys", "/usr", "/dev"):
                    folders[:] = []
                found += [os.path.join(top, name) for name in files if name == "app.py"]
            reads = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    reads.append(open(f"/proc/{pid}/environ").read())
                except OSError:
                    pass
            return [found, os.path.exists("/.host") and os.listdir("/.host"), len(reads)]
        """,
        timeout_seconds=20,
    )
    found, host, _ = confined.run(spy).value
    assert [path for path in found if "site-packages" not in path] == ["/var/task/app.py"]
    assert host in (False, [])


def test_port_scanner(confined: Workbench) -> None:
    scanner = confined.function(
        """
        import socket
        def handler(e, c):
            found = []
            for port in range(1, 65536):
                with socket.socket() as one:
                    one.settimeout(0.5)
                    # A port that is drawn for the scanner itself answers, too.
                    if not one.connect_ex(("127.0.0.1", port)) and one.getsockname() != one.getpeername():
                        found.append(port)
            return found
        """,
        timeout_seconds=60,
    )
    ran = confined.run(scanner)
    assert ran.value == sorted({9001, confined.port}), ran.lines


@pytest.mark.parametrize(
    "attempt",
    [
        "libc.unshare(0x10000000)",  # a user namespace of its own
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.ptrace(0, 0, 0, 0)",
        "libc.syscall(321, 0, 0, 0)",  # bpf
        "libc.syscall(425, 8, 0)",  # io_uring_setup
        "libc.setns(0, 0)",
    ],
)
def test_dangerous_system_calls_are_refused(confined: Workbench, attempt: str) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86_64")
    body = f"libc = ctypes.CDLL(None, use_errno=True)\ndef handler(e, c):\n    return [{attempt}, ctypes.get_errno()]\n"
    function = confined.function("import ctypes\n" + body)
    assert confined.run(function).value == [-1, 1]
