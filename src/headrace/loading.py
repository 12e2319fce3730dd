"""Services are loaded when they are first asked for, and all of them soon after the start: importing them is most of a start."""

import importlib
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from headrace.kit.errors import ServiceUnavailable
from headrace.operation import Service
from headrace.ports import Ports


class Card(NamedTuple):
    """What is known of a service before it is loaded: its folder, its models, and the names of its `offers`."""

    folder: str
    models: tuple[str, ...]
    offers: tuple[str, ...] = ()


# In the order in which they are loaded: first those that are asked for by others, and those that open a port.
CARDS = (
    Card("iam", ("iam", "sts"), ("authority",)),
    Card("redshift", ("redshift", "redshift-data"), ("warehouse",)),
    Card(
        "dynamodb",
        ("dynamodb", "dynamodbstreams"),
        ("sources.dynamodb", "sources.dynamodb-feed", "policies.dynamodb", "insights.dynamodb", "flows.dynamodb"),
    ),
    Card("kinesis", ("kinesis",), ("sources.kinesis", "sinks.kinesis", "batch_sinks.kinesis", "policies.kinesis")),
    Card("logs", ("logs",), ("logs",)),
    Card("cloudwatch", ("cloudwatch",), ("metrics",)),
    Card("lambda_", ("lambda",), ("invoker", "sinks.lambda", "policies.lambda", "flows.lambda")),
    Card("s3", ("s3",), ("objects", "sinks.s3", "policies.s3", "flows.s3")),
    Card("firehose", ("firehose",), ("sinks.firehose", "batch_sinks.firehose", "taps.firehose", "flows.firehose")),
    Card("sqs", ("sqs",), ("sinks.sqs", "policies.sqs", "flows.sqs")),
    Card("sns", ("sns",), ("sinks.sns", "policies.sns", "flows.sns")),
    Card("ses", ("ses", "sesv2")),
    Card("cloudformation", ("cloudformation",)),
    Card("autoscaling", ("application-autoscaling",)),
    Card(
        "video",
        (
            "kinesisvideo", "kinesis-video-put-media", "kinesis-video-media", "kinesis-video-archived-media",
            "kinesis-video-signaling",
        ),
        ("sources.kinesisvideo",),
    ),
    Card("analytics", ("kinesisanalytics", "kinesisanalyticsv2"), ("flows.analytics",)),
)  # fmt: skip


def read(card: Card) -> Service:
    """Import a service."""
    service: Service = importlib.import_module(f"headrace.services.{card.folder}.service").SERVICE
    return service


class _Later:
    """Stands for what a service offers until the service is there, and loads it when it is used."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._load(), attribute)


class Loader:
    """Loads services, each once, on whichever thread asks first; `loaded(service)` starts what runs in it.

    A thread may wait here while it commits, so nothing that loading calls opens a transaction.
    """

    def __init__(self, ports: Ports, loaded: Callable[[Service], None]) -> None:
        self._ports = ports
        self._loaded = loaded
        self._lock = threading.RLock()
        self._cards: Mapping[str, Card] = {model: card for card in CARDS for model in card.models}
        self._stopping = False
        # Each service that is there, under each of its models' names.
        self.there: dict[str, Service] = {}
        # Whether all are there.
        self.whole = False
        for card in CARDS:
            for name in card.offers:
                _offer(ports, name, _Later(partial(self._offered, card, name)))

    def find(self, model: str) -> Service | None:
        """The service of a model, loaded when it is not there; None: there is none."""
        service = self.there.get(model)
        if service is None and model in self._cards:
            service = self._load(self._cards[model])
        return service

    def load_all(self) -> None:
        """Load what is not there yet."""
        for card in CARDS:
            self._load(card)
        self.whole = True

    def services(self) -> list[Service]:
        """Those that are there."""
        return list({service.name: service for service in list(self.there.values())}.values())

    def stop(self) -> None:
        """Load nothing more: ServiceUnavailable for those who ask."""
        with self._lock:
            self._stopping = True

    def _load(self, card: Card) -> Service:
        with self._lock:
            service = self.there.get(card.models[0])
            if service is not None:
                return service
            if self._stopping:
                raise ServiceUnavailable("The server stops.")
            service = read(card)
            for name, offered in service.offers.items():
                _offer(self._ports, name, offered)
            self._loaded(service)
            self.there.update(dict.fromkeys(card.models, service))
            return service

    def _offered(self, card: Card, name: str) -> Any:
        return self._load(card).offers[name]


def _offer(ports: Ports, name: str, offered: Any) -> None:
    port, _, entry = name.partition(".")
    if entry:
        getattr(ports, port)[entry] = offered
    else:
        setattr(ports, port, offered)
