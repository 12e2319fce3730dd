"""A Flink cluster's REST API as far as applications use it, that can be told to go wrong. What works is tried on a real one."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class FakeCluster:
    """Jobs are RUNNING once they are run, unless something was asked for: a text that `refuses` a run
    (but, with `refuses_only`, none without that argument), or makes each savepoint fail."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.runs: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.disposed: list[str] = []
        self.jars: set[str] = set()
        self.refuses = ""
        self.refuses_only = ""
        self.savepoint_fails = ""
        self.failures: list[str] = []
        self.checkpoint = ""
        self.asked: list[str] = []
        self._triggers = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, found = outer.answer(self.command, self.path, body)
                said = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PATCH = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def breaking(self, name: str, value: Any) -> Iterator[None]:
        """For a while, something goes wrong."""
        before = getattr(self, name)
        setattr(self, name, value)
        yield
        setattr(self, name, before)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/jars/upload":
            assert b"PK" in body
            self.jars.add("a_b.jar")
            return 200, {"filename": "/somewhere/a_b.jar", "status": "success"}
        if path == "/jars/a_b.jar/run":
            given = json.loads(body)
            self.runs.append(given)
            if self.refuses and self.refuses_only in ("", *given.get("programArgsList", ())):
                return 500, {"errors": ["Internal server error.", self.refuses]}
            self.jobs[given["jobId"]] = {"state": "RUNNING", "status-counts": {"RUNNING": 1, "FAILED": 0}, "duration": 1}
            return 200, {"jobid": given["jobId"]}
        if method == "DELETE":
            self.jars.discard("a_b.jar")
            return 200, {}
        if path == "/savepoint-disposal":
            self.disposed.append(json.loads(body)["savepoint-path"])
            return 202, {"request-id": "d"}
        found = re.match(r"/jobs/([0-9a-f]+)(?:/(\w+))?", path)
        if found is None or found[1] not in self.jobs:
            return 404, {"errors": ["org.apache.flink.runtime.rest.NotFoundException: Job not found\n\tat a.b.C"]}
        return self._job(method, found[1], found[2] or "")

    def _job(self, method: str, job_id: str, what: str) -> tuple[int, dict[str, Any]]:
        job = self.jobs[job_id]
        if method == "PATCH":
            if job["state"] in ("FINISHED", "FAILED"):
                ended = f"another terminal state ({job['state']})"
                return 409, {"errors": [f"Job cancellation failed because the job has already reached {ended}."]}
            job["state"] = "CANCELED"
            self.cancelled.append(job_id)
            return 202, {}
        if what == "exceptions":
            return 200, {"exceptionHistory": {"entries": [{"stacktrace": text} for text in self.failures]}}
        if what == "checkpoints":
            last = {"external_path": self.checkpoint, "end_to_end_duration": 7, "state_size": 70}
            return 200, {"counts": {"failed": 3}, "latest": {"completed": last if self.checkpoint else None}}
        if method == "POST":
            self._triggers += 1
            if what == "stop" and not self.savepoint_fails:
                job["state"] = "FINISHED"
            return 202, {"request-id": f"t{self._triggers}"}
        if what == "savepoints":
            outcome = {"location": f"file:/savepoints/{job_id}"}
            if self.savepoint_fails:
                outcome = {
                    "failure-cause": {"class": "a.B", "stack-trace": f"a.B: no\n\tat c.D\nCaused by: {self.savepoint_fails}"}
                }
            return 200, {"status": {"id": "COMPLETED"}, "operation": outcome}
        self.asked.append("job")
        return 200, job
