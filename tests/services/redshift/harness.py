"""A warehouse process on its own, without the server: its private line is served by the test, with objects from a dict."""

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from headrace.services.redshift.engine.control import Channel


class Engine:
    """Starts a warehouse process and plays the server's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[str, bytes] = {}
        self.temporary: dict[str, list[str]] = {}
        self.fetches = 0
        self.start()

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headrace.services.redshift.engine.warehouse", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()
        methods = {"fetch": self.fetch, "store": self.store, "credentials": lambda user: self.temporary.get(user, [])}
        self.channel = Channel(ours, methods, lambda: None)
        self.channel.start()
        answer = self.channel.call(
            "open", folder=str(self.folder), host="127.0.0.1", port=0, database="dev", master="admin",
            master_hash=hashlib.md5(b"Secret123admin").hexdigest(), memory_limit_mb=1024, timeout_s=20,
        )  # fmt: skip
        self.port = answer["port"]

    def fetch(self, urls: list[dict[str, Any]], role: str, access_key: list[str], folder: str) -> list[dict[str, Any]]:
        found = []
        self.fetches += 1
        for entry in urls:
            names = [
                url for url in sorted(self.objects) if (url == entry["url"] if entry["exact"] else url.startswith(entry["url"]))
            ]
            if not names and entry["mandatory"]:
                raise FileNotFoundError(f"Access Denied or no such key: {entry['url']}")
            for name in names:
                path = Path(folder) / f"{self.fetches}-{len(found)}"
                path.write_bytes(self.objects[name])
                found.append({"url": name, "path": str(path), "size_bytes": len(self.objects[name])})
        return found

    def store(self, objects: list[dict[str, str]], role: str, access_key: list[str], overwrite: bool, clean: str) -> None:
        for entry in objects:
            self.objects[entry["url"]] = Path(entry["path"]).read_bytes()

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        options = {"user": "admin", "password": "Secret123", "dbname": "dev", **more}
        return psycopg.connect(host="127.0.0.1", port=self.port, autocommit=True, **options)

    def load(self, statement: str, manifest_id: str) -> dict[str, Any]:
        return self.channel.call(
            "load", database="dev", user="admin", password="Secret123", statement=statement, manifest_id=manifest_id, timeout_s=60
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.channel.close()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.channel.close()
            self.process.wait(10)
