"""The protocols by the names that the models give them."""

from collections.abc import Mapping

from headrace.wire.protocols.base import Protocol
from headrace.wire.protocols.cbor import Cbor, RpcV2Cbor
from headrace.wire.protocols.json import Json
from headrace.wire.protocols.query import Query
from headrace.wire.protocols.rest_json import RestJson
from headrace.wire.protocols.rest_xml import RestXml

PROTOCOLS: Mapping[str, Protocol] = {
    "json": Json(),
    "cbor": Cbor(),
    "smithy-rpc-v2-cbor": RpcV2Cbor(),
    "query": Query(),
    "rest-json": RestJson(),
    "rest-xml": RestXml(),
}


def protocol(name: str) -> Protocol:
    """The protocol of that name. KeyError if there is none."""
    return PROTOCOLS[name]
