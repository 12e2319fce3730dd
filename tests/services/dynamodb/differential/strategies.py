"""Random values, conditions, updates and operations, from a domain so small that they meet each other."""

from typing import Any

from hypothesis import strategies as st
from tests.services.dynamodb.differential.values import number

NAMES = ("a", "b", "c", "d")
NUMBERS = st.sampled_from(["0", "1", "-1", "2", "1.5", "10", "-0.25", "12345678901234567890123456789012345678", "1E+20"])
TEXTS = st.sampled_from(["", "x", "xy", "y", "zx", "été"])
BYTES = st.sampled_from([b"", b"x", b"xy", b"\x00\xff"])


def _distinct(numbers: list[str]) -> bool:
    return len({number(one) for one in numbers}) == len(numbers)


SCALARS = st.one_of(
    NUMBERS.map(lambda one: {"N": one}),
    TEXTS.map(lambda one: {"S": one}),
    BYTES.map(lambda one: {"B": one}),
    st.booleans().map(lambda one: {"BOOL": one}),
    st.just({"NULL": True}),
)
SETS = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda one: {"SS": one}),
    st.lists(NUMBERS, min_size=1, max_size=3).filter(_distinct).map(lambda one: {"NS": one}),
    st.lists(BYTES, min_size=1, max_size=3, unique=True).map(lambda one: {"BS": one}),
)
VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(SCALARS, SETS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda one: {"L": one}),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=2).map(lambda one: {"M": one}),
    ),
    max_leaves=4,
)
LARGE = st.sampled_from([100, 1000, 4096, 5000]).map(lambda one: {"S": "z" * one})

KEYS = st.fixed_dictionaries(
    {
        "p": st.sampled_from(["k", "l", "m"]).map(lambda one: {"S": one}),
        "s": st.sampled_from(["0", "1", "-1", "1.50", "1.5", "10"]).map(lambda one: {"N": one}),
    }
)
WRONG_KEYS = st.sampled_from(
    [
        {"p": {"S": "k"}},
        {"p": {"S": "k"}, "s": {"S": "1"}},
        {"p": {"N": "1"}, "s": {"N": "1"}},
        {"p": {"S": ""}, "s": {"N": "1"}},
        {"p": {"S": "k"}, "s": {"N": "1"}, "c": {"S": "x"}},
    ]
)
ANY_KEYS = st.one_of(KEYS, KEYS, KEYS, KEYS, KEYS, WRONG_KEYS)

ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        # Mostly of the types that the indexes ask for.
        "a": st.one_of(TEXTS.map(lambda one: {"S": one}), TEXTS.map(lambda one: {"S": one + "!"}), VALUES),
        "b": st.one_of(NUMBERS.map(lambda one: {"N": one}), NUMBERS.map(lambda one: {"N": one}), VALUES),
        "c": VALUES,
        "d": st.one_of(VALUES, LARGE),
    },
)
ITEMS = st.tuples(KEYS, ATTRIBUTES).map(lambda both: {**both[1], **both[0]})

_NESTED = st.one_of(st.sampled_from(NAMES), st.integers(0, 2))
PATHS: st.SearchStrategy[tuple[Any, ...]] = st.one_of(
    st.sampled_from(NAMES).map(lambda one: (one,)),
    st.sampled_from((*NAMES, "s")).map(lambda one: (one,)),
    st.tuples(st.sampled_from(NAMES), _NESTED),
    st.tuples(st.sampled_from(NAMES), _NESTED, _NESTED),
)
OPERANDS = st.one_of(st.tuples(st.just("path"), PATHS), st.tuples(st.just("value"), VALUES), st.tuples(st.just("size"), PATHS))
ORDERED_VALUES = st.one_of(
    NUMBERS.map(lambda one: {"N": one}), TEXTS.map(lambda one: {"S": one}), BYTES.map(lambda one: {"B": one})
)
_VALUE = st.tuples(st.just("value"), VALUES)
_SIMPLE = st.one_of(
    st.tuples(st.just("compare"), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), OPERANDS, OPERANDS),
    st.tuples(
        st.just("between"), OPERANDS, st.tuples(st.just("value"), ORDERED_VALUES), st.tuples(st.just("value"), ORDERED_VALUES)
    ),
    st.tuples(st.just("in"), OPERANDS, st.lists(_VALUE, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["exists", "missing"]), PATHS),
    st.tuples(st.just("type"), PATHS, st.sampled_from(["S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "L", "M"])),
    st.tuples(st.just("begins"), PATHS, ORDERED_VALUES),
    st.tuples(st.just("contains"), PATHS, SCALARS),
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    _SIMPLE,
    lambda inner: st.one_of(st.tuples(st.sampled_from(["and", "or"]), inner, inner), st.tuples(st.just("not"), inner)),
    max_leaves=3,
)
MAYBE_CONDITION = st.one_of(st.none(), CONDITIONS)

_SETTABLE = st.one_of(st.tuples(st.just("value"), VALUES), st.tuples(st.just("path"), PATHS))
_NUMERIC = st.one_of(NUMBERS.map(lambda one: ("value", {"N": one})), st.tuples(st.just("path"), PATHS))
_LISTS = st.one_of(st.lists(SCALARS, max_size=2).map(lambda one: ("value", {"L": one})), st.tuples(st.just("path"), PATHS))
SET_EXPRESSIONS = st.one_of(
    _SETTABLE,
    st.tuples(st.sampled_from(["plus", "minus"]), _NUMERIC, _NUMERIC),
    st.tuples(st.just("append"), _LISTS, _LISTS),
    st.tuples(st.just("default"), PATHS, _SETTABLE),
)
ACTIONS = st.one_of(
    st.tuples(st.just("set"), PATHS, SET_EXPRESSIONS),
    st.tuples(st.just("set"), PATHS, SET_EXPRESSIONS),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("add"), PATHS, st.one_of(NUMBERS.map(lambda one: {"N": one}), SETS)),
    st.tuples(st.just("delete"), PATHS, SETS),
)
UPDATES = st.lists(ACTIONS, min_size=1, max_size=3)
PROJECTIONS = st.one_of(st.none(), st.lists(PATHS, min_size=1, max_size=3))

_S = ("path", ("s",))
_ONE = NUMBERS.map(lambda one: ("value", {"N": one}))


def _sort_conditions(name: str) -> st.SearchStrategy[Any]:
    path = ("path", (name,))
    return st.one_of(
        st.none(),
        st.tuples(st.just("compare"), st.sampled_from(["=", "<", "<=", ">", ">="]), st.just(path), _ONE),
        st.tuples(st.just("between"), st.just(path), _ONE, _ONE),
    )


def _partitions(*options: list[str]) -> st.SearchStrategy[Any]:
    return st.tuples(*(st.sampled_from(one).map(lambda text: {"S": text}) for one in options)).map(list)


def _all_sorts(*names: str) -> st.SearchStrategy[Any]:
    conditions = st.tuples(*(_sort_conditions(name) for name in names))
    return conditions.map(lambda found: [one for one in found if one is not None])


_QUERIES = st.one_of(
    *(
        st.tuples(
            st.just("query"),
            st.just(index),
            partitions,
            sorts,
            MAYBE_CONDITION,
            st.booleans(),
            st.sampled_from([None, 1, 2]),
        )
        for index, partitions, sorts in (
            (None, _partitions(["k", "l", ""]), _all_sorts("s")),
            ("by-a", _partitions(["x", "xy", "x!", ""]), _all_sorts("b")),
            ("by-b", _partitions(["k", "l"]), _all_sorts("b")),
            ("by-many", _partitions(["k", "l"], ["x", "xy", "x!", ""]), _all_sorts("b", "s")),
        )
    )
)
_TRANSACTED = st.one_of(
    st.tuples(st.just("put"), ITEMS, st.none(), MAYBE_CONDITION),
    st.tuples(st.just("update"), KEYS, UPDATES, MAYBE_CONDITION),
    st.tuples(st.just("delete"), KEYS, st.none(), MAYBE_CONDITION),
    st.tuples(st.just("check"), KEYS, st.none(), CONDITIONS),
)
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), ITEMS, MAYBE_CONDITION, st.sampled_from(["NONE", "ALL_OLD"])),
    st.tuples(st.just("put"), ITEMS, st.none(), st.just("NONE")),
    st.tuples(st.just("get"), ANY_KEYS, PROJECTIONS),
    st.tuples(st.just("delete"), ANY_KEYS, MAYBE_CONDITION, st.sampled_from(["NONE", "ALL_OLD"])),
    st.tuples(st.just("update"), ANY_KEYS, UPDATES, MAYBE_CONDITION, st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW"])),
    st.tuples(st.just("update"), KEYS, UPDATES, st.none(), st.just("ALL_NEW")),
    _QUERIES,
    st.tuples(
        st.just("scan"), st.sampled_from([None, "by-a", "by-b", "by-many"]), MAYBE_CONDITION, st.sampled_from([None, 1, 3])
    ),
    st.tuples(st.just("transact"), st.lists(_TRANSACTED, min_size=1, max_size=3)),
)
SEQUENCES = st.lists(OPERATIONS, min_size=1, max_size=25)
