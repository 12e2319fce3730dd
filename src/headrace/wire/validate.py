"""What the model asks of an input, in AWS's own words.

Each shape is compiled once into a predicate that only says yes or no, for that is all a valid request needs; the sentences
are made on a second walk, when the answer was no.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from headrace.kit.errors import AwsError, ValidationException
from headrace.wire.models import OperationModel, Shape
from headrace.wire.patterns import compile_pattern
from headrace.wire.protocols.json import RAW_SHAPES

# A pattern is not tried on more text than this: some of AWS's patterns take quadratic time.
PATTERN_CHARACTERS_MAX = 8192
# One class of characters, repeated: linear, so texts of any length are tried (policy documents are longer than the above).
_LINEAR = re.compile(r"\^?\[(?:[^\]\\]|\\.)+\][+*]\$?", re.DOTALL)
SHOWN_CHARACTERS_MAX = 1024

_Predicate = Callable[[Any], bool]


class InvalidParameterException(AwsError):
    """CloudWatch Logs' name for a request that breaks a constraint."""

    code = "InvalidParameterException"


class BadRequestException(AwsError):
    """SES v2's name for a request that breaks a constraint."""

    code = "BadRequestException"


class MissingParameter(AwsError):
    """SQS and Redshift: a required member is absent."""

    code = "MissingParameter"


class InvalidParameter(AwsError):
    """SNS: a required member is absent."""

    code = "InvalidParameter"


class MalformedXML(AwsError):
    """S3: a required member is absent."""

    code = "MalformedXML"


_KINDS: Mapping[str, type[AwsError]] = {"logs": InvalidParameterException, "sesv2": BadRequestException}
# These check values by themselves, each in its own words; of the model they only hold to what is required.
_REQUIRED_ONLY: Mapping[str, Callable[[str], AwsError]] = {
    "s3": lambda name: MalformedXML("The XML you provided was not well-formed or did not validate against our published schema"),
    "sqs": lambda name: MissingParameter(f"The request must contain the parameter {name}."),
    "redshift": lambda name: MissingParameter(f"The request must contain the parameter {name}."),
    "sns": lambda name: InvalidParameter(f"Invalid parameter: {name} Reason: no value for required parameter"),
}


def validate(operation: OperationModel, parameters: Mapping[str, Any]) -> None:
    """Check an input against its model. Raises the service's error with AWS's text for every constraint it breaks."""
    predicate = _operation_predicate(operation)
    if predicate is None or predicate(parameters):
        return
    shape = operation.input
    assert shape is not None
    service = operation.service.name
    problems: list[str] = []
    _Explainer(problems, required_only=service in _REQUIRED_ONLY).structure(shape, parameters, "")
    if not problems:
        return
    if service in _REQUIRED_ONLY:
        raise _REQUIRED_ONLY[service](problems[0])
    many = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
    raise _KINDS.get(service, ValidationException)(many + "; ".join(problems))


@cache
def _operation_predicate(operation: OperationModel) -> _Predicate | None:
    if operation.input is None:
        return None
    name = operation.service.name
    compiler = _Compiler(required_only=name in _REQUIRED_ONLY, unchecked=RAW_SHAPES.get(name, frozenset()))
    return compiler.predicate(operation.input)


class _Compiler:
    """Makes predicates; a shape in which nothing can be wrong has none."""

    def __init__(self, *, required_only: bool, unchecked: frozenset[str]) -> None:
        self._required_only = required_only
        # Values that their service looks through anyway, by narrower rules than the model's.
        self._unchecked = unchecked
        self._made: dict[str, _Predicate | None] = {}

    def predicate(self, shape: Shape) -> _Predicate | None:
        if shape.name in self._made:
            return self._made[shape.name]
        if not self._is_constrained(shape, set()):
            self._made[shape.name] = None
            return None
        # A shape that holds itself asks for its predicate while that is being made: it gets this one.
        made: list[_Predicate] = []

        def itself(value: Any) -> bool:
            return made[0](value)

        self._made[shape.name] = itself
        made.append(self._build(shape))
        self._made[shape.name] = made[0]
        return made[0]

    def _is_constrained(self, shape: Shape, seen: set[str]) -> bool:
        if shape.name in seen or shape.name in self._unchecked:
            return False
        seen.add(shape.name)
        if shape.type == "structure":
            own = bool(shape.required) or (shape.union and not self._required_only)
            return own or any(self._is_constrained(member, seen) for member in shape.members.values())
        if shape.type == "list":
            return self._has_limits(shape) or self._is_constrained(shape.member, seen)
        if shape.type == "map":
            inner = self._is_constrained(shape.key, seen) or self._is_constrained(shape.value, seen)
            return inner or self._has_limits(shape)
        return self._has_limits(shape)

    def _has_limits(self, shape: Shape) -> bool:
        if self._required_only or shape.streaming:
            return False
        return bool(shape.min or shape.max is not None or shape.pattern or shape.enum)

    def _build(self, shape: Shape) -> _Predicate:
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list":
            return self._list(shape)
        if shape.type == "map":
            return self._map(shape)
        return _scalar(shape)

    def _structure(self, shape: Shape) -> _Predicate:
        required = frozenset(name for name in shape.required if name != shape.payload)
        checks = {}
        for name, member in shape.members.items():
            predicate = self.predicate(member) if not member.streaming else None
            if predicate is not None:
                checks[name] = predicate
        union = shape.union and not self._required_only
        find = checks.get

        def structure(value: Mapping[str, Any]) -> bool:
            if not required <= value.keys() or (union and len(value) != 1):
                return False
            for name, item in value.items():
                check = find(name)
                if check is not None and item is not None and not check(item):
                    return False
            return True

        return structure

    def _list(self, shape: Shape) -> _Predicate:
        inner = self.predicate(shape.member)
        low, high = _bounds(shape) if not self._required_only else (0, _NO_END)

        def items(value: list[Any]) -> bool:
            if not low <= len(value) <= high:
                return False
            if inner is not None:
                for item in value:
                    if not inner(item):
                        return False
            return True

        return items

    def _map(self, shape: Shape) -> _Predicate:
        key, inner = self.predicate(shape.key), self.predicate(shape.value)
        low, high = _bounds(shape) if not self._required_only else (0, _NO_END)

        def entries(value: Mapping[str, Any]) -> bool:
            if not low <= len(value) <= high:
                return False
            if key is not None and not all(map(key, value)):
                return False
            return inner is None or all(map(inner, value.values()))

        return entries


_NO_END = float("inf")
_NUMBERS = frozenset({"integer", "long", "short", "byte", "float", "double"})


def _bounds(shape: Shape) -> tuple[float, float]:
    low = shape.min if shape.min is not None else (-_NO_END if shape.type in _NUMBERS else 0)
    return low, shape.max if shape.max is not None else _NO_END


def _scalar(shape: Shape) -> _Predicate:
    low, high = _bounds(shape)
    if shape.type in _NUMBERS:
        return lambda value: low <= value <= high
    if shape.type not in ("string", "blob", "character"):
        return lambda value: True
    if shape.enum is not None:
        return frozenset(shape.enum).__contains__
    pattern = compile_pattern(shape.pattern) if shape.pattern else None
    if pattern is None:
        return lambda value: low <= len(value) <= high
    match = pattern.fullmatch
    most = high if _LINEAR.fullmatch(shape.pattern or "") else min(high, PATTERN_CHARACTERS_MAX)
    return lambda value: low <= len(value) <= most and match(value) is not None


class _Explainer:
    """Walks an input that is known to be wrong and says all that is."""

    def __init__(self, problems: list[str], *, required_only: bool) -> None:
        self._problems, self._required_only = problems, required_only

    def structure(self, shape: Shape, value: Mapping[str, Any], path: str) -> None:
        present = [name for name, item in value.items() if item is not None]
        if shape.union and not self._required_only and len(present) != 1:
            self._say(shape, value, path, "Member must have exactly one member set")
        for name, member in shape.members.items():
            item, below = value.get(name), _join(path, name[:1].lower() + name[1:])
            if item is not None:
                if not member.streaming:
                    self.value(member, item, below)
            elif name in shape.required and name != shape.payload:
                text = f"Value null at '{below}' failed to satisfy constraint: Member must not be null"
                self._problems.append(name if self._required_only else text)

    def value(self, shape: Shape, value: Any, path: str) -> None:
        if shape.type == "structure":
            self.structure(shape, value, path)
        elif shape.type == "list":
            self._length(shape, value, path)
            for number, item in enumerate(value, 1):
                self.value(shape.member, item, f"{path}.{number}.member")
        elif shape.type == "map":
            self._length(shape, value, path)
            for key, item in value.items():
                self.value(shape.key, key, path)
                self.value(shape.value, item, f"{path}.{key}.member")
        elif not self._required_only:
            self._scalar(shape, value, path)

    def _scalar(self, shape: Shape, value: Any, path: str) -> None:
        if shape.type in _NUMBERS:
            low, high = _bounds(shape)
            if value > high:
                self._say(shape, value, path, f"Member must have value less than or equal to {_number(high)}")
            if value < low:
                self._say(shape, value, path, f"Member must have value greater than or equal to {_number(low)}")
            return
        if shape.type not in ("string", "blob", "character"):
            return
        if shape.enum is not None:
            if value not in shape.enum:
                self._say(shape, value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
            return
        if shape.pattern and not _fits(shape.pattern, value):
            self._say(shape, value, path, f"Member must satisfy regular expression pattern: {shape.pattern}")
        self._length(shape, value, path)

    def _length(self, shape: Shape, value: Any, path: str) -> None:
        if self._required_only:
            return
        low, high = _bounds(shape)
        if len(value) > high:
            self._say(shape, value, path, f"Member must have length less than or equal to {_number(high)}")
        if len(value) < low:
            self._say(shape, value, path, f"Member must have length greater than or equal to {_number(low)}")

    def _say(self, shape: Shape, value: Any, path: str, constraint: str) -> None:
        shown = "Value" if shape.sensitive else f"Value '{_shown(value)}'"
        self._problems.append(f"{shown} at '{path}' failed to satisfy constraint: {constraint}")


def _fits(pattern: str, value: str) -> bool:
    compiled = compile_pattern(pattern)
    tried = len(value) <= PATTERN_CHARACTERS_MAX or _LINEAR.fullmatch(pattern) is not None
    return compiled is None or (tried and compiled.fullmatch(value) is not None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _shown(value: Any) -> str:
    """A value as Java would print it, for that is what AWS's sentences hold."""
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        text = f"[{', '.join(map(_shown, value))}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key}={_shown(item)}' for key, item in value.items())}}}"
    else:
        text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."
