"""The servers that are measured: Headrace as it ships, and ministack from PyPI in an environment of its own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

KEY, SECRET = "HRBENCHKEY", "bench-secret"
BUILD = Path(__file__).resolve().parents[1] / "build"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(service: str, port: int) -> Any:
    """A boto3 client on a server here."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}, read_timeout=60),
    )


def wait_for(url: str | urllib.request.Request, process: subprocess.Popen[bytes], seconds: float = 60.0) -> float:
    """Wait for the first answer, of whatever status if it is a page; the seconds since this was called."""
    began = time.perf_counter()
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return time.perf_counter() - began
        except urllib.error.HTTPError as error:
            if not isinstance(url, str):
                raise SystemExit(f"{error.status} from {url.full_url}: {error.read()[:200]!r}") from None
            return time.perf_counter() - began
        except OSError:
            if process.poll() is not None or time.perf_counter() - began > seconds:
                raise SystemExit(f"no answer from {url}") from None
            time.sleep(0.002)


def headrace_environment(data: Path, port: int) -> dict[str, str]:
    """What `headrace up` needs to run on a folder and a port."""
    return {
        **os.environ,
        "HEADRACE_DATA": str(data),
        "HEADRACE_PORT": str(port),
        "HEADRACE_REDSHIFT_PORT": str(free_port()),
        "HEADRACE_ROOT_ACCESS_KEY_ID": KEY,
        "HEADRACE_ROOT_SECRET_ACCESS_KEY": SECRET,
    }


def headrace_process(data: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `headrace up`."""
    command = [sys.executable, "-m", "headrace.cli.main", "up"]
    return subprocess.Popen(command, env=headrace_environment(data, port), stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def headrace(data: Path) -> Iterator[int]:
    """A Headrace server on the folder; its port."""
    port = free_port()
    process = headrace_process(data, port)
    try:
        wait_for(f"http://127.0.0.1:{port}/_headrace/health", process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def server_status(port: int) -> dict[str, Any]:
    """What the server on the port says of itself."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/_headrace/status", headers={"authorization": f"Bearer {SECRET}"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def processor_seconds(port: int) -> float:
    """The processor time that the server on the port has used: true on a busy machine, too."""
    pid = server_status(port)["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def ministack() -> Iterator[int]:
    """A ministack server; its port."""
    environment = BUILD / "ministack"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "ministack"], check=True)
    port = free_port()
    process = subprocess.Popen(
        [str(environment / "bin" / "ministack")],
        env={**os.environ, "GATEWAY_PORT": str(port), "PORT": str(port), "LOG_LEVEL": "ERROR"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/_localstack/health", process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _packaged(name: str, package: str) -> Path:
    """A program of npm, installed below build/ when it is not there."""
    environment = BUILD / name
    program = environment / "node_modules" / ".bin" / name
    if not program.exists():
        environment.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--prefix", str(environment), package], check=True)
    return program


@contextlib.contextmanager
def _running(port: int, *command: str) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def kinesalite() -> Iterator[int]:
    """A kinesalite server, which keeps all in memory and checks no signature; its port."""
    program, port = _packaged("kinesalite", "kinesalite@3.3.3"), free_port()
    with _running(port, str(program), "--port", str(port), "--createStreamMs", "10", "--shardLimit", "1000"):
        yield port


@contextlib.contextmanager
def dynalite() -> Iterator[int]:
    """A dynalite server, which keeps all in memory and checks no signature; its port."""
    program, port = _packaged("dynalite", "dynalite@4.0.0"), free_port()
    with _running(port, str(program), "--port", str(port), "--createTableMs", "10"):
        yield port


@contextlib.contextmanager
def dynoxide() -> Iterator[int | None]:
    """A Dynoxide server in memory; its port, or None where there is no Rust to build it with."""
    environment = BUILD / "dynoxide"
    program, cargo = environment / "bin" / "dynoxide", shutil.which("cargo")
    if not program.exists() and cargo is not None:
        features = ["--no-default-features", "--features", "native-sqlite,http-server,cli"]
        wanted = ["dynoxide-rs", "--version", "3.2.0", "--locked", *features, "--root", str(environment)]
        subprocess.run([cargo, "install", "--quiet", *wanted], check=False)
    if not program.exists():
        yield None
        return
    port = free_port()
    with _running(port, str(program), "--host", "127.0.0.1", "--port", str(port)):
        yield port


def load_binary() -> Path:
    """The load generator, built when its source is newer."""
    binary = BUILD / "load"
    source = Path(__file__).parent / "load"
    if not binary.exists() or binary.stat().st_mtime < max(file.stat().st_mtime for file in source.iterdir()):
        subprocess.run(["go", "build", "-o", str(binary), "."], cwd=source, check=True)
    return binary


def load(
    mode: str, port: int, name: str = "bench", seconds: float = 5.0, connections: int = 64, keys: int = 1_000_000, *more: str
) -> dict[str, Any]:
    """Run the load generator; what it printed. SystemExit when requests failed."""
    ran = subprocess.run(
        [str(load_binary()), "-mode", mode, "-address", f"127.0.0.1:{port}", "-key", KEY, "-secret", SECRET, "-name", name,
         "-seconds", str(seconds), "-c", str(connections), "-keys", str(keys), *more],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(ran.stdout)
    if result["errors"] or not result["requests"]:
        raise SystemExit(f"{mode} on port {port}: {result}")
    return result
