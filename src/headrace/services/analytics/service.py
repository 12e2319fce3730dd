"""The door of Analytics."""

from headrace.operation import Service
from headrace.services.analytics import flows, workers

SERVICE = Service(
    models=("kinesisanalytics", "kinesisanalyticsv2"),
    operations="headrace.services.analytics.operations",
    offers={"flows.analytics": flows.Links()},
    on_start=workers.start,
    on_stopping=workers.stopping,
    on_stop=workers.stop,
)
