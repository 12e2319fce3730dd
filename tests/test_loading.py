"""Services are loaded when they are first asked for: each once, whoever asks first, and all soon after the start."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import HeadraceServer, eventually

from headrace import loading
from headrace.kit.errors import ServiceUnavailable
from headrace.loading import Card, Loader
from headrace.operation import Service
from headrace.ports import ColumnSource, Ports


class Bell:
    """Something to offer."""

    def send(self, *given: Any) -> tuple[Any, ...]:
        return given


class Shop:
    """A folder of services, and how often each was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        self.going_on = threading.Event()
        self.going_on.set()
        self.started: list[str] = []
        cards = (Card("bells", ("bells", "bells-data"), ("sinks.bells",)), Card("drums", ("drums",), ("invoker",)))
        monkeypatch.setattr(loading, "CARDS", cards)
        monkeypatch.setattr(loading, "read", self.read)
        self.ports = Ports()
        self.loader = Loader(self.ports, lambda service: self.started.append(service.name))

    def read(self, card: Card) -> Service:
        self.reads.append(card.folder)
        assert self.going_on.wait(10)
        return Service(models=card.models, operations="", offers={name: Bell() for name in card.offers})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(monkeypatch)


def test_find__loads_a_service_once_for_all_its_models(shop: Shop) -> None:
    assert shop.loader.find("bells-data") is shop.loader.find("bells")
    assert (shop.reads, shop.started) == (["bells"], ["bells"])
    assert shop.loader.find("flutes") is None


def test_find__those_who_ask_at_once_get_the_same(shop: Shop) -> None:
    shop.going_on.clear()
    found: list[Service | None] = []
    threads = [threading.Thread(target=lambda: found.append(shop.loader.find("bells"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    shop.going_on.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len({id(service) for service in found}) == 1
    assert shop.reads == ["bells"]


def test_ports__what_is_offered_loads_its_service_when_it_is_used(shop: Shop) -> None:
    sink = shop.ports.sinks["bells"]
    assert shop.reads == []
    assert "bells" in shop.ports.sinks
    assert sink.send(1, 2, 3) == (1, 2, 3)  # type: ignore[arg-type, func-returns-value, comparison-overlap]
    assert shop.reads == shop.started == ["bells"]
    assert type(shop.ports.sinks["bells"]) is Bell
    assert not isinstance(shop.ports.invoker, ColumnSource)
    assert shop.reads == ["bells", "drums"]


def test_load_all__makes_it_whole(shop: Shop) -> None:
    shop.loader.find("drums")
    assert not shop.loader.whole
    shop.loader.load_all()
    assert shop.loader.whole
    assert shop.reads == ["drums", "bells"]
    assert [service.name for service in shop.loader.services()] == ["drums", "bells"]


def test_stop__loads_nothing_more(shop: Shop) -> None:
    shop.loader.find("drums")
    shop.loader.stop()
    assert shop.loader.find("drums") is not None
    with pytest.raises(ServiceUnavailable):
        shop.loader.find("bells")


# One that names its operation in a header, a path of REST, a form, a page: each may be the first that a server hears.
FIRST = {
    "header": lambda server: server.client("dynamodb").list_tables()["TableNames"] == [],
    "rest": lambda server: server.client("lambda").list_functions()["Functions"] == [],
    "xml": lambda server: server.client("s3").list_buckets()["Buckets"] == [],
    "form": lambda server: server.client("sns").list_topics()["Topics"] == [],
    "cbor": lambda server: server.client("cloudwatch").list_metrics()["Metrics"] == [],
    "page": lambda server: "lambda-mappings" in " ".join(server.page("/_headrace/status")["workers"]),
}


@pytest.mark.parametrize("kind", FIRST)
def test_first_request__is_answered(kind: str, tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path).start()
    try:
        assert FIRST[kind](server)
    finally:
        assert server.stop() == 0


def test_start__what_runs_by_itself_begins_unasked(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path).start()
    try:
        redshift = server.client("redshift")
        redshift.create_cluster(
            ClusterIdentifier="unasked", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Secret12345",
            NumberOfNodes=1,
        )  # fmt: skip
        eventually(lambda: "Port" in redshift.describe_clusters()["Clusters"][0].get("Endpoint", {}))
        port = redshift.describe_clusters()["Clusters"][0]["Endpoint"]["Port"]
        server.kill()
        eventually(lambda: not listens(port))
        server.start()
        eventually(lambda: listens(port))
    finally:
        assert server.stop() == 0


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_stop__while_services_are_loaded_is_clean(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path)
    for _ in range(5):
        server.start()
        assert server.stop() == 0
    assert "Traceback" not in server.log_text()
