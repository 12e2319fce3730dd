"""The door of Application Auto Scaling."""

from headrace.operation import Service
from headrace.services.autoscaling.workers import WORKERS

SERVICE = Service(
    models=("application-autoscaling",),
    operations="headrace.services.autoscaling.operations",
    workers=WORKERS,
)
