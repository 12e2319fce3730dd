"""Statistics that add up, and their percentiles."""

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.cloudwatch.engine import statistics

VALUES = st.lists(st.floats(-1e9, 1e9, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9), min_size=1, max_size=60)


def whole(values):
    return statistics.total(statistics.of_value(value) for value in values)


@given(VALUES, VALUES)
def test_total__is_that_of_all_values(left, right):
    parts = [whole(left), whole(right)]
    before = copy.deepcopy(parts)
    both = statistics.total(parts)
    assert parts == before
    assert both.count == len(left) + len(right)
    assert both.sum == pytest.approx(math.fsum(left + right), rel=1e-6, abs=1e-3)
    assert (both.least, both.most) == (min(left + right), max(left + right))
    assert both.bins == whole(left + right).bins


@given(VALUES, st.sampled_from([0.1, 1, 25, 50, 90, 99, 99.9, 100]))
def test_percentile__is_exact_to_two_percent(values, percent):
    exact = sorted(values)[max(0, math.ceil(len(values) * percent / 100 - 1e-9) - 1)]
    assert statistics.percentile(whole(values), percent) == pytest.approx(exact, rel=0.02, abs=1e-12)


@given(st.floats(-1e300, 1e300, allow_nan=False))
def test_bin__holds_its_values(value):
    assert statistics.value_of(statistics.bin_of(value)) == pytest.approx(value, rel=0.02, abs=1e-307)


def test_set__has_no_percentiles():
    of = statistics.of_set(3, 6, 1, 3)
    assert statistics.percentile(of, 50) is None
    assert statistics.statistic(of, "Average") == 2
    assert statistics.percentile(statistics.of_set(3, 6, 2, 2), 50) == 2
    assert statistics.add(statistics.of_value(1), of).bins is None
