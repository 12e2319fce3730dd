"""DynamoDB's errors, named as the model's error shapes, with AWS's sentences."""

from collections.abc import Sequence
from typing import Any

from headrace.kit.errors import AwsError


class ResourceNotFoundException(AwsError):
    """There is no such table, index or stream."""


class ResourceInUseException(AwsError):
    """The table exists already, or is being changed."""


class LimitExceededException(AwsError):
    """Too many tables, indexes or tags."""


class ConditionalCheckFailedException(AwsError):
    """The item does not satisfy the condition."""


class TransactionCanceledException(AwsError):
    """A transaction was not carried out; CancellationReasons says why, one for each of its items."""


class IdempotentParameterMismatchException(AwsError):
    """A client token was used again for another transaction."""


class ItemCollectionSizeLimitExceededException(AwsError):
    """An item collection of a table with local indexes is too large."""


class DuplicateItemException(AwsError):
    """A statement inserts an item with a key that is there already."""


class TableNotFoundException(AwsError):
    """There is no such table, say the operations on backups and exports."""


class TableAlreadyExistsException(AwsError):
    """A table can't be restored under the name of one that is there."""


class BackupNotFoundException(AwsError):
    """There is no such backup."""


class BackupInUseException(AwsError):
    """The backup is being made or restored."""


class PointInTimeRecoveryUnavailableException(AwsError):
    """The table's changes are not kept."""


class InvalidRestoreTimeException(AwsError):
    """The table can't be had as it was then."""


class InvalidExportTimeException(AwsError):
    """The table can't be exported as it was then."""


class ExportNotFoundException(AwsError):
    """There is no such export."""


class ExportConflictException(AwsError):
    """A client token was used again for another export."""


class ImportNotFoundException(AwsError):
    """There is no such import."""


class ImportConflictException(AwsError):
    """A client token was used again for another import."""


class GlobalTableNotFoundException(AwsError):
    """There is no such global table of the older kind."""


class GlobalTableAlreadyExistsException(AwsError):
    """There is a global table of this name already."""


class ReplicaAlreadyExistsException(AwsError):
    """The global table is in this region already."""


class ReplicaNotFoundException(AwsError):
    """The global table is not in this region."""


class IndexNotFoundException(AwsError):
    """The table has no such index."""


class ProvisionedThroughputExceededException(AwsError):
    """A table's provisioned throughput is used up."""


class ThrottlingException(AwsError):
    """A table's maximum throughput on demand is used up."""


class PolicyNotFoundException(AwsError):
    """There is no policy at the resource, or not the one that was expected."""


class ExpiredIteratorException(AwsError):
    """A shard iterator is older than fifteen minutes."""


class TrimmedDataAccessException(AwsError):
    """The records asked for were removed after their twenty-four hours."""


def no_resource() -> ResourceNotFoundException:
    """What data operations say of a missing table."""
    return ResourceNotFoundException("Requested resource not found")


def no_table(name: str) -> ResourceNotFoundException:
    """What table operations say of a missing table."""
    return ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")


def in_use(why: str) -> ResourceInUseException:
    """A table that can't be changed now."""
    return ResourceInUseException(f"Attempt to change a resource which is still in use: {why}")


def condition_failed(item: Any = None) -> ConditionalCheckFailedException:
    """The condition does not hold; with the item, if the caller wanted it."""
    return ConditionalCheckFailedException("The conditional request failed", Item=item)


def canceled(reasons: Sequence[dict[str, Any]]) -> TransactionCanceledException:
    """A transaction that was not carried out."""
    codes = ", ".join(str(reason["Code"]) for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=list(reasons),
    )
