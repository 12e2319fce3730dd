"""Names and ARNs of functions, as callers write them and as the service does."""

import re
from typing import NamedTuple, Protocol

from headrace.kit.arn import arn
from headrace.services.lambda_.errors import InvalidParameterValueException

LATEST = "$LATEST"
_FUNCTION = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?\Z"
)


class Place(Protocol):
    """An account and a region: a context is one."""

    @property
    def account(self) -> str:
        """Its 12 digits."""

    @property
    def region(self) -> str:
        """Its name."""


class FunctionName(NamedTuple):
    """What a caller named: a function, and perhaps one of its versions or aliases."""

    account: str
    region: str
    name: str
    qualifier: str | None


def parse(place: Place, text: str, qualifier: str | None = None) -> FunctionName:
    """Understand a name, a partial ARN or an ARN; a qualifier beside it must agree with one inside."""
    found = _FUNCTION.match(text)
    if found is None:
        raise InvalidParameterValueException(f"Invalid function name: {text}")
    inside = found["qualifier"]
    if inside and qualifier and inside != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    if found["account"] not in (None, place.account) or found["region"] not in (None, place.region):
        raise InvalidParameterValueException(
            f"The function {text} is not in this account and region: {place.account}, {place.region}"
        )
    return FunctionName(place.account, place.region, found["name"], qualifier or inside)


def function_arn(account: str, region: str, name: str, qualifier: str | None = None) -> str:
    """The ARN of a function, or of one of its versions or aliases."""
    return arn("lambda", region, account, f"function:{name}" + (f":{qualifier}" if qualifier else ""))


def named_arn(name: FunctionName) -> str:
    """The ARN of what a caller named."""
    return function_arn(*name)


def layer_arn(place: Place, name: str, version: int | None = None) -> str:
    """The ARN of a layer, or of one of its versions."""
    return arn("lambda", place.region, place.account, f"layer:{name}" + (f":{version}" if version else ""))


def parse_layer(place: Place, text: str) -> str:
    """The name of a layer of this account and region, from its name or its ARN."""
    parts = text.split(":")
    if len(parts) > 1 and (len(parts) != 7 or parts[5] != "layer" or (parts[4], parts[3]) != (place.account, place.region)):
        raise InvalidParameterValueException(
            f"The layer {text} is not in this account and region: {place.account}, {place.region}"
        )
    return parts[-1]


def mapping_arn(place: Place, mapping_id: str) -> str:
    """The ARN of an event source mapping."""
    return arn("lambda", place.region, place.account, f"event-source-mapping:{mapping_id}")


def parse_anywhere(text: str, place: Place) -> FunctionName:
    """A function of any account and region, as its ARN says; a bare name is one of the place."""
    found = _FUNCTION.match(text)
    if found is None:
        raise InvalidParameterValueException(f"Invalid function name: {text}")
    return FunctionName(found["account"] or place.account, found["region"] or place.region, found["name"], found["qualifier"])
