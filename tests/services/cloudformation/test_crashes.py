"""The process dies at every moment of a stack's life, and what comes after it finishes the work: nothing twice, nothing lost.

The services are the real ones, on the memory store; each commit of theirs or of CloudFormation's is two moments to die at, before
and after it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fakes import make_context
from headrace.app import load_services
from headrace.gateway.local import LocalApi
from headrace.kit.clock import Clock
from headrace.kit.errors import ValidationError
from headrace.operation import Context
from headrace.ports import Ports
from headrace.services.cloudformation import limits, pending, turns, workers
from headrace.store import tuples
from headrace.store.memory import Crash, MemoryStore

FIRST = """
Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 1, RetentionPeriodHours: 48}}
  Named: {Type: AWS::Kinesis::Stream, Properties: {Name: named}}
  Queue: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: stream, Value: !GetAtt Stream.Arn}]}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: &x
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: send
          PolicyDocument:
            Version: '2012-10-17'
            Statement: [{Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}]
  Group: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}
Outputs: {Queue: {Value: !GetAtt Queue.QueueName}}
""".replace(" &x", "")
# Stream changes in place, Named is replaced, Group goes, Other comes.
SECOND = (
    FIRST.replace("RetentionPeriodHours: 48", "RetentionPeriodHours: 24").replace("Name: named", "Name: renamed")
    .replace("  Group: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}\n", "  Other: {Type: AWS::SQS::Queue}\n")
)  # fmt: skip
# As above, and then something can't be made.
WRONG = SECOND.replace(
    "  Other:", "  Wrong: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: x}, DependsOn: Other}\n  Other:"
)
SECONDS_PER_LIFE = limits.LEASE_SECONDS + 1


class Deaths:
    """Lets the process die at one of the moments: the store asks at each commit."""

    def __init__(self) -> None:
        self.moments = 0
        self.at: int | None = None

    def before_commit(self) -> None:
        self._moment()

    after_commit = before_commit

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Crash


class House:
    """The services on a store that outlives their process."""

    def __init__(self) -> None:
        self.deaths = Deaths()
        self.store = MemoryStore(self.deaths)  # type: ignore[arg-type]
        self.clock = Clock()
        self.api = LocalApi(load_services().get)

    def context(self) -> Context:
        ports = Ports()
        ports.api = self.api
        return make_context(self.store, ports=ports, clock=self.clock)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.api.call(self.context(), service, operation, parameters)

    def work(self, die_at: int | None = None) -> bool:
        """Work until nothing is left to do; whether the process died (it is started again then, and finishes)."""
        self.deaths.moments, self.deaths.at = 0, die_at
        try:
            self._work()
        except Crash:
            self.store = self.store.reopen()
            turns._desk = turns._Desk()
            self.clock.advance(SECONDS_PER_LIFE)
            self.deaths.at = None
            self._work()
            return True
        return False

    def _work(self) -> None:
        for _ in range(2000):
            ctx = self.context()
            if not list(ctx.snapshot(lambda inner: list(pending.WORK.scan(inner.tx)))):
                return
            turns._desk._due.clear()
            workers.work(0, ctx)
        raise AssertionError("the stack never came to rest")

    def status(self) -> str:
        return str(self.call("cloudformation", "DescribeStacks", StackName=self.stack_id)["Stacks"][0]["StackStatus"])

    def create(self, template: str) -> None:
        answer = self.call("cloudformation", "CreateStack", StackName="s", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
        self.stack_id = answer["StackId"]

    def update(self, template: str) -> None:
        self.call("cloudformation", "UpdateStack", StackName="s", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])

    def there(self) -> dict[str, int]:
        """How many things of each kind there are."""
        return {
            "streams": len(self.call("kinesis", "ListStreams")["StreamNames"]),
            "queues": len(self.call("sqs", "ListQueues").get("QueueUrls") or []),
            "roles": len(self.call("iam", "ListRoles")["Roles"]),
            "groups": len(self.call("logs", "DescribeLogGroups")["logGroups"]),
        }

    def retention(self) -> int:
        names = {
            item["LogicalResourceId"]: item["PhysicalResourceId"]
            for item in self.call("cloudformation", "DescribeStackResources", StackName="s")["StackResources"]
        }
        summary = self.call("kinesis", "DescribeStreamSummary", StreamName=names["Stream"])["StreamDescriptionSummary"]
        return int(summary["RetentionPeriodHours"])


def lives(begin: Callable[[], House]) -> Iterator[House]:
    """A house for each moment at which its process can die, after the stack came to rest. Only some moments, spread evenly."""
    whole = begin()
    assert not whole.work()
    moments = whole.deaths.moments
    assert moments > 10
    yield whole
    for moment in range(1, moments + 1, 1 if moments < 60 else 2):
        house = begin()
        assert house.work(die_at=moment), moment
        yield house


@pytest.fixture(autouse=True)
def _fresh_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_desk", turns._Desk())


def begin_create() -> House:
    house = House()
    house.create(FIRST)
    return house


def test_crash__while_a_stack_is_made() -> None:
    for house in lives(begin_create):
        assert house.status() == "CREATE_COMPLETE"
        assert house.there() == {"streams": 2, "queues": 1, "roles": 1, "groups": 1}
        assert house.retention() == 48


def begin_update(template: str) -> House:
    house = begin_create()
    house.work()
    house.update(template)
    return house


def test_crash__while_a_stack_is_changed() -> None:
    for house in lives(lambda: begin_update(SECOND)):
        assert house.status() == "UPDATE_COMPLETE"
        assert house.there() == {"streams": 2, "queues": 2, "roles": 1, "groups": 0}
        assert house.retention() == 24
        assert "renamed" in house.call("kinesis", "ListStreams")["StreamNames"]


def test_crash__while_a_change_is_taken_back() -> None:
    for house in lives(lambda: begin_update(WRONG)):
        assert house.status() == "UPDATE_ROLLBACK_COMPLETE"
        assert house.there() == {"streams": 2, "queues": 1, "roles": 1, "groups": 1}
        assert house.retention() == 48
        assert "named" in house.call("kinesis", "ListStreams")["StreamNames"]


def test_crash__while_a_stack_is_removed() -> None:
    def begin() -> House:
        house = begin_create()
        house.work()
        house.call("cloudformation", "DeleteStack", StackName="s")
        return house

    for house in lives(begin):
        assert house.status() == "DELETE_COMPLETE"
        assert house.there() == {"streams": 0, "queues": 0, "roles": 0, "groups": 0}


def test_delete__while_a_creation_was_interrupted() -> None:
    whole = begin_create()
    whole.work()
    for moment in range(1, whole.deaths.moments + 1, 3):
        house = begin_create()
        house.deaths.moments, house.deaths.at = 0, moment
        with pytest.raises(Crash):
            house._work()
        house.deaths.at = None
        house.store = house.store.reopen()
        turns._desk = turns._Desk()
        house.clock.advance(SECONDS_PER_LIFE)
        house.call("cloudformation", "DeleteStack", StackName="s")
        house._work()
        assert house.status() == "DELETE_COMPLETE"
        assert house.there() == {"streams": 0, "queues": 0, "roles": 0, "groups": 0}, moment


def test_forget__what_was_deleted_long_ago() -> None:
    house = begin_create()
    house.work()
    house.call("cloudformation", "DeleteStack", StackName="s")
    house.work()
    workers.forget(house.context())
    assert house.status() == "DELETE_COMPLETE"
    house.clock.advance(limits.DELETED_STACKS_KEPT_SECONDS)
    workers.forget(house.context())
    with pytest.raises(ValidationError, match="does not exist"):
        house.status()
    mine = tuples.range_of(("cloudformation",))
    assert list(house.store.range(*mine)) == []


def test_cancel__takes_back_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    house = begin_update(SECOND)
    monkeypatch.setattr(limits, "STEPS_PER_TURN", 2)
    workers.work(0, house.context())
    assert house.status() == "UPDATE_IN_PROGRESS"
    assert house.retention() == 24
    house.call("cloudformation", "CancelUpdateStack", StackName="s")
    house.work()
    assert house.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert house.retention() == 48
    assert house.there() == {"streams": 2, "queues": 1, "roles": 1, "groups": 1}


def test_continue__a_rollback_that_failed() -> None:
    house = begin_create()
    house.work()
    found = house.call("cloudformation", "DescribeStackResource", StackName="s", LogicalResourceId="Stream")
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    house.call("kinesis", "DeleteStream", StreamName=name)
    house.update(SECOND)
    house.work()
    assert house.status() == "UPDATE_ROLLBACK_FAILED"
    house.call("kinesis", "CreateStream", StreamName=name, ShardCount=1)
    house.call("cloudformation", "ContinueUpdateRollback", StackName="s")
    house.work()
    assert house.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert house.retention() == 48
