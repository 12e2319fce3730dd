"""The keys with the largest sums, in bounded memory."""

import random
from collections import Counter

from headrace.services.dynamodb.engine.heavy import Heavy


def test_few_keys__are_exact() -> None:
    heavy = Heavy(3)
    for key, amount in (("a", 1.0), ("b", 2.5), ("a", 4.0), ("c", 0.5)):
        heavy.add((key,), amount)
    assert heavy.sums == {("a",): 5.0, ("b",): 2.5, ("c",): 0.5}
    assert heavy.total == 8.0


def test_many_keys__the_heavy_ones_stay__and_no_sum_is_further_off_than_promised() -> None:
    chance = random.Random(4)
    exact: Counter[tuple[str, ...]] = Counter()
    heavy = Heavy(50)
    for _ in range(40_000):
        number = chance.randrange(10) if chance.random() < 0.5 else 10 + chance.randrange(5000)
        amount = chance.choice((0.5, 1, 2))
        exact[(str(number),)] += amount
        heavy.add((str(number),), amount)
    assert len(heavy.sums) == 50
    assert abs(heavy.total - sum(exact.values())) < 1e-6
    for key, amount in heavy.sums.items():
        assert exact[key] <= amount <= exact[key] + heavy.total / 50
    assert {key for key, amount in exact.items() if amount > heavy.total / 50} <= heavy.sums.keys()
    assert {key for key, _ in exact.most_common(10)} <= set(sorted(heavy.sums, key=heavy.sums.__getitem__)[-25:])
