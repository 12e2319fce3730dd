"""When schedules fall due."""

from datetime import datetime

import pytest

from headrace.kit.errors import ValidationException
from headrace.services.autoscaling import schedules


def at(text: str) -> float:
    """Seconds of a time in UTC."""
    return datetime.fromisoformat(text + "+00:00").timestamp()


def following(schedule: str, after: str, zone: str = "UTC", count: int = 2) -> list[str]:
    """The next times behind one, in UTC."""
    found: list[str] = []
    now = at(after)
    for _ in range(count):
        due = schedules.next_at(schedule, schedules.zone_of(zone), at("2026-01-01T00:00:30"), now)
        if due is None:
            break
        now = due
        found.append(datetime.fromtimestamp(due, schedules.zone_of("UTC")).strftime("%Y-%m-%dT%H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("schedule", "after", "zone", "expected"),
    [
        ("at(2026-03-01T10:00:00)", "2026-02-01T00:00:00", "UTC", ["2026-03-01T10:00:00"]),
        ("at(2026-03-01T10:00:00)", "2026-03-01T10:00:00", "UTC", []),
        ("at(2026-07-01T10:00:00)", "2026-03-01T10:00:00", "Europe/Berlin", ["2026-07-01T08:00:00"]),
        ("rate(1 minute)", "2026-01-01T00:00:30", "UTC", ["2026-01-01T00:01:30", "2026-01-01T00:02:30"]),
        ("rate(2 hours)", "2026-01-01T05:00:00", "UTC", ["2026-01-01T06:00:30", "2026-01-01T08:00:30"]),
        ("rate(7 days)", "2025-06-01T00:00:00", "UTC", ["2026-01-01T00:00:30", "2026-01-08T00:00:30"]),
        ("cron(0 9 * * ? *)", "2026-01-01T09:00:00", "UTC", ["2026-01-02T09:00:00", "2026-01-03T09:00:00"]),
        # Berlin's summer begins on the 29th of March.
        ("cron(30 9 * * ? *)", "2026-03-28T00:00:00", "Europe/Berlin", ["2026-03-28T08:30:00", "2026-03-29T07:30:00"]),
        # There is no half past two on that day, so it comes as half past three; and it comes twice in October.
        ("cron(30 2 * * ? *)", "2026-03-28T12:00:00", "Europe/Berlin", ["2026-03-29T01:30:00", "2026-03-30T00:30:00"]),
        ("cron(30 2 * * ? *)", "2026-10-24T12:00:00", "Europe/Berlin", ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]),
        ("cron(0/20 8-9 ? * MON-FRI *)", "2026-01-02T09:20:00", "UTC", ["2026-01-02T09:40:00", "2026-01-05T08:00:00"]),
        ("cron(0 0 ? * 1,7 *)", "2026-01-01T00:00:00", "UTC", ["2026-01-03T00:00:00", "2026-01-04T00:00:00"]),
        ("cron(0 0 L * ? *)", "2026-01-31T00:00:00", "UTC", ["2026-02-28T00:00:00", "2026-03-31T00:00:00"]),
        ("cron(0 0 LW * ? *)", "2026-01-01T00:00:00", "UTC", ["2026-01-30T00:00:00", "2026-02-27T00:00:00"]),
        ("cron(0 0 1W * ? *)", "2026-02-01T12:00:00", "UTC", ["2026-02-02T00:00:00", "2026-03-02T00:00:00"]),
        ("cron(0 0 ? * TUE#2 *)", "2026-01-01T00:00:00", "UTC", ["2026-01-13T00:00:00", "2026-02-10T00:00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-01-01T00:00:00", "UTC", ["2026-01-30T00:00:00", "2026-02-27T00:00:00"]),
        ("cron(0 0 29 feb ? *)", "2026-01-01T00:00:00", "UTC", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("cron(0 12 1 1/6 ? 2026-2027)", "2026-08-01T00:00:00", "UTC", ["2027-01-01T12:00:00", "2027-07-01T12:00:00"]),
        ("cron(0 12 1 1 ? 2025)", "2026-08-01T00:00:00", "UTC", []),
        ("cron(0 0 30 2 ? *)", "2026-01-01T00:00:00", "UTC", []),
    ],
)
def test_next_at(schedule: str, after: str, zone: str, expected: list[str]) -> None:
    assert following(schedule, after, zone) == expected


@pytest.mark.parametrize(
    "schedule",
    [
        "", "every day", "at(2026-03-01)", "at(2026-13-01T00:00:00)", "rate(0 days)", "rate(1 week)", "rate(9999999999 days)",
        "cron(0 9 * * *)", "cron(0 9 * * * *)", "cron(0 9 ? * ? *)", "cron(60 9 * * ? *)", "cron(0 24 * * ? *)",
        "cron(0 9 0 * ? *)", "cron(0 9 * 13 ? *)", "cron(0 9 ? * 8 *)", "cron(0 9 ? * MON#6 *)", "cron(a 9 * * ? *)",
        "cron(9-1 9 * * ? *)", "cron(0/0 9 * * ? *)", "cron(0 9 32W * ? *)", "cron(0 9 * * ? 1969)",
    ],
)  # fmt: skip
def test_next_at__refuses(schedule: str) -> None:
    with pytest.raises(ValidationException, match="Schedule expression is not valid"):
        schedules.next_at(schedule, schedules.zone_of("UTC"), 0.0, 0.0)


def test_zone_of__refuses() -> None:
    for name in ("Mars/Olympus", "../../etc/passwd"):
        with pytest.raises(ValidationException):
            schedules.zone_of(name)
