"""CloudFormation's door."""

from headrace.operation import Service
from headrace.services.cloudformation import workers

SERVICE = Service(
    models=("cloudformation",),
    operations="headrace.services.cloudformation.operations",
    workers=workers.WORKERS,
)
