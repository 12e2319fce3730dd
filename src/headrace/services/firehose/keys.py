"""The names under which a delivery writes. All follow from the delivery's row, so a repeated delivery writes the same names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace.services.firehose.engine import expressions, staging
from headrace.services.firehose.state import Delivery

PROCESSING_FAILED = "processing-failed"


def bucket(s3: Mapping[str, Any]) -> str:
    """The bucket of an S3 configuration."""
    return str(s3["BucketARN"]).split(":::", 1)[1]


def delivered(stream: str, delivery: Delivery) -> str:
    """The key of the object that holds the batch."""
    s3 = delivery.destination.s3
    prefix = expressions.success_prefix(s3.get("Prefix") or "", _at(delivery), lambda: _random(delivery))
    extension = delivery.destination.extended.get("FileExtension") or staging.EXTENSIONS[s3["CompressionFormat"]]
    return prefix + _name(stream, delivery, extension)


def backed_up(stream: str, delivery: Delivery, s3: Mapping[str, Any]) -> str:
    """The key of the object that holds the batch's source records."""
    prefix = expressions.success_prefix(s3.get("Prefix") or "", _at(delivery), lambda: _random(delivery))
    return prefix + _name(stream, delivery, staging.EXTENSIONS[s3["CompressionFormat"]])


def failed(stream: str, delivery: Delivery) -> str:
    """The key of the object that holds the batch's records which a function could not transform."""
    s3 = delivery.destination.s3
    prefix = expressions.error_prefix(
        s3.get("Prefix") or "", s3.get("ErrorOutputPrefix") or "", PROCESSING_FAILED, _at(delivery), lambda: _random(delivery)
    )
    return prefix + _name(stream, delivery, "")


def manifest(stream: str, delivery: Delivery, *, error: bool = False) -> str:
    """The key of the manifest that a COPY reads; or of the one that names what could not be loaded."""
    folder = ("errors/" if error else "") + "manifests/" + expressions.format_time(expressions.HOURLY, _at(delivery))
    return (delivery.destination.s3.get("Prefix") or "") + folder + _name(stream, delivery, "")


def _at(delivery: Delivery) -> datetime:
    return datetime.fromtimestamp(delivery.batch.oldest_ms / 1000, delivery.destination.zone)


def _name(stream: str, delivery: Delivery, extension: str) -> str:
    return staging.object_name(stream, delivery.version, _at(delivery), delivery.id, extension)


def _random(delivery: Delivery) -> str:
    # AWS's random strings have 11 characters. The id is random, and the same at each attempt.
    return delivery.id.replace("-", "")[-11:]
