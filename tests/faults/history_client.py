"""A client that reads and appends to lists and writes down what it asked and was told. Arguments: URL, number, folder.

It goes on until the folder holds `stop`. Its log has one line for each operation, as `history.Operation` has it.
"""

import json
import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

TABLE = "lists"
KEYS = 10
REFUSALS = ("ConditionalCheckFailedException", "TransactionCanceledException")
APPEND = "SET l = list_append(if_not_exists(l, :none), :values), n = if_not_exists(n, :zero) + :one"


class HistoryClient:
    """One process's operations, one after another."""

    def __init__(self, url: str, number: int, folder: Path) -> None:
        settings = Config(retries={"max_attempts": 0}, read_timeout=20, connect_timeout=5)
        self._dynamodb = boto3.client("dynamodb", endpoint_url=url, config=settings)
        self._number = number
        self._folder = folder
        self._chance = random.Random(number)
        self._count = 0
        self._log = (folder / f"client-{number}.jsonl").open("w")

    def run(self) -> None:
        """Work until the file that says stop is there."""
        kinds = [
            self.read,
            self.read_together,
            self.append,
            self.append_together,
            self.append_if,
            self.append_where,
            self.replace,
        ]
        while not (self._folder / "stop").exists():
            self._count += 1
            self._chance.choice(kinds)()
        self._log.close()

    def _asked(self, send: Any, *, again: bool = False) -> tuple[str, float, float, Any]:
        """Send it; the outcome, both times and the answer (or the refusal). `again`: until there is an answer."""
        invoked = time.monotonic()
        while True:
            try:
                answer = send()
                return "done", invoked, time.monotonic(), answer
            except ClientError as error:
                if error.response["Error"]["Code"] in REFUSALS:
                    return "refused", invoked, time.monotonic(), error.response
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise
            except BotoCoreError:
                time.sleep(0.01)
            if not again:
                return "unknown", invoked, time.monotonic(), None

    def _note(self, asked: tuple[str, float, float, Any], **seen: Any) -> None:
        outcome, invoked, answered, _ = asked
        times = {"invoked_seconds": invoked, "answered_seconds": answered}
        record = {"name": f"{self._number}-{self._count}", "outcome": outcome, **times, **seen}
        self._log.write(json.dumps(record) + "\n")

    def _keys(self, count: int) -> list[str]:
        return [f"k{number}" for number in self._chance.sample(range(KEYS), count)]

    def _append(self, key: str, condition: str | None = None, **values: Any) -> dict[str, Any]:
        """The parameters of an update; it moves the item in the index, or takes it out of it."""
        mark = self._chance.random() < 0.8
        arguments: dict[str, Any] = {
            "TableName": TABLE,
            "Key": {"id": {"S": key}},
            "UpdateExpression": APPEND + (", o = :owner" if mark else " REMOVE o"),
            "ExpressionAttributeValues": {
                ":none": {"L": []}, ":values": {"L": [{"S": self._value()}]}, ":zero": {"N": "0"}, ":one": {"N": "1"},
                **({":owner": {"S": f"o{self._number}"}} if mark else {}), **values,
            },
        }  # fmt: skip
        return arguments if condition is None else {**arguments, "ConditionExpression": condition}

    def _value(self) -> str:
        return f"{self._number}-{self._count}"

    def read(self) -> None:
        """GetItem."""
        (key,) = self._keys(1)
        asked = self._asked(lambda: self._dynamodb.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True))
        self._note(asked, reads={key: listed(asked[3].get("Item"))} if asked[3] else {})

    def read_together(self) -> None:
        """TransactGetItems."""
        keys = self._keys(3)
        gets = [{"Get": {"TableName": TABLE, "Key": {"id": {"S": key}}}} for key in keys]
        asked = self._asked(lambda: self._dynamodb.transact_get_items(TransactItems=gets))
        found = asked[3]["Responses"] if asked[0] == "done" else []
        self._note(asked, reads={key: listed(one.get("Item")) for key, one in zip(keys, found, strict=False)})

    def append(self) -> None:
        """UpdateItem that tells the new list: a read and a write in one."""
        (key,) = self._keys(1)
        update = self._append(key)
        asked = self._asked(lambda: self._dynamodb.update_item(**update, ReturnValues="ALL_NEW"))
        self._note_update(asked, key)

    def _note_update(self, asked: tuple[str, float, float, Any], key: str) -> None:
        if asked[0] == "done":
            *before, mine = listed(asked[3]["Attributes"])
            assert mine == self._value()
            self._note(asked, reads={key: before}, appends={key: mine})
        elif asked[0] == "refused":
            self._note(asked, reads={key: listed(asked[3].get("Item"))}, appends={key: self._value()})
        else:
            self._note(asked, appends={key: self._value()})

    def append_if(self) -> None:
        """UpdateItem under a condition on what was read before; a refusal tells what is there."""
        (key,) = self._keys(1)
        asked = self._asked(lambda: self._dynamodb.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True))
        if asked[0] != "done":
            return
        before = listed(asked[3].get("Item"))
        self._note(asked, reads={key: before})
        self._count += 1
        update = self._append(key, condition(before), **({":length": {"N": str(len(before))}} if before else {}))
        asked = self._asked(
            lambda: self._dynamodb.update_item(**update, ReturnValues="ALL_NEW", ReturnValuesOnConditionCheckFailure="ALL_OLD")
        )
        assert asked[0] != "done" or listed(asked[3]["Attributes"])[:-1] == before
        self._note_update(asked, key)

    def append_together(self) -> None:
        """TransactWriteItems of several updates; asked again with its token, half the time, until its outcome is known."""
        keys = self._keys(3)
        self._transact([{"Update": self._append(key)} for key in keys], keys, {})

    def append_where(self) -> None:
        """Append to one key if another is as it was read: alone, each such pair of writes would be skewed."""
        read, written = self._keys(2)
        asked = self._asked(lambda: self._dynamodb.get_item(TableName=TABLE, Key={"id": {"S": read}}, ConsistentRead=True))
        if asked[0] != "done":
            return
        before = listed(asked[3].get("Item"))
        self._note(asked, reads={read: before})
        self._count += 1
        check = {"TableName": TABLE, "Key": {"id": {"S": read}}, "ConditionExpression": condition(before)}
        if before:
            check["ExpressionAttributeValues"] = {":length": {"N": str(len(before))}}
        self._transact([{"ConditionCheck": check}, {"Update": self._append(written)}], [written], {read: len(before)})

    def _transact(self, actions: list[Any], keys: list[str], lengths: dict[str, int]) -> None:
        token, again = str(uuid.UUID(int=self._chance.getrandbits(128))), self._chance.random() < 0.5
        asked = self._asked(
            lambda: self._dynamodb.transact_write_items(TransactItems=actions, ClientRequestToken=token), again=again
        )
        # A condition that did not hold says nothing of the length that was there.
        found = {} if asked[0] == "refused" else lengths
        self._note(asked, lengths=found, appends=dict.fromkeys(keys, self._value()))

    def replace(self) -> None:
        """Items of its own, put, overwritten and deleted: no list, but the stream and the index must have them right."""
        key, item = (
            f"own-{self._number}-{self._chance.randrange(5)}",
            {"n": {"N": str(self._count)}, "o": {"S": f"o{self._number}"}},
        )
        if self._chance.random() < 0.6:
            self._asked(lambda: self._dynamodb.put_item(TableName=TABLE, Item={"id": {"S": key}, **item}))
        else:
            self._asked(lambda: self._dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": key}}))


def listed(item: dict[str, Any] | None) -> list[str]:
    """The values of an item's list; none without the item."""
    return [one["S"] for one in item["l"]["L"]] if item else []


def condition(before: list[str]) -> str:
    """The condition that the list is still as long."""
    return "size(l) = :length" if before else "attribute_not_exists(id)"


if __name__ == "__main__":
    HistoryClient(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).run()
