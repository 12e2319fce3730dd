"""The door of Lambda, and what it offers to other services."""

from headrace.operation import Service

SERVICE = Service(models=("lambda",), operations="headrace.services.lambda_.operations")
