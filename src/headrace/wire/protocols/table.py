"""The protocols by the names that the models give them."""

from collections.abc import Mapping

from headrace.wire.protocols.base import Protocol
from headrace.wire.protocols.json import Json

PROTOCOLS: Mapping[str, Protocol] = {
    "json": Json(),
}


def protocol(name: str) -> Protocol:
    """The protocol of that name. KeyError if there is none."""
    return PROTOCOLS[name]
