"""Scheduled actions: targets get new bounds at times."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import HeadraceServer, eventually
from tests.services.autoscaling.test_autoscaling import WRITE, Scaled, refused

TARGET = {"ServiceNamespace": "dynamodb", "ResourceId": "table/world", "ScalableDimension": WRITE}


class Scheduled(Scaled):
    """A table that is scaled by the calendar."""

    def put(self, name: str, schedule: str | None = None, least: int | None = None, most: int | None = None, **more: Any) -> None:
        action = {key: value for key, value in (("MinCapacity", least), ("MaxCapacity", most)) if value is not None}
        if action:
            more["ScalableTargetAction"] = action
        if schedule is not None:
            more["Schedule"] = schedule
        self.scaling.put_scheduled_action(ScheduledActionName=name, **TARGET, **more)

    def actions(self, **more: Any) -> list[Any]:
        return list(self.scaling.describe_scheduled_actions(ServiceNamespace="dynamodb", **more)["ScheduledActions"])

    def bounds(self) -> tuple[int, int]:
        (target,) = self.scaling.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=["table/world"], ScalableDimension=WRITE
        )["ScalableTargets"]
        return target["MinCapacity"], target["MaxCapacity"]

    def now(self) -> float:
        return float(self.server.page("/_headrace/clock")["now"])

    def cron(self, seconds: float) -> tuple[str, float]:
        """A daily cron expression of a whole minute at least that far ahead, and its next time."""
        due = (int(self.now() + seconds) // 60 + 1) * 60
        time = datetime.fromtimestamp(due, UTC)
        return f"cron({time.minute} {time.hour} * * ? *)", float(due)


@pytest.fixture
def scheduled(tmp_path: Path) -> Iterator[Scheduled]:
    """On a server of its own, for nobody else may advance its clock."""
    server = HeadraceServer(tmp_path / "data").start()
    yield Scheduled(server)
    server.kill()


def test_an_action__is_carried_out_at_its_time__and_again_the_next_day(scheduled: Scheduled) -> None:
    scheduled.register(1, 10)
    schedule, due = scheduled.cron(3600)
    scheduled.put("morning", schedule, 7, 20)
    scheduled.server.advance(due - scheduled.now() - 30)
    # Another action, that falls due at once, shows that the worker has looked.
    moment = datetime.fromtimestamp(scheduled.now() + 2, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    scheduled.put("soon", f"at({moment})", 2)
    scheduled.server.advance(3)
    eventually(lambda: scheduled.bounds() == (2, 10), 30)
    scheduled.server.advance(30)
    eventually(lambda: scheduled.bounds() == (7, 20), 30)
    eventually(lambda: scheduled.units() == (5, 7), 30)
    scaled, morning, soon = scheduled.activities()
    assert (soon["Description"], soon["StatusCode"]) == ("Setting min capacity to 2", "Successful")
    assert morning["Description"] == "Setting min capacity to 7 and max capacity to 20"
    assert morning["Cause"] == "scheduled action name morning was triggered"
    assert morning["StatusMessage"] == "Successfully set min capacity to 7 and max capacity to 20"
    assert (scaled["Description"], scaled["Cause"]) == ("Setting write capacity units to 7.", "minimum capacity was set to 7")
    scheduled.register(1, 4)
    eventually(lambda: scheduled.units() == (5, 4), 30)
    scheduled.server.advance(due + 86_400 - scheduled.now() + 1)
    eventually(lambda: scheduled.units() == (5, 7), 30)


def test_a_rate__runs_between_its_start_and_its_end__suspended_or_not(scheduled: Scheduled) -> None:
    scheduled.register(1, 10)
    begin = scheduled.now() + 600
    scheduled.put("rate", "rate(5 minutes)", 6, StartTime=begin, EndTime=begin + 650)
    scheduled.server.advance(605)
    eventually(lambda: scheduled.bounds() == (6, 10), 30)
    scheduled.register(1, 10, SuspendedState={"ScheduledScalingSuspended": True})
    scheduled.server.advance(300)
    # What can be carried out again, once it is let, is the third time; the second one was passed over.
    scheduled.register(2, 10)
    scheduled.server.advance(290)
    scheduled.register(2, 10, SuspendedState={"ScheduledScalingSuspended": False})
    scheduled.server.advance(15)
    eventually(lambda: scheduled.bounds() == (6, 10), 30)
    scheduled.register(1, 10)
    scheduled.server.advance(700)
    moment = datetime.fromtimestamp(scheduled.now() + 2, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    scheduled.put("soon", f"at({moment})", None, 9)
    scheduled.server.advance(3)
    eventually(lambda: scheduled.bounds() == (1, 9), 30)
    causes = [one["Cause"] for one in scheduled.activities() if "scheduled" in one["Cause"]]
    assert [cause.split()[3] for cause in causes] == ["soon", "rate", "rate"]


def test_an_action__that_fell_due_while_the_server_was_down__is_carried_out_once(scheduled: Scheduled) -> None:
    scheduled.register(1, 10)
    scheduled.put("often", "rate(1 minute)", 8)
    scheduled.server.kill()
    scheduled.server.start()
    scheduled.server.advance(601)
    eventually(lambda: scheduled.bounds() == (8, 10), 30)
    eventually(lambda: scheduled.units() == (5, 8), 30)
    assert len([one for one in scheduled.activities() if "scheduled" in one["Cause"]]) == 1


def test_bounds_that_cross__are_a_failed_activity(scheduled: Scheduled) -> None:
    scheduled.register(5, 10)
    scheduled.put("wrong", "rate(1 minute)", None, 3)
    scheduled.server.advance(61)
    (failed,) = eventually(scheduled.activities, 30)
    assert failed["StatusCode"] == "Failed"
    assert "Maximum capacity cannot be less than minimum capacity" in failed["StatusMessage"]
    assert scheduled.bounds() == (5, 10)


def test_actions__are_put_changed_described_and_deleted(server: HeadraceServer, account: str) -> None:
    scheduled = Scheduled(server, account)
    assert refused(scheduled.put, "a", "rate(1 day)", 1)[0] == "ObjectNotFoundException"
    scheduled.register(1, 10)
    start = datetime(2040, 1, 1, tzinfo=UTC)
    scheduled.put("a", "cron(0 9 * * ? *)", 2, 5, Timezone="Asia/Tokyo", StartTime=start)
    (shown,) = scheduled.actions()
    arn = f"arn:aws:autoscaling:us-east-1:{account}:scheduledAction:"
    assert shown.pop("ScheduledActionARN").startswith(arn)
    assert shown.pop("CreationTime")
    assert shown == {
        "ScheduledActionName": "a", **TARGET, "Schedule": "cron(0 9 * * ? *)", "Timezone": "Asia/Tokyo", "StartTime": start,
        "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 5},
    }  # fmt: skip
    # What is not given stays, but for the start and the end.
    scheduled.put("a", None, None, 6)
    (shown,) = scheduled.actions()
    assert (shown["Schedule"], shown["Timezone"], "StartTime" in shown) == ("cron(0 9 * * ? *)", "Asia/Tokyo", False)
    assert shown["ScalableTargetAction"] == {"MaxCapacity": 6}
    for name in ("b", "c"):
        scheduled.put(name, "rate(2 days)", 1)
    first = scheduled.scaling.describe_scheduled_actions(ServiceNamespace="dynamodb", MaxResults=2)
    rest = scheduled.scaling.describe_scheduled_actions(ServiceNamespace="dynamodb", NextToken=first["NextToken"])
    assert [one["ScheduledActionName"] for one in first["ScheduledActions"] + rest["ScheduledActions"]] == ["a", "b", "c"]
    assert [one["ScheduledActionName"] for one in scheduled.actions(ScheduledActionNames=["c"])] == ["c"]
    assert scheduled.actions(ResourceId="table/other") == []
    scheduled.scaling.delete_scheduled_action(ScheduledActionName="a", **TARGET)
    assert refused(scheduled.scaling.delete_scheduled_action, ScheduledActionName="a", **TARGET)[0] == "ObjectNotFoundException"
    assert len(scheduled.actions()) == 2
    for arguments, words in (
        ({"schedule": "cron(1)", "least": 1}, "Schedule expression is not valid"), ({"least": 1}, "Schedule is required"),
        ({"schedule": "rate(1 day)"}, "ScalableTargetAction is required"),
        ({"schedule": "rate(1 day)", "least": 3, "most": 2}, "less than minimum"),
        ({"schedule": "rate(1 day)", "least": 3, "Timezone": "Mars/Olympus"}, "Timezone"),
        ({"schedule": "rate(1 day)", "least": 3, "StartTime": start, "EndTime": start}, "EndTime must be later"),
    ):  # fmt: skip
        code, message = refused(scheduled.put, "wrong", **arguments)
        assert code == "ValidationException"
        assert words in message
