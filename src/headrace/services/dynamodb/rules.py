"""Decisions about tables: which descriptions AWS accepts, in its own words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.state import IndexRow
from headrace.services.dynamodb.vectors import VectorRow

_NAME = re.compile(r"[a-zA-Z0-9_.-]+").fullmatch
_INVALID = "One or more parameter values were invalid: "


def refuse(sentence: str) -> ValidationException:
    """A parameter that is wrong."""
    return ValidationException(_INVALID + sentence)


def check_table_name(name: str, member: str = "TableName") -> None:
    """Three to 255 letters, digits, dots, dashes and underscores."""
    if not 3 <= len(name) <= 255:
        raise ValidationException(f"{member} must be at least 3 characters long and at most 255 characters long")
    if not _NAME(name):
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at '{member[0].lower()}{member[1:]}' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )


def definitions(given: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """The types of attributes by their names."""
    return {one["AttributeName"]: one["AttributeType"] for one in given or ()}


def key_names(schema: Sequence[Mapping[str, str]], known: Mapping[str, str]) -> tuple[str, str | None]:
    """(partition key, sort key) of a KeySchema."""
    if not schema:
        raise refuse("No defined key schema.  A key schema containing at least a hash key must be defined for all tables")
    names = _defined_names(schema, known)
    if len(schema) > 2:
        raise ValidationException("Key Schema too big.  Key Schema must at most consist of the hash and range key of a table")
    if len(names) == 2 and names[0] == names[1]:
        raise ValidationException("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if schema[0]["KeyType"] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) == 2 and schema[1]["KeyType"] != "RANGE":
        raise ValidationException("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    return names[0], names[1] if len(names) == 2 else None


def _defined_names(schema: Sequence[Mapping[str, str]], known: Mapping[str, str]) -> list[str]:
    names = [one["AttributeName"] for one in schema]
    if any(name not in known for name in names):
        raise refuse(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(known)}]"
        )
    return names


def global_key_names(schema: Sequence[Mapping[str, str]], known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(partition attributes, sort attributes) of a global index's KeySchema: up to four of each, the partition's first.

    What is wrong with a key of one attribute of each kind is said in AWS's words; of several, in ours.
    """
    kinds = [one["KeyType"] for one in schema]
    if len(schema) < 2 or kinds == ["HASH", "RANGE"] or kinds[0] != "HASH":
        partition, sort = key_names(schema, known)
        return [partition], [] if sort is None else [sort]
    names = _defined_names(schema, known)
    if len(set(names)) < len(names):
        raise refuse(f"An attribute stands more than once in the KeySchema of an index: [{', '.join(names)}]")
    if kinds != sorted(kinds):
        raise refuse("The HASH elements of an index's KeySchema must come before its RANGE elements")
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > limits.INDEX_KEY_ATTRIBUTES_MAX:
            raise refuse(f"An index's KeySchema can have at most {limits.INDEX_KEY_ATTRIBUTES_MAX} {kind} elements")
    count = kinds.count("HASH")
    return names[:count], names[count:]


def throughput(billing: str, given: Mapping[str, int] | None, index: str | None = None) -> tuple[int, int]:
    """(read units, write units): demanded when they are provisioned, refused when requests are paid one by one."""
    if billing == "PAY_PER_REQUEST":
        if given is not None and index is None:
            raise refuse("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
        if given is not None:
            raise refuse(f"ProvisionedThroughput should not be specified for index: {index} when BillingMode is PAY_PER_REQUEST")
        return 0, 0
    if given is None:
        if index is None:
            raise refuse("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
        raise refuse(f"ProvisionedThroughput must be specified for index: {index}")
    return given["ReadCapacityUnits"], given["WriteCapacityUnits"]


def check_all_used(known: Mapping[str, str], used: set[str]) -> None:
    """Attributes are defined for keys only."""
    if set(known) != used:
        raise refuse(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
            if not used - set(known) and len(used) <= 2
            else "Some AttributeDefinitions are not used. "
            f"AttributeDefinitions: [{', '.join(known)}], keys used: [{', '.join(sorted(used))}]"
        )


def projection(given: Mapping[str, Any]) -> tuple[str, list[str]]:
    """(type, other attributes) of a Projection."""
    kind, attributes = given.get("ProjectionType"), given.get("NonKeyAttributes")
    if kind is None:
        raise refuse("Unknown ProjectionType: null")
    if attributes is not None and kind != "INCLUDE":
        raise refuse(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    if attributes is None and kind == "INCLUDE":
        raise refuse("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    return kind, list(attributes or ())


def index_row(
    given: Mapping[str, Any], number: int, known: Mapping[str, str], *, local: bool, billing: str = "PAY_PER_REQUEST"
) -> IndexRow:
    """A secondary index as it is kept."""
    name = given["IndexName"]
    partitions, sorts = _index_key_names(given["KeySchema"], known, local=local)
    kind, attributes = projection(given.get("Projection") or {})
    read_units, write_units = (0, 0) if local else throughput(billing, given.get("ProvisionedThroughput"), name)
    return IndexRow(
        number, name, local, partitions[0], sorts[0] if sorts else None, kind, attributes, read_units, write_units,
        more_partitions=partitions[1:], more_sorts=sorts[1:], counted=True,
    )  # fmt: skip


def _index_key_names(
    schema: Sequence[Mapping[str, str]], known: Mapping[str, str], *, local: bool
) -> tuple[list[str], list[str]]:
    if not local:
        return global_key_names(schema, known)
    partition, sort = key_names(schema, known)
    return [partition], [] if sort is None else [sort]


def check_indexes(rows: Sequence[IndexRow], partition: str, sort: str | None) -> None:
    """What holds for all indexes of a table together."""
    names: set[str] = set()
    for row in rows:
        if row.name in names:
            raise refuse(f"Duplicate index name: {row.name}")
        names.add(row.name)
        if not row.local:
            continue
        if sort is None:
            raise refuse("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
        if row.sort is None:
            raise refuse(f"Index KeySchema does not have a range key for index: {row.name}")
        if row.partition != partition:
            raise refuse(
                f"Index KeySchema does not have the same leading hash key as table KeySchema for index: {row.name}. "
                f"index hash key: {row.partition}, table hash key: {partition}"
            )
    if sum(row.local for row in rows) > limits.LOCAL_INDEXES_MAX:
        raise refuse("Number of LocalSecondaryIndexes exceeds per-table limit of 5")
    if sum(not row.local for row in rows) > limits.GLOBAL_INDEXES_MAX:
        raise refuse("GlobalSecondaryIndex count exceeds the per-table limit of 20")
    if sum(len(row.attributes) for row in rows) > limits.PROJECTED_ATTRIBUTES_MAX:
        raise refuse("Number of NonKeyAttributes across all indexes exceeds limit of 100")


def used_attributes(partition: str, sort: str | None, rows: Sequence[IndexRow], vectors: Sequence[VectorRow] = ()) -> set[str]:
    """The attributes that are keys of the table or of an index, or that searches speak of."""
    used = {partition, sort, *(name for row in rows for name in (*row.partitions, *row.sorts))}
    used |= {name for row in vectors for name in (row.partition, *row.filters)}
    return {name for name in used if name is not None}


def check_stream(given: Mapping[str, Any]) -> str | None:
    """The view type that a StreamSpecification asks for; None when it switches the stream off."""
    if given["StreamEnabled"]:
        if given.get("StreamViewType") is None:
            raise refuse("Stream view type is required when stream is enabled")
        return str(given["StreamViewType"])
    if given.get("StreamViewType") is not None:
        raise refuse("Stream view type is not allowed when stream is disabled")
    return None
