"""Disks fail, loads fail and processes die while two of them deliver to Redshift. In the end each record is there once."""

import random
from collections import Counter
from typing import Any

import pytest
from tests.services.firehose.fakes import REDSHIFT, House

from headrace.ports import LoadFailed
from headrace.services.firehose import limits
from headrace.store.api import StoreUnavailable
from headrace.store.memory import Crash, Faults

PROCESSING = {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]}


class World:
    """A house in bad weather, and what its users were told."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.house = House()
        self.acknowledged: list[bytes] = []
        self.unsure: list[bytes] = []
        self.lives = 0
        self.house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": PROCESSING})
        self.house.store._faults = Faults(seed, crash=0.05, fail=0.05)

    def put(self) -> None:
        """Put some records in one request."""
        records = [b"%d" % (len(self.acknowledged) + len(self.unsure) + n) for n in range(self.chance.randint(1, 4))]
        records = [record + b"-%d" % self.chance.randrange(10**9) for record in records]
        try:
            self.house.put_batch(*records)
        except StoreUnavailable:
            pass
        except Crash:
            self.unsure += records
            self.restart()
        else:
            self.acknowledged += records

    def deliver(self) -> None:
        """One step of one of two processes, which may die at any moment of it."""
        self.house.deaths.countdown = self.chance.choice([None, None, self.chance.randint(1, 8)])
        self.house.warehouse.failure = self.chance.choice([None, None, None, LoadFailed("no"), ConnectionError("no")])
        try:
            self.house.step(f"{self.chance.choice('ab')}{self.lives}")
        except StoreUnavailable:
            pass
        except Crash:
            self.restart()
        self.house.deaths.countdown = None

    def restart(self) -> None:
        """All processes die, and start again on what is on disk."""
        self.lives += 1
        self.house.store = self.house.store.reopen()

    def calm(self) -> None:
        """The weather clears, and everything that waits is delivered."""
        self.house.store = self.house.store.reopen()
        self.house.store._faults = None
        self.house.warehouse.failure = None
        for _ in range(20):
            self.house.clock.advance(limits.LEASE_SECONDS + limits.RETRY_MAX_SECONDS)
            self.house.step("last")


@pytest.mark.parametrize("seed", range(40))
def test_weather__each_acknowledged_record_is_loaded_once(seed: int) -> None:
    world = World(seed)
    actions: list[Any] = [world.put, world.deliver, world.deliver, lambda: world.house.clock.advance(world.chance.random() * 15)]
    for _ in range(150):
        world.chance.choice(actions)()
    world.calm()
    rows = Counter(world.house.warehouse.rows)
    assert world.lives > 0
    assert {record: rows[record] for record in world.acknowledged} == dict.fromkeys(world.acknowledged, 1)
    assert all(rows[record] <= 1 for record in world.unsure)
    assert set(rows) <= {*world.acknowledged, *world.unsure}
    assert not world.house.objects_below("stage/errors/")
    assert len(world.house.leftovers()) == 1
