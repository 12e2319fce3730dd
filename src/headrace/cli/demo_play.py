"""Plays the bank's transactions at the server with boto3, several at a time."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headrace.cli.demo_bank import Bank, Transaction
from headrace.cli.demo_deploy import Stack
from headrace.cli.server_process import ServerProcess

THREADS = 8
RETRY_SECONDS = 0.02
RETRY_SECONDS_MAX = 60.0


class Player:
    """Stores accounts and transactions, and notes when each was acknowledged."""

    def __init__(self, server: ServerProcess, stack: Stack, bank: Bank) -> None:
        self._server = server
        self._stack = stack
        self._bank = bank
        self.acknowledged_at: dict[str, float] = {}
        self.retries = 0
        self.seconds = 0.0
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def open_accounts(self) -> None:
        """Store the accounts."""
        table = self._stack.outputs["Accounts"]
        dynamodb = self._server.client("dynamodb", attempts=5)
        requests = [
            {
                "PutRequest": {
                    "Item": {
                        "account_id": {"S": account.account_id},
                        "holder": {"S": account.holder},
                        "email": {"S": account.email},
                        "credit_limit": {"N": str(account.credit_limit)},
                    }
                }
            }
            for account in self._bank.accounts
        ]
        batches = [requests[at : at + 25] for at in range(0, len(requests), 25)]
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(lambda batch: dynamodb.batch_write_item(RequestItems={table: batch}), batches):
                if answer["UnprocessedItems"]:
                    raise SystemExit("headrace: some accounts were not stored")

    def start(self, rate: float) -> None:
        """Begin to store the transactions, `rate` of them a second (0: as fast as it goes)."""
        numbers = itertools.count()
        began = time.monotonic()
        lock = threading.Lock()

        def play() -> None:
            client = self._server.client("dynamodb")
            while self._failure is None:
                with lock:
                    number = next(numbers)
                if number >= len(self._bank.transactions):
                    return
                if rate:
                    time.sleep(max(0.0, began + number / rate - time.monotonic()))
                try:
                    self._put(client, self._bank.transactions[number])
                except BaseException as error:
                    self._failure = error
                    return
                self.seconds = time.monotonic() - began

        self._threads = [threading.Thread(target=play, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def finished(self) -> bool:
        """Whether all transactions were acknowledged. Raises what a thread died of."""
        if self._failure is not None:
            raise self._failure
        return not any(thread.is_alive() for thread in self._threads)

    def _put(self, client: Any, transaction: Transaction) -> None:
        """Store one transaction. Repeated until it is acknowledged: the same item again makes no second stream record."""
        item = {
            "transaction_id": {"S": transaction.transaction_id},
            "account_id": {"S": transaction.account_id},
            "amount": {"N": str(transaction.amount)},
            "balance": {"N": str(transaction.balance)},
            "made_at": {"S": transaction.made_at},
        }
        deadline = time.monotonic() + RETRY_SECONDS_MAX
        while True:
            try:
                client.put_item(TableName=self._stack.outputs["Transactions"], Item=item)
                break
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline:
                    raise
                self.retries += 1
                time.sleep(RETRY_SECONDS)
        self.acknowledged_at[transaction.transaction_id] = time.time()
