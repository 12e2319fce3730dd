"""A context on a store in memory, for tests that need no server."""

from pathlib import Path
from typing import Any

import msgspec

from headrace.kit.clock import Clock
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Ports, Principal
from headrace.store.blobs_local import LocalBlobs
from headrace.store.memory import MemoryStore

ACCOUNT = "000000000001"


def context(store: MemoryStore) -> Context:
    """A context outside of any transaction."""
    principal = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT)
    return Context(
        account=ACCOUNT, region="us-east-1", service="dynamodb", request_id="r", principal=principal, store=store,
        blobs=LocalBlobs(Path("unused")), clock=Clock(), ids=Ids(1), settings=Settings(), ports=Ports(),
    )  # fmt: skip


def plain(answer: Any) -> Any:
    """An answer without the raw JSON in it."""
    return msgspec.json.decode(msgspec.json.encode(answer))
