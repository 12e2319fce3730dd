"""What runs by itself: asynchronous events, event source mappings, and the sweeping of code that nobody uses."""

import shutil
import time

from headrace.consumer import Consumer
from headrace.layers import queue
from headrace.operation import Context
from headrace.services.lambda_ import mappings, packages, state
from headrace.services.lambda_.durable import workers as durable_workers
from headrace.services.lambda_.events import WORKER, Dispatcher
from headrace.services.lambda_.metering import METER
from headrace.services.lambda_.polling import Pollers
from headrace.services.lambda_.provisioning import PROVISIONER
from headrace.services.lambda_.state import EVENTS, MAPPINGS_TOPIC, PROVISIONED_TOPIC
from headrace.workers import Runner, Worker

SWEEP_SECONDS = 600.0
UNUSED_SECONDS = 3600.0

EVENTS_DISPATCHER = Dispatcher()
QUEUE_POLLERS = Pollers()
_unused_since: dict[str, float] = {}


def start(runner: Runner) -> None:
    """Called before the first request."""
    runner.add(
        Consumer("lambda-mappings", mappings.subscriptions, mappings.Deliveries(), topics=(MAPPINGS_TOPIC,)).worker(runner)
    )
    QUEUE_POLLERS.start()
    PROVISIONER.wake = lambda: runner.wake(["lambda-provisioned"])
    EVENTS_DISPATCHER.wake = lambda: runner.wake([WORKER])
    durable_workers.start(lambda: runner.wake([durable_workers.WORKER]))


def stop() -> None:
    """Called after the last one."""
    QUEUE_POLLERS.stop()
    EVENTS_DISPATCHER.stop()
    durable_workers.CONTINUER.stop()
    PROVISIONER.stop()


def sweep(ctx: Context) -> float:
    """Remove packages, and their unpacked copies, that no function has used for an hour."""
    codes = ctx.snapshot(lambda inner: list(state.used_codes(inner.tx)))
    blobs, digests = {code.blob_id for code in codes}, {code.digest for code in codes}
    packages.blobs(ctx).sweep(lambda blob_id: blob_id in blobs, UNUSED_SECONDS)
    top = packages.folder_of(ctx, "x").parent
    now = time.monotonic()
    for folder in top.glob("[!.]*") if top.is_dir() else ():
        # Copies of laid-over layers are made again when they are needed.
        if folder.name in digests:
            _unused_since.pop(folder.name, None)
        elif now - _unused_since.setdefault(folder.name, now) > UNUSED_SECONDS and not folder.name.startswith("layers-"):
            shutil.rmtree(folder, ignore_errors=True)
            _unused_since.pop(folder.name, None)
    return SWEEP_SECONDS


WORKERS = (
    durable_workers.DURABLE,
    Worker(WORKER, EVENTS_DISPATCHER.step, (queue.topic(EVENTS),)),
    Worker("lambda-queues", QUEUE_POLLERS.step, (MAPPINGS_TOPIC,)),
    Worker("lambda-sweep", sweep),
    Worker("lambda-meter", METER.step),
    Worker("lambda-provisioned", PROVISIONER.step, (PROVISIONED_TOPIC,)),
)
