"""The Kinesis Producer Library, with its native program, over TLS: what it aggregates, KCL reads record by record."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import kcl
from clients.programs import java
from conftest import HeadraceServer, eventually

RECORDS = 20_000

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, with its key and a Java trust store beside it."""
    folder = tmp_path_factory.mktemp("tls")
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        "key.pem",
        "-out",
        "ca.pem",
        *name,
    ]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    trust = [
        "keytool",
        "-importcert",
        "-noprompt",
        "-alias",
        "h",
        "-file",
        "ca.pem",
        "-keystore",
        "trust",
        "-storepass",
        "changeit",
    ]
    subprocess.run(trust, cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"


@pytest.fixture(scope="module")
def tls_server(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    flags = ("--tls-certificate", str(certificate), "--tls-key", str(certificate.parent / "key.pem"))
    server = HeadraceServer(tmp_path_factory.mktemp("headrace") / "data", *flags)
    server.url = f"https://localhost:{server.port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate))
        server.start()
    yield server
    server.stop()


def test_kpl__aggregated_records_are_read_one_by_one(
    tls_server: HeadraceServer,
    certificate: Path,
    run: Callable[..., str],
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    kinesis: Any = tls_server.client("kinesis", verify=str(certificate))
    kinesis.create_stream(StreamName="kpl", ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName="kpl", WaiterConfig={"Delay": 1})
    trust = [f"-Djavax.net.ssl.trustStore={certificate.parent}/trust", "-Djavax.net.ssl.trustStorePassword=changeit"]
    endpoint = {"AWS_ENDPOINT_URL": tls_server.url}
    producer = java("headrace.Producer", "kpl", str(RECORDS), str(kcl.KEYS), str(tls_server.port))
    assert run(*producer, **endpoint) == f"ok {RECORDS}\n"
    stored = 0
    for shard in kinesis.list_shards(StreamName="kpl")["Shards"]:
        asked = {"StreamName": "kpl", "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**asked)["ShardIterator"]
        stored += len(kinesis.get_records(ShardIterator=iterator)["Records"])
    assert 0 < stored < RECORDS / 10, "the library aggregates many records into one"
    # KCL over TLS negotiates HTTP/2.
    file = tmp_path / "worker"
    start("worker", *java(*trust, "headrace.Worker", "fanout", "kpl-app", "kpl", "w0", str(file)), **endpoint)
    eventually(lambda: kcl.count([file]) >= RECORDS, 120)
    # Requests of the library overtake each other: it promises no order.
    kcl.check([file], RECORDS, ordered=False)
