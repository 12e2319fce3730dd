"""What a PartiQL statement says. Its conditions and actions are those of the engine's expressions; values stand in them as
placeholders, kept apart as templates, for a statement's parameters come with each call."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import syntax, values
from headrace.services.dynamodb.engine.syntax import Path
from headrace.services.dynamodb.engine.values import Item, Value


class Parameter(msgspec.Struct, frozen=True):
    """A `?`: the place of its value in the call's parameters, from 0."""

    place: int


class Bag(msgspec.Struct, frozen=True):
    """A set as it is written: <<…>>."""

    members: tuple[Any, ...]


# A value in DynamoDB's form in which a Parameter or a Bag may stand for any value.
Template: TypeAlias = Any


class Select(msgspec.Struct, frozen=True, eq=False):
    """SELECT: `paths` is None for `*`; `order` are attributes, each with whether it runs down."""

    table: str
    index: str | None
    paths: tuple[Path, ...] | None
    where: syntax.Condition | None
    order: tuple[tuple[str, bool], ...] = ()


class Insert(msgspec.Struct, frozen=True, eq=False):
    """INSERT INTO … VALUE."""

    table: str
    item: Template


class Update(msgspec.Struct, frozen=True, eq=False):
    """UPDATE … SET … REMOVE … WHERE."""

    table: str
    tree: syntax.Update
    where: syntax.Condition | None
    returning: str | None = None


class Delete(msgspec.Struct, frozen=True, eq=False):
    """DELETE FROM … WHERE."""

    table: str
    where: syntax.Condition | None
    returning: str | None = None


class Exists(msgspec.Struct, frozen=True, eq=False):
    """EXISTS(SELECT …): a condition of a transaction."""

    select: Select


Statement: TypeAlias = Select | Insert | Update | Delete | Exists


class Parsed(msgspec.Struct, frozen=True, eq=False):
    """A statement with the templates of its placeholders, and how many parameters it takes."""

    statement: Statement
    templates: Mapping[str, Template]
    parameters: int

    def values(self, given: list[Value]) -> Item:
        """The values of the placeholders with a call's parameters, each in its form. ValidationException says what is wrong."""
        if len(given) < self.parameters:
            raise ValidationException("Number of parameters in request and statement don't match.")
        for parameter in given:
            values.take(parameter)
        found = {name: filled(template, given) for name, template in self.templates.items()}
        for value in found.values():
            values.take(value)
        return found


def filled(template: Template, given: list[Value]) -> Value:
    """A template with a call's parameters, as a value of its own."""
    if isinstance(template, Parameter):
        return dict(given[template.place])
    if isinstance(template, Bag):
        return _set([filled(member, given) for member in template.members])
    ((kind, content),) = template.items()
    if kind == "L":
        return {"L": [filled(member, given) for member in content]}
    if kind == "M":
        return {"M": {name: filled(member, given) for name, member in content.items()}}
    return dict(template)


def _set(members: list[Value]) -> Value:
    if not members:
        raise ValidationException("Empty bags are not supported")
    kinds = {values.kind_of(member) for member in members}
    if len(kinds) > 1 or not kinds <= {"S", "N", "B"}:
        raise ValidationException("Bags may only contain members of one of the types S, N and B")
    (kind,) = kinds
    return {kind + "S": [member[kind] for member in members]}
