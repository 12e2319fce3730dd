"""Decisions about vector indexes: which AWS accepts, in its own words."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.services.dynamodb import limits, rules
from headrace.services.dynamodb.state import TableRow
from headrace.services.dynamodb.vectors import VectorRow


def vector_row(given: Mapping[str, Any], number: int, known: Mapping[str, str]) -> VectorRow:
    """A vector index as it is kept."""
    schema = given.get("SearchSchema") or ()
    if any(one["AttributeName"] not in known for one in schema):
        raise rules.refuse("One element in SearchSchema is not defined in attribute definitions")
    names = [one["AttributeName"] for one in schema]
    if len(set(names)) < len(names):
        raise rules.refuse(f"An attribute stands more than once in the SearchSchema of an index: [{', '.join(names)}]")
    own = [one["AttributeName"] for one in schema if one["SearchSchemaElementType"] == "HASH"]
    if len(own) > 1:
        raise rules.refuse("A SearchSchema can have at most one HASH element")
    if not 1 <= given["Dimensions"] <= limits.VECTOR_DIMENSIONS_MAX:
        raise rules.refuse(f"Number of dimensions must be between 1 and {limits.VECTOR_DIMENSIONS_MAX} inclusive.")
    kind, attributes = rules.projection(given["Projection"])
    return VectorRow(
        number, given["IndexName"], given["VectorAttribute"]["AttributeName"], given["Dimensions"], given["DistanceFunction"],
        kind, attributes, own[0] if own else None, [name for name in names if name not in own],
    )  # fmt: skip


def check(row: TableRow) -> None:
    """What holds for all vector indexes of a table together, and with its other indexes."""
    check_billing(row.billing, row.vectors)
    if len(row.vectors) > limits.VECTOR_INDEXES_MAX:
        raise rules.refuse(f"VectorIndex count exceeds the per-table limit of {limits.VECTOR_INDEXES_MAX}")
    names = {index.name for index in row.indexes}
    dimensions: dict[str, int] = {}
    for index in row.vectors:
        if index.name in names:
            raise rules.refuse(f"Duplicate index name: {index.name}")
        names.add(index.name)
        if dimensions.setdefault(index.attribute, index.dimensions) != index.dimensions:
            raise rules.refuse(
                f"Conflicting attribute definition for '{index.attribute}'. All VectorIndexes on the same vector attribute must "
                "use the same dimensions."
            )
        if index.attribute in row.definitions:
            raise rules.refuse(f"The vector attribute of an index can't be a key or a filter: {index.attribute}")


def check_billing(billing: str, vectors: Sequence[VectorRow]) -> None:
    """Vector indexes are paid by the request."""
    if vectors and billing != "PAY_PER_REQUEST":
        raise rules.refuse("Vector indexes are only supported for PAY_PER_REQUEST tables")
