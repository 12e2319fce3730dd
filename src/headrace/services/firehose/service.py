"""The door of Firehose, and what it offers to other services."""

from headrace.operation import Service

SERVICE = Service(models=("firehose",), operations="headrace.services.firehose.operations")
