"""The bank of the demo: accounts and transactions made from a seed, and which of them overdraw."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_FIRST = ("Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "John", "Katherine", "Leslie")
_LAST = ("Backus", "Dijkstra", "Hopper", "Johnson", "Knuth", "Lamarr", "Lamport", "Liskov", "Lovelace", "Shannon", "Turing")
_BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """An account with its holder; the limit is how far it may go below zero."""

    account_id: str
    holder: str
    email: str
    credit_limit: Decimal


@dataclass(frozen=True)
class Transaction:
    """A transaction, and the balance that it leaves."""

    transaction_id: str
    account_id: str
    amount: Decimal
    balance: Decimal
    made_at: str


class Bank:
    """The same seed makes the same bank."""

    def __init__(self, seed: int, account_count: int, transaction_count: int) -> None:
        chance = random.Random(seed)
        self.accounts = [_account(chance, number) for number in range(account_count)]
        balances = {account.account_id: Decimal(chance.randrange(50, 1500)) for account in self.accounts}
        limits = {account.account_id: account.credit_limit for account in self.accounts}
        self.transactions: list[Transaction] = []
        self.overdrawn: dict[str, Transaction] = {}
        for number in range(transaction_count):
            account = chance.choice(self.accounts)
            amount = Decimal(chance.randrange(-30_000, 24_000)) / 100
            if balances[account.account_id] < -limits[account.account_id] - 400:
                # Holders pay in when they are deep in debt.
                amount = Decimal(1500)
            balances[account.account_id] += amount
            made_at = _BEGIN + timedelta(seconds=number * 7)
            made = Transaction(
                f"t{seed}-{number:06d}", account.account_id, amount, balances[account.account_id], f"{made_at:%Y-%m-%d %H:%M:%S}"
            )
            self.transactions.append(made)
            if made.balance < -account.credit_limit:
                self.overdrawn[made.transaction_id] = made


def _account(chance: random.Random, number: int) -> Account:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    limit = Decimal(chance.choice((0, 200, 500)))
    return Account(f"a{number:05d}", f"{first} {last}", f"{first}.{last}.{number}@example.org".lower(), limit)
