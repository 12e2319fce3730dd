"""The Condition block of a policy statement: operators, each over one context key."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from headrace.services.iam.engine.wildcards import arn_matches, matches, substitute

Values: TypeAlias = tuple[str, ...]
Test: TypeAlias = Callable[[str, str], bool]  # (what the policy says, what the request has)


def _number(compare: Callable[[Decimal, Decimal], bool]) -> Test:
    def test(wanted: str, given: str) -> bool:
        try:
            return compare(Decimal(given), Decimal(wanted))
        except InvalidOperation:
            return False

    return test


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or of a number; ValueError when it is neither."""
    try:
        return float(text)
    except ValueError:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _date(compare: Callable[[float, float], bool]) -> Test:
    def test(wanted: str, given: str) -> bool:
        try:
            return compare(moment(given), moment(wanted))
        except ValueError:
            return False

    return test


def _address(wanted: str, given: str) -> bool:
    try:
        return ip_address(given) in ip_network(wanted, strict=False)
    except ValueError:
        return False


TESTS: dict[str, Test] = {
    "stringequals": lambda wanted, given: wanted == given,
    "stringequalsignorecase": lambda wanted, given: wanted.lower() == given.lower(),
    "stringlike": matches,
    "numericequals": _number(lambda a, b: a == b),
    "numericlessthan": _number(lambda a, b: a < b),
    "numericlessthanequals": _number(lambda a, b: a <= b),
    "numericgreaterthan": _number(lambda a, b: a > b),
    "numericgreaterthanequals": _number(lambda a, b: a >= b),
    "dateequals": _date(lambda a, b: a == b),
    "datelessthan": _date(lambda a, b: a < b),
    "datelessthanequals": _date(lambda a, b: a <= b),
    "dategreaterthan": _date(lambda a, b: a > b),
    "dategreaterthanequals": _date(lambda a, b: a >= b),
    "bool": lambda wanted, given: wanted.lower() == given.lower(),
    "binaryequals": lambda wanted, given: wanted == given,
    "ipaddress": _address,
    "arnequals": arn_matches,
    "arnlike": arn_matches,
}
# Each negation holds when its positive test fails for every value of the policy.
NEGATIONS = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}
_KEPT_PLAIN = {"stringequals", "stringequalsignorecase", "binaryequals"}


def split_operator(operator: str) -> tuple[str, str, bool]:
    """The prefix of an operator ("", "forallvalues", "foranyvalue"), its bare name, and whether it ends in IfExists."""
    prefix, _, name = operator.lower().rpartition(":")
    if name != "null" and name.endswith("ifexists"):
        return prefix, name.removesuffix("ifexists"), True
    return prefix, name, False


def known(operator: str) -> bool:
    """Whether an operator exists."""
    prefix, name, _ = split_operator(operator)
    return prefix in ("", "forallvalues", "foranyvalue") and (name in TESTS or name in NEGATIONS or name == "null")


def holds(operator: str, key: str, wanted: Values, context: Mapping[str, Values]) -> bool:
    """Whether one line of a Condition block is true of a request.

    A key that the request does not have fails a positive test, and passes a negated one, IfExists and ForAllValues.
    """
    prefix, name, if_exists = split_operator(operator)
    given = context.get(key.lower())
    if name == "null":
        return (given is None) == (wanted[0].lower() == "true") if wanted else False
    negated = name in NEGATIONS
    if given is None:
        return if_exists or (negated and prefix != "foranyvalue") or prefix == "forallvalues"
    positive = NEGATIONS.get(name, name)
    test = TESTS[positive]
    filled = [value for value in (substitute(item, context) for item in wanted) if value is not None]

    def one(value: str) -> bool:
        return any(_run(test, positive, item, value) for item in filled) != negated

    if prefix == "forallvalues" or (negated and prefix != "foranyvalue"):
        return all(one(value) for value in given)
    return any(one(value) for value in given)


def _run(test: Test, name: str, wanted: str, given: str) -> bool:
    # Where no wildcard exists, the stand-ins for plain stars turn back into stars.
    return test(wanted.replace("\ue000", "*").replace("\ue001", "?") if name in _KEPT_PLAIN else wanted, given)
