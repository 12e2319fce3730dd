"""What a person calls the resource of an ARN."""

from typing import NamedTuple

# What the first part of an ARN's resource is called, by its service.
_KINDS = {
    ("dynamodb", "table"): "table", ("kinesis", "stream"): "stream", ("lambda", "function"): "function",
    ("firehose", "deliverystream"): "delivery stream", ("kinesisanalytics", "application"): "application",
    ("redshift", "cluster"): "warehouse", ("kinesisvideo", "stream"): "video stream",
}  # fmt: skip
_WHOLE = {"s3": "bucket", "sqs": "queue", "sns": "topic"}


class Thing(NamedTuple):
    """A resource: what kind it is, its name, and where it is when that is not where all is."""

    kind: str
    name: str
    place: str = ""

    def __str__(self) -> str:
        """As a person says it."""
        return f"{self.kind} {self.name}" + (f" ({self.place})" if self.place else "")


def thing(arn: str, home: tuple[str, str] = ("", "")) -> Thing:
    """What an ARN names; `home` is the (region, account) that need not be said."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return Thing("", arn)
    service, region, account, resource = parts[2], parts[3], parts[4], parts[5]
    away = [said for said, own in ((region, home[0]), (account, home[1])) if said and said != own]
    if service == "redshift" and resource.startswith("table:"):
        cluster, database, table = resource.removeprefix("table:").split("/", 2)
        return Thing("warehouse table", table, ", ".join([f"{cluster}, database {database}", *away]))
    if service in _WHOLE:
        return Thing(_WHOLE[service], resource, ", ".join(away))
    first = resource.replace("/", ":", 1).split(":", 1)
    kind = _KINDS.get((service, first[0]), f"{service} {first[0]}")
    name = first[-1]
    if kind in ("table", "stream", "video stream"):
        name = name.partition("/")[0]  # a table's stream, a stream's consumer
    return Thing(kind, name, ", ".join(away))
