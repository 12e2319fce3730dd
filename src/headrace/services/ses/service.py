"""The door of SES: its two models, what runs by itself, and the mailbox."""

from headrace.operation import Service
from headrace.services.ses import pages, workers

SERVICE = Service(
    models=("ses", "sesv2"),
    operations="headrace.services.ses.operations",
    workers=workers.WORKERS,
    pages=pages.PAGES,
)
