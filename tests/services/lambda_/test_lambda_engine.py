"""The engine alone, with AWS's own runtime client in real sandboxes."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine.function import Throttled

Workbench = Any
ECHO = "def handler(event, context):\n    return event\n"


def test_invoke__returns_what_the_handler_returns(bench: Workbench) -> None:
    ran = bench.run(bench.function(ECHO), {"a": [1, "ä", None]})
    assert ran.value == {"a": [1, "ä", None]}, ran.lines
    assert ran.outcome.error is None
    assert ran.outcome.init_ms is not None


def test_invoke__keeps_the_environment_warm(bench: Workbench) -> None:
    function = bench.function("import os\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n")
    assert [bench.run(function).value for _ in range(3)] == [1, 2, 3]
    assert bench.run(function).outcome.init_ms is None


def test_invoke__context(bench: Workbench) -> None:
    function = bench.function(
        "def handler(e, c):\n    return [c.aws_request_id, c.invoked_function_arn, c.get_remaining_time_in_millis()]\n",
        timeout_seconds=7,
    )
    ran = bench.run(function)
    request_id, arn, remaining = ran.value
    assert ran.lines[0] == f"START RequestId: {request_id} Version: $LATEST\n"
    assert arn == function.arn
    assert 6000 < remaining <= 7000


def test_invoke__logs_as_aws_does(bench: Workbench) -> None:
    function = bench.function(
        "import sys\ndef handler(e, c):\n    print('one')\n    print('two', file=sys.stderr)\n    sys.stdout.write('no end')\n"
    )
    ran = bench.run(function)
    start, *said, end, report = ran.lines
    assert start.startswith("START RequestId: ")
    assert said == ["one\n", "two\n", "no end\n"]
    assert end.startswith("END RequestId: ")
    assert re.fullmatch(
        r"REPORT RequestId: [0-9a-f-]{36}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t\n",
        report,
    )
    assert ran.outcome.log.decode() == "".join(ran.lines)


def test_invoke__tail_is_the_last_four_kibibytes(bench: Workbench) -> None:
    ran = bench.run(bench.function("def handler(e, c):\n    for i in range(5000):\n        print('line', i)\n"))
    assert len(ran.outcome.log) == 4096
    assert len(ran.lines) == 5003
    assert b"line 4999\nEND RequestId" in ran.outcome.log


def test_invoke__error_with_traceback(bench: Workbench) -> None:
    ran = bench.run(bench.function("def handler(e, c):\n    raise ValueError('no such account')\n"))
    assert ran.outcome.error == "Unhandled"
    assert ran.value["errorType"] == "ValueError"
    assert ran.value["errorMessage"] == "no such account"
    assert "/var/task/app.py" in ran.value["stackTrace"][0] or "app.py" in ran.value["stackTrace"][0]
    assert ran.lines[1].startswith("[ERROR] ValueError: no such account")


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import nothing_here\n", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nothing_here'"),
        ("def other(e, c): pass\n", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("raise KeyError('x')\n", "KeyError", "'x'"),
    ],
)
def test_invoke__error_while_loading(bench: Workbench, source: str, kind: str, message: str) -> None:
    ran = bench.run(bench.function(source))
    assert ran.outcome.error == "Unhandled"
    assert (ran.value["errorType"], ran.value["errorMessage"]) == (kind, message)


def test_invoke__timeout(bench: Workbench) -> None:
    function = bench.function("import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'done'\n", timeout_seconds=1)
    began = time.monotonic()
    ran = bench.run(function, 30)
    assert time.monotonic() - began < 5
    assert ran.value["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(r"RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds", ran.value["errorMessage"])
    assert "\tStatus: timeout\t" in ran.lines[-1]
    assert bench.run(function, 0).value == "done"


@pytest.mark.parametrize(
    ("code", "text"),
    [(1, "Runtime exited with error: exit status 1"), (0, "Runtime exited without providing a reason")],
)
def test_invoke__crash(bench: Workbench, code: int, text: str) -> None:
    function = bench.function("import os\ndef handler(e, c):\n    os._exit(e) if e is not None else None\n    return 'ok'\n")
    ran = bench.run(function, code)
    assert ran.outcome.error == "Unhandled"
    assert ran.value["errorType"] == "Runtime.ExitError"
    assert ran.value["errorMessage"].endswith(f" Error: {text}")
    assert bench.run(function).value == "ok"


def test_invoke__out_of_memory(bench: Workbench) -> None:
    if "control groups" not in bench.engine.isolation():
        pytest.skip("no control group can be made on this host")
    ran = bench.run(bench.function("def handler(e, c):\n    return len(bytearray(400 << 20))\n", timeout_seconds=20))
    assert ran.value["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert "Error Type: Runtime.OutOfMemory" in ran.lines[-1]
    assert "Max Memory Used: 128 MB" in ran.lines[-1]


def test_invoke__payloads_of_six_mebibytes(bench: Workbench) -> None:
    function = bench.function("def handler(e, c):\n    return e['text'] if 'text' in e else 'x' * e['size']\n", memory_mib=512)
    text = "y" * (limits.PAYLOAD_REQUEST_BYTES_MAX - 100)
    assert bench.run(function, {"text": text}).value == text
    assert (
        len(bench.run(function, {"size": limits.PAYLOAD_RESPONSE_BYTES_MAX - 2}).value) == limits.PAYLOAD_RESPONSE_BYTES_MAX - 2
    )
    ran = bench.run(function, {"size": limits.PAYLOAD_RESPONSE_BYTES_MAX - 1})
    assert ran.outcome.error == "Unhandled"
    assert ran.value["errorType"] == "Function.ResponseSizeTooLarge"
    assert (
        ran.value["errorMessage"]
        == "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
    )
    assert bench.run(function, {"size": 1}).value == "x"


def test_invoke__a_dead_idle_environment_swallows_nothing(bench: Workbench) -> None:
    function = bench.function(
        "import os, threading, time\n"
        "def handler(e, c):\n"
        "    if e == 'die later':\n"
        "        threading.Thread(target=lambda: (time.sleep(0.005), os._exit(3))).start()\n"
        "    return 'ok'\n"
    )
    assert bench.run(function, "die later").value == "ok"
    time.sleep(0.3)
    ran = bench.run(function)
    assert ran.value == "ok"
    assert ran.outcome.init_ms is not None


def test_invoke__one_environment_for_each_at_a_time(bench: Workbench) -> None:
    function = bench.function(
        "import time, uuid\nmine = str(uuid.uuid4())\ndef handler(e, c):\n    time.sleep(0.5)\n    return mine\n"
    )
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(bench.run(function).value)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 3
    assert bench.run(function).value in found


def test_invoke__throttles(open_workbench: Callable[..., Workbench]) -> None:
    bench = open_workbench(environments_max=1)
    slow = bench.function("import time\ndef handler(e, c):\n    time.sleep(1)\n")
    other = bench.function(ECHO)
    running = threading.Thread(target=lambda: bench.run(slow))
    running.start()
    while not bench.engine.pool.busy(slow.arn):
        time.sleep(0.01)
    with pytest.raises(Throttled, match="ReservedFunctionConcurrentInvocationLimitExceeded"):
        bench.run(slow, reserved=1)
    with pytest.raises(Throttled, match=r"^ConcurrentInvocationLimitExceeded"):
        bench.run(other)
    running.join()
    assert bench.run(other, 1).value == 1, "the idle environment makes room"
    assert bench.engine.pool.total_busy() == 0


def test_invoke__idle_environments_are_stopped(open_workbench: Callable[..., Workbench]) -> None:
    bench = open_workbench(idle_seconds=0)
    function = bench.function("import os\ndef handler(e, c):\n    return os.getpid()\n")
    bench.run(function)
    bench.engine._keep_house()
    assert bench.run(function).outcome.init_ms is not None


def test_invoke__other_runtimes_processes_can_be_killed_from_outside(bench: Workbench) -> None:
    function = bench.function("import time\ndef handler(e, c):\n    time.sleep(20)\n", timeout_seconds=30)
    found: list[str] = []
    running = threading.Thread(target=lambda: found.append(bench.run(function).value["errorMessage"]))
    running.start()
    pid = 0
    while not pid:
        time.sleep(0.05)
        pid = next((int(name) for name in os.listdir("/proc") if name.isdigit() and _runs(name, function.code.name)), 0)
    os.kill(pid, signal.SIGKILL)
    running.join()
    assert found[0].endswith("Runtime exited with error: signal: killed")


def _runs(pid: str, code: str) -> bool:
    try:
        mounts = Path("/proc", pid, "mountinfo").read_text()
        return f"{code} /var/task " in mounts or code in Path("/proc", pid, "cmdline").read_text()
    except OSError:
        return False


def test_invoke__environments_make_room_for_each_other(open_workbench: Callable[..., Workbench]) -> None:
    bench = open_workbench(environments_max=2)
    reach = (
        "import os, urllib.request\ndef handler(e, c):\n"
        "    return urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL']).read().decode()\n"
    )
    hungry = "kept = []\ndef handler(e, c):\n    kept.append(bytearray(300 << 20))\n    return 'answer'\n"
    functions = [bench.function(reach) for _ in range(3)] + [bench.function(hungry, memory_mib=512) for _ in range(2)]
    for function in functions * 2:
        ran = bench.run(function)
        assert ran.value == "answer", ran.lines
        assert ran.outcome.init_ms is not None


def test_invoke__processes_are_bounded(bench: Workbench) -> None:
    if "a user id each" not in bench.engine.isolation():
        pytest.skip("processes are counted by user id")
    function = bench.function(
        """
        import subprocess
        def handler(e, c):
            started = []
            try:
                while len(started) < 3000:
                    started.append(subprocess.Popen(["/bin/sleep", "60"]))
            except (BlockingIOError, OSError) as error:
                return [len(started), type(error).__name__]
            finally:
                for one in started:
                    one.kill()
        """,
        memory_mib=2048,
        timeout_seconds=60,
    )
    count, error = bench.run(function).value
    assert count < limits.PROCESSES_MAX
    assert error in ("BlockingIOError", "OSError")


def test_invoke__module_may_call_the_server_while_it_is_loaded(bench: Workbench) -> None:
    function = bench.function(
        """
        import os, urllib.request
        SAID = urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"], timeout=5).read().decode()
        def handler(e, c):
            return SAID
        """
    )
    assert bench.run(function).value == "answer"


def test_invoke__own_copies_of_what_the_zygote_has_loaded_win(bench: Workbench) -> None:
    function = bench.function("import boto3, urllib3, os\ndef handler(e, c):\n    return [boto3.__version__, urllib3.__file__]\n")
    (function.code / "boto3").mkdir()
    (function.code / "boto3" / "__init__.py").write_text("__version__ = 'own'\n")
    assert bench.run(function).value[0] == "own"


def test_invoke__stands_still_between_invocations(bench: Workbench) -> None:
    function = bench.function(
        """
        import threading, time
        ticks = []
        def tick():
            while True:
                time.sleep(0.01)
                ticks.append(1)
        threading.Thread(target=tick, daemon=True).start()
        def handler(e, c):
            return len(ticks)
        """
    )
    first = bench.run(function).value
    time.sleep(1.0)
    assert bench.run(function).value - first < 30, "it would be a hundred"
