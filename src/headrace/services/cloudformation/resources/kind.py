"""What a resource type is: its properties as data, and small functions that call the service that has it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.kit.errors import AwsError

Properties = Mapping[str, Any]
Attributes = dict[str, Any]


class Call(Protocol):
    """Calls an operation of a service for a stack: values are made to fit the model, as CloudFormation does (see `fit`)."""

    account: str
    region: str

    def __call__(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call e.g. ("sqs", "CreateQueue", QueueName=…). Parameters that are None are left out."""


class Gone(Exception):
    """A resource is not there any more."""


class ResourceFailed(Exception):
    """A resource can't become what it should; the text says why."""


@dataclass(frozen=True, slots=True)
class Naming:
    """The property that names a resource, and what a generated name looks like."""

    property: str
    length_max: int = 64
    lower: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type.

    `create` makes the resource in one call and returns its physical id; `ready` says whether it can be used; `finish` then makes
    further calls, each of which may be repeated. `read` gives what Fn::GetAtt can ask for, and raises AwsError when the resource
    is gone. `update` changes it in place, from old properties to new ones: it may be repeated, and is called again, with the
    resource ready, when it returns False. A change of a property in `fixed` makes a new resource. `adopt` finds the physical id
    of a resource whose creation was interrupted (otherwise the name that was chosen); `slow`: it is gone some time after
    `delete`.
    """

    type: str
    create: Callable[[Call, str, Properties], str]
    delete: Callable[[Call, str, Properties], None]
    read: Callable[[Call, str, Properties], Attributes]
    fixed: tuple[str, ...] = ()
    mutable: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    naming: Naming | None = None
    update: Callable[[Call, str, Properties, Properties], bool | None] | None = None
    finish: Callable[[Call, str, Properties], None] | None = None
    ready: Callable[[Call, str, Properties], bool] | None = None
    slow: bool = False
    takes_stack_tags: bool = True
    adopt: Callable[[Call, str, Properties], str | None] | None = None
    replaces: Callable[[Properties, Properties], bool] | None = None

    def problem(self, name: str, properties: Properties) -> str | None:
        """What is wrong with the names of a resource's properties, in AWS's words, or None."""
        allowed = {*self.fixed, *self.mutable}
        wrong = [f"#: required key [{key}] not found" for key in self.required if key not in properties]
        wrong += [f"#: extraneous key [{key}] is not permitted" for key in properties if key not in allowed]
        return f"Properties validation failed for resource {name} with message:\n" + "\n".join(wrong) if wrong else None

    def needs_replacement(self, new: Properties, old: Properties) -> bool:
        """Whether the change can't be made in place."""
        if any(new.get(key) != old.get(key) for key in self.fixed) or self.update is None:
            return True
        return self.replaces is not None and self.replaces(new, old)


_MISSING = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|DoesntExist")
_TAKEN = re.compile(
    r"AlreadyExist|ResourceInUse|ResourceConflict|QueueNameExists|AlreadyOwnedByYou|BucketAlready|DuplicateResource"
)


def is_missing(error: AwsError) -> bool:
    """Whether the error says that the resource is not there."""
    return _MISSING.search(error.code or type(error).__name__) is not None or _MISSING.search(type(error).__name__) is not None


def is_taken(error: AwsError) -> bool:
    """Whether the error says that the resource is there already."""
    return _TAKEN.search(error.code or type(error).__name__) is not None or _TAKEN.search(type(error).__name__) is not None


def changed(new: Properties, old: Properties, *names: str) -> bool:
    """Whether one of the properties changed."""
    return any(new.get(name) != old.get(name) for name in names)


def pick(properties: Properties, *names: str, **renamed: str) -> dict[str, Any]:
    """Those of the properties that are there: under their own names, or as API member=property."""
    found = {name: properties[name] for name in names if name in properties}
    return {**found, **{member: properties[name] for member, name in renamed.items() if name in properties}}


def tags_of(properties: Properties) -> dict[str, str]:
    """The property Tags as a dict."""
    tags = properties.get("Tags") or []
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(pair["Key"]): str(pair.get("Value", "")) for pair in tags}


def tag_changes(new: Properties, old: Properties) -> tuple[dict[str, str], list[str]]:
    """(tags to set, keys to remove) on the way from old properties to new ones."""
    wanted, had = tags_of(new), tags_of(old)
    return {key: value for key, value in wanted.items() if had.get(key) != value}, [key for key in had if key not in wanted]


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A dict as a list of {"Key": …, "Value": …}."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
