"""What a request needs: which actions on which resources its caller must be allowed.

A `Need` without resources is one whose resource the request does not show (an opaque iterator, say): then the action alone is
asked for. Several resources of one need are names of the same thing; it is enough when one of them is allowed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.services.iam.engine import actions


class Need(NamedTuple):
    """An action, and the resource (under each of its names) that it is done to; none: not known."""

    action: str
    resources: tuple[str, ...]


class Place(NamedTuple):
    """Where a request is made: by whom, in which account and region."""

    account: str
    region: str
    caller: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region; a whole ARN stays as it is."""
        return resource if resource.startswith("arn:") else f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


_Finder = Callable[[str, Mapping[str, Any], Place], Sequence[Need] | None]
EVERYTHING = ("*",)


def needs(service: str, operation: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need]:
    """What a request needs. STS asks for itself, and everybody may ask who they are."""
    if service == "sts":
        return ()
    action = actions.of(service, operation)
    finder = _FINDERS.get(action.split(":", 1)[0])
    found = finder(action, parameters, place) if finder is not None else None
    return found if found is not None else (Need(action, _any_arn(parameters)),)


def _any_arn(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    for name, value in parameters.items():
        if name.lower().endswith("arn") and isinstance(value, str) and value.startswith("arn:"):
            return (value,)
    return EVERYTHING


def _dynamodb(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    def table(name: str, index: str | None = None) -> tuple[str, ...]:
        arn = place.arn("dynamodb", name if name.startswith("arn:") else f"table/{name}")
        return (f"{arn}/index/{index}",) if index else (arn,)

    if "TableName" in parameters:
        return (Need(action, table(parameters["TableName"], parameters.get("IndexName"))),)
    if "RequestItems" in parameters:
        return [Need(action, table(name)) for name in parameters["RequestItems"]]
    if "TransactItems" in parameters:
        parts = [pair for item in parameters["TransactItems"] for pair in item.items()]
        return [Need(f"dynamodb:{actions.TRANSACTED[kind]}", table(part["TableName"])) for kind, part in parts]
    statements = (
        [parameters] if "Statement" in parameters else parameters.get("Statements") or parameters.get("TransactStatements")
    )
    if statements:
        return [Need(actions.of_statement(one.get("Statement", "")), ()) for one in statements]
    return (Need(action, ()),) if "ShardIterator" in parameters else None


def _kinesis(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    for name in ("ConsumerARN", "StreamARN", "ResourceARN"):
        if parameters.get(name):
            return (Need(action, (parameters[name],)),)
    if parameters.get("StreamName"):
        return (Need(action, (place.arn("kinesis", f"stream/{parameters['StreamName']}"),)),)
    return (Need(action, ()),) if "ShardIterator" in parameters or "NextToken" in parameters else None


def _video(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("StreamName")
    return (Need(action, (place.arn("kinesisvideo", f"stream/{name}/0"),)),) if name else None


def _lambda(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("FunctionName")
    if name:
        if not name.startswith("arn:"):
            name = place.arn("lambda", f"function:{name.rpartition('function:')[2]}")
        qualifier = parameters.get("Qualifier")
        own = f"{name}:{qualifier}" if qualifier and name.count(":") == 6 else name
        return (Need(action, (own, name) if qualifier in (None, "$LATEST") else (own,)),)
    if parameters.get("UUID"):
        return (Need(action, (place.arn("lambda", f"event-source-mapping:{parameters['UUID']}"),)),)
    return None


def _s3(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    bucket = parameters.get("Bucket")
    if not bucket:
        return None
    arn = bucket if bucket.startswith("arn:") else f"arn:aws:s3:::{bucket}"
    if "Delete" in parameters:
        return [Need(action, (f"{arn}/{one['Key']}",)) for one in parameters["Delete"].get("Objects") or ()]
    found = [Need(action, (f"{arn}/{parameters['Key']}" if parameters.get("Key") else arn,))]
    source = parameters.get("CopySource")
    if isinstance(source, str):
        found.append(Need("s3:GetObject", (f"arn:aws:s3:::{source.lstrip('/').partition('?')[0]}",)))
    return found


def _sqs(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    if parameters.get("QueueUrl"):
        *_, account, name = ("", place.account, *parameters["QueueUrl"].rstrip("/").split("/"))[-2:]
        owner = account if account.isdecimal() else place.account
        return (Need(action, (f"arn:aws:sqs:{place.region}:{owner}:{name}",)),)
    name = parameters.get("QueueName")
    return (Need(action, (place.arn("sqs", name),)),) if name else None


def _sns(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    if parameters.get("SubscriptionArn"):
        return (Need(action, (parameters["SubscriptionArn"].rpartition(":")[0],)),)
    return (Need(action, (place.arn("sns", parameters["Name"]),)),) if action == "sns:CreateTopic" else None


def _logs(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("logGroupName") or parameters.get("logGroupIdentifier")
    if not name:
        return None
    group = place.arn("logs", name if name.startswith("arn:") else f"log-group:{name}").removesuffix(":*")
    stream = parameters.get("logStreamName")
    return (Need(action, (f"{group}:log-stream:{stream}",) if stream else (group, f"{group}:*")),)


def _ses(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    sender = parameters.get("Source") or parameters.get("FromEmailAddress")
    if isinstance(sender, str):
        address = sender.rpartition("<")[2].rstrip("> ")
        names = (address, address.rpartition("@")[2])
        return (Need(action, tuple(place.arn("ses", f"identity/{name}") for name in names)),)
    kinds = (("EmailIdentity", "identity"), ("TemplateName", "template"), ("ConfigurationSetName", "configuration-set"))
    for member, kind in kinds:
        if isinstance(parameters.get(member), str):
            return (Need(action, (place.arn("ses", f"{kind}/{parameters[member]}"),)),)
    return (Need(action, ()),) if "RawMessage" in parameters or "Content" in parameters else None


def _iam(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    for member, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        if isinstance(parameters.get(member), str):
            return (Need(action, (f"arn:aws:iam::{place.account}:{kind}/{parameters[member]}",)),)
    own = action in actions.OF_ONESELF and not parameters.get("PolicyArn")
    return (Need(action, (place.caller,)),) if own else None


def _named(service: str, member: str, shape: str) -> _Finder:
    def find(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
        name = parameters.get(member)
        return (Need(action, (place.arn(service, shape.format(name)),)),) if isinstance(name, str) else None

    return find


def _stack(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("StackName")
    if not isinstance(name, str):
        return None
    return (Need(action, (name if name.startswith("arn:") else place.arn("cloudformation", f"stack/{name}/*"),)),)


_FINDERS: dict[str, _Finder] = {
    "dynamodb": _dynamodb,
    "kinesis": _kinesis,
    "kinesisvideo": _video,
    "lambda": _lambda,
    "s3": _s3,
    "sqs": _sqs,
    "sns": _sns,
    "logs": _logs,
    "ses": _ses,
    "iam": _iam,
    "cloudformation": _stack,
    "firehose": _named("firehose", "DeliveryStreamName", "deliverystream/{}"),
    "kinesisanalytics": _named("kinesisanalytics", "ApplicationName", "application/{}"),
    "redshift": _named("redshift", "ClusterIdentifier", "cluster:{}"),
    "redshift-data": _named("redshift", "ClusterIdentifier", "cluster:{}"),
}
