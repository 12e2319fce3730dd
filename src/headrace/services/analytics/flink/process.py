"""A local Flink cluster for one application, in a process of its own: a job manager and a task manager, kept alive.

    python -m headrace.services.analytics.flink.process

The first line of its input is an order in JSON; later ones bring the role's credentials, which programs get from an address
that the AWS SDKs know of (as on ECS). It answers with a line that names the cluster's URL, and then with the cluster's log, line
by line. When its input ends, so does all of it. The standard library alone: it stays small.
"""

import contextlib
import http.server
import json
import os
import queue
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from headrace.services.analytics.flink import sandbox

_MANAGERS = {
    "jobmanager": "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
    "taskmanager": "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
}
_OPENED = (
    "java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
)  # fmt: skip
_JSON_LINE = (
    '{"locationInformation":"%enc{%c}{JSON}","logger":"%enc{%c}{JSON}","message":"%enc{%m}{JSON}",'
    '"throwableInformation":"%enc{%throwable}{JSON}","threadName":"%enc{%t}{JSON}","messageType":"%p"}%n'
)
_JOB_MANAGER_HEAP_MIB = 512
_FIXED_MIB = {"jvm-metaspace.size": 256, "jvm-overhead.min": 64, "jvm-overhead.max": 64, "framework.heap.size": 64,
              "framework.off-heap.size": 64, "task.off-heap.size": 32}  # fmt: skip
_LINES_MAX = 10_000
_LINE_MAX_BYTES = 64_000
_PAUSE_SECONDS = 2.0
_END_SECONDS = 5.0


class Credentials:
    """The role's credentials, and the address where programs get them."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.current: dict[str, Any] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers.get("Authorization") == outer.token
                body = json.dumps(outer.current if allowed else {"message": "Forbidden"}).encode()
                self.send_response(200 if allowed else 403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def variables(self) -> dict[str, str]:
        """What the SDKs look for."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self._server.server_address[1]}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class Cluster:
    """The two managers of an order."""

    def __init__(self, order: dict[str, Any], environment: dict[str, str]) -> None:
        self._order = order
        self._environment = environment
        self._folder = Path(order["folder"])
        self._java = Path(order["java"])
        self._lines: queue.Queue[bytes] = queue.Queue(_LINES_MAX)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._ports = [_free_port() for _ in range(2)]
        self.url = f"http://127.0.0.1:{self._ports[1]}"
        self._memory_mib = _memory(order["memory_mib"], order["slots"])
        self._write()
        threading.Thread(target=self._say, daemon=True).start()

    def look(self) -> None:
        """Start what does not run."""
        for name in _MANAGERS:
            process = self._running.get(name)
            if process is not None and process.poll() is None:
                continue
            if time.monotonic() - self._started_at.get(name, -_PAUSE_SECONDS) >= _PAUSE_SECONDS:
                if process is not None:
                    self._put(json.dumps({"messageType": "ERROR", "message": f"the {name} ended: {process.returncode}"}).encode())
                self._start(name)

    def end(self) -> None:
        """End both."""
        for process in self._running.values():
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()

    def _start(self, name: str) -> None:
        self._started_at[name] = time.monotonic()
        process = self._running[name] = subprocess.Popen(
            [*self._confined(), *self._command(name)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self._environment, cwd=self._folder,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def _confined(self) -> list[str]:
        program = self._order["bubblewrap"]
        if not program:
            return []
        properties = self._folder / "conf" / "application_properties.json"
        return sandbox.command(program, self._folder, properties, [Path(one) for one in self._order["readable"]])

    def _command(self, name: str) -> list[str]:
        memory = self._memory_mib
        if name == "jobmanager":
            sizes = [f"-Xmx{_JOB_MANAGER_HEAP_MIB}m", "-XX:MaxMetaspaceSize=256m"]
        else:
            direct = memory["framework.off-heap.size"] + memory["task.off-heap.size"] + memory["network.max"]
            sizes = [
                f"-Xmx{memory['framework.heap.size'] + memory['task.heap.size']}m", f"-XX:MaxDirectMemorySize={direct}m",
                f"-XX:MaxMetaspaceSize={memory['jvm-metaspace.size']}m",
            ]  # fmt: skip
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        conf = self._folder / "conf"
        return [
            str(self._java), *sizes, "-XX:+UseSerialGC", "-XX:+IgnoreUnrecognizedVMOptions", *opened,
            f"-Dlog4j.configurationFile=file:{conf}/log4j.properties", f"-Dlog.file={self._folder}/log/{name}.log",
            f"-Djava.io.tmpdir={self._folder}/tmp", "-cp", f"{self._order['jars']}/*", _MANAGERS[name], "--configDir", str(conf),
        ]  # fmt: skip

    def _write(self) -> None:
        folder = self._folder
        for name in ("conf", "log", "tmp", "web", "checkpoints", "savepoints"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        settings = {
            "jobmanager.rpc.address": "127.0.0.1", "jobmanager.rpc.port": self._ports[0], "jobmanager.bind-host": "127.0.0.1",
            "rest.address": "127.0.0.1", "rest.bind-address": "127.0.0.1", "rest.port": self._ports[1],
            "taskmanager.host": "127.0.0.1", "taskmanager.bind-host": "127.0.0.1", "taskmanager.cpu.cores": 1,
            "taskmanager.numberOfTaskSlots": self._order["slots"], "web.upload.dir": folder / "web",
            "io.tmp.dirs": folder / "tmp", "heartbeat.interval": 2000, "heartbeat.timeout": 20000,
            "execution.checkpointing.storage": "filesystem", "execution.checkpointing.dir": f"file://{folder}/checkpoints",
            "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints",
            "execution.checkpointing.num-retained": 2, "restart-strategy.exponential-delay.max-backoff": "10 s",
            **{f"taskmanager.memory.{name}": f"{size}m" for name, size in self._memory_mib.items()},
        }  # fmt: skip
        (folder / "conf" / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        (folder / "conf" / "log4j.properties").write_text(_log4j(self._order["log_level"]))
        properties = folder / "conf" / "application_properties.json"
        properties.write_text(json.dumps(self._order["properties"]))
        properties.chmod(0o600)

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := process.stdout.readline(_LINE_MAX_BYTES):
                self._put(line.rstrip())

    def _put(self, line: bytes) -> None:
        # Rather a line is lost than that the job waits for a reader.
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def _say(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sys.stdout.buffer.write(self._lines.get() + b"\n")
                sys.stdout.buffer.flush()


def _memory(total_mib: int, slots: int) -> dict[str, int]:
    """The parts of a task manager's memory, by Flink's names."""
    network = max(64, 16 * slots)
    left = max(128, total_mib - sum(_FIXED_MIB.values()) + _FIXED_MIB["jvm-overhead.max"] - network)
    managed = left // 4
    return {
        **_FIXED_MIB,
        "network.min": network,
        "network.max": network,
        "managed.size": managed,
        "task.heap.size": left - managed,
    }


def _log4j(level: str) -> str:
    return f"""
rootLogger.level = {level}
rootLogger.appenderRef.console.ref = Console
rootLogger.appenderRef.file.ref = File
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.alwaysWriteExceptions = false
appender.console.layout.pattern = {_JSON_LINE}
appender.file.name = File
appender.file.type = RollingFile
appender.file.fileName = ${{sys:log.file}}
appender.file.filePattern = ${{sys:log.file}}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
"""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    """Run a cluster until the input ends."""
    order = json.loads(sys.stdin.buffer.readline())
    credentials = Credentials()
    credentials.current = order["credentials"]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp",
        "FLINK_CONF_DIR": f"{order['folder']}/conf", **order["environment"], **credentials.variables(),
    }  # fmt: skip
    cluster = Cluster(order, environment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.buffer.write(json.dumps({"url": cluster.url}).encode() + b"\n")
    sys.stdout.buffer.flush()
    os.set_blocking(sys.stdin.fileno(), False)
    given = b""
    try:
        while True:
            cluster.look()
            ready, _, _ = select.select([sys.stdin], [], [], 0.5)
            if not ready:
                continue
            part = os.read(sys.stdin.fileno(), 65_536)
            if not part:
                return
            *lines, given = (given + part).split(b"\n")
            for line in lines:
                credentials.current = json.loads(line)["credentials"]
    finally:
        cluster.end()


if __name__ == "__main__":
    main()
