"""What a request needs: which actions on which resources its caller must be allowed.

A `Need` without resources is one whose resource the request does not show (an opaque iterator, say): then the action alone is
asked for. Several resources of one need are names of the same thing; it is enough when one of them is allowed, and none denied.

A resource can be spelled in several ways. Each is brought into the one form that policies use, because a Deny must fit whatever
the caller writes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from headrace.services.iam.engine import actions, senders


class Need(NamedTuple):
    """An action, and the resource (under each of its names) that it is done to; none: not known. `about`: condition keys."""

    action: str
    resources: tuple[str, ...]
    about: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Place(NamedTuple):
    """Where a request is made: by whom, in which account and region."""

    account: str
    region: str
    caller: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region; of a whole ARN its partition and service are put right."""
        if resource.startswith("arn:") and resource.count(":") >= 5:
            return ":".join(("arn", "aws", service, *resource.split(":", 5)[3:]))
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def taken_apart(self, text: str) -> tuple["Place", str]:
        """Where the resource of an ARN is, and its name there; what is no ARN is a name here."""
        if not text.startswith("arn:") or text.count(":") < 5:
            return self, text
        _, _, _, region, account, resource = text.split(":", 5)
        return self._replace(region=region or self.region, account=account if is_account(account) else self.account), resource


def is_account(text: str) -> bool:
    """Whether a part of an ARN is an account."""
    return len(text) == 12 and text.isdecimal()


_Finder = Callable[[str, Mapping[str, Any], Place], Sequence[Need] | None]
EVERYTHING = ("*",)


def needs(service: str, operation: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need]:
    """What a request needs. Everybody may ask who they are; who may assume a role, STS asks itself."""
    action = actions.of(service, operation)
    if action in actions.FREE:
        return ()
    prefix = action.split(":", 1)[0]
    finder = _FINDERS.get(prefix)
    found = finder(action, parameters, place) if finder is not None else None
    if found is None:
        found = [Need(action, (arn,)) for arn in _arns(parameters)] or (Need(action, EVERYTHING),)
    taker = actions.ROLE_TAKERS.get(prefix)
    if taker is None or not operation.startswith(actions.ROLE_GIVING):
        return found
    about = (("iam:passedtoservice", (taker,)),)
    return [*found, *(Need("iam:PassRole", (role,), about) for role in dict.fromkeys(_roles(parameters)))]


def _arns(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        if name.lower().endswith("arn") and isinstance(value, str) and value.startswith("arn:"):
            yield value


def _roles(value: Any, inside: bool = False) -> Iterator[str]:
    """The ARNs of the roles that a request hands over."""
    if isinstance(value, str):
        if inside and value.startswith("arn:"):
            yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _roles(one, name in actions.ROLE_MEMBERS)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _roles(one, inside)


def _dynamodb(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    def table(name: str, rest: str = "") -> tuple[str, ...]:
        where, resource = place.taken_apart(name)
        parts = resource.split("/") if name.startswith("arn:") else ["table", name]
        return (where.arn("dynamodb", f"table/{parts[1] if len(parts) > 1 else '*'}{rest}"),)

    if action == "dynamodb:ListStreams":
        return (Need(action, table(parameters.get("TableName", "*"), "/stream/*")),)
    if "TableName" in parameters:
        index = parameters.get("IndexName")
        return (Need(action, table(parameters["TableName"], f"/index/{index}" if index else "")),)
    if "GlobalTableName" in parameters:
        group = f"arn:aws:dynamodb::{place.account}:global-table/{parameters['GlobalTableName']}"
        return (Need(action, (group,)),)
    if "RequestItems" in parameters:
        return [Need(action, table(name)) for name in parameters["RequestItems"]]
    if "TransactItems" in parameters:
        parts = [pair for item in parameters["TransactItems"] for pair in item.items()]
        return [Need(f"dynamodb:{actions.TRANSACTED[kind]}", table(part["TableName"])) for kind, part in parts]
    for name in ("StreamArn", "ResourceArn", "BulkOperationArn"):
        if name in parameters:
            return (Need(action, (place.arn("dynamodb", parameters[name]),)),)
    statements = (
        [parameters] if "Statement" in parameters else parameters.get("Statements") or parameters.get("TransactStatements")
    )
    if statements:
        return [Need(actions.of_statement(one.get("Statement", "")), ()) for one in statements]
    if "ShardIterator" in parameters:
        # It begins with the stream's ARN.
        stream = parameters["ShardIterator"].partition("|")[0]
        return (Need(action, (place.arn("dynamodb", stream),) if stream.startswith("arn:") else ()),)
    return (Need(action, table("*")),) if action == "dynamodb:ListTables" else None


def _kinesis(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    if parameters.get("ConsumerARN"):
        return (Need(action, (place.arn("kinesis", parameters["ConsumerARN"]),)),)
    given = parameters.get("StreamARN") or parameters.get("ResourceARN")
    name = given.partition("stream/")[2].split("/")[0] if given else parameters.get("StreamName")
    if given and "/consumer/" in given:
        return (Need(action, (place.arn("kinesis", given),)),)
    if name and action in ("kinesis:DescribeStreamConsumer", "kinesis:DeregisterStreamConsumer"):
        # The ARN ends with the second of the consumer's creation, which these calls may leave out.
        where, _ = place.taken_apart(given or "")
        return (Need(action, (where.arn("kinesis", f"stream/{name}/consumer/{parameters.get('ConsumerName')}:0"),)),)
    if name:
        where, _ = place.taken_apart(given or "")
        return (Need(action, (where.arn("kinesis", f"stream/{name}"),)),)
    return (Need(action, ()),) if "ShardIterator" in parameters or "NextToken" in parameters else None


def _video(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    for member in ("StreamARN", "ChannelARN", "ResourceARN"):
        if parameters.get(member):
            return (Need(action, (place.arn("kinesisvideo", parameters[member]),)),)
    # The ARN ends with the millisecond of the creation, which names leave out: policies have an asterisk there.
    for member, kind in (("StreamName", "stream"), ("ChannelName", "channel")):
        if parameters.get(member):
            return (Need(action, (place.arn("kinesisvideo", f"{kind}/{parameters[member]}/0"),)),)
    return None


# A name, a partial ARN or an ARN of a function, with or without a qualifier.
_FUNCTION = re.compile(
    r"(?:arn:[^:]*:lambda:(?P<region>[^:]*):)?(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[^:]+)(?::(?P<qualifier>[^:]+))?\Z"
)


def _lambda(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    mapping = parameters.get("UUID")
    if mapping or action == "lambda:CreateEventSourceMapping":
        function = parameters.get("FunctionName")
        about = (("lambda:functionarn", _function(function, None, place)[-1:]),) if function else ()
        return (Need(action, (place.arn("lambda", f"event-source-mapping:{mapping or '*'}"),), about),)
    found = []
    name = parameters.get("FunctionName")
    if name:
        found.append(Need(action, _function(name, parameters.get("Qualifier"), place)))
    elif parameters.get("LayerName"):
        version = parameters.get("VersionNumber")
        where, layer = place.taken_apart(parameters["LayerName"])
        layer = layer.removeprefix("layer:") + (f":{version}" if version else "")
        found.append(Need(action, (where.arn("lambda", f"layer:{layer}"),)))
    elif parameters.get("Resource"):
        resource = parameters["Resource"]
        plain = "layer:" in resource or "event-source-mapping:" in resource
        found.append(Need(action, (place.arn("lambda", resource),) if plain else _function(resource, None, place)))
    # Code in a bucket is read on behalf of who names it.
    for code in (parameters, parameters.get("Code") or {}, parameters.get("Content") or {}):
        if code.get("S3Bucket"):
            found.append(Need("s3:GetObject", (f"arn:aws:s3:::{code['S3Bucket']}/{code.get('S3Key', '*')}",)))
    return found or None


def _function(text: str, qualifier: str | None, place: Place) -> tuple[str, ...]:
    """A function's ARN with its qualifier; without one, the newest version's is another name of it."""
    match = _FUNCTION.match(text)
    name, inside = (match["name"], match["qualifier"]) if match else (text, None)
    if match:
        place = place._replace(region=match["region"] or place.region, account=match["account"] or place.account)
    bare = place.arn("lambda", f"function:{name}")
    wanted = qualifier or inside
    if wanted in (None, "$LATEST"):
        return (bare,) if wanted is None else (f"{bare}:$LATEST", bare)
    return (f"{bare}:{wanted}",)


def _s3(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    bucket = parameters.get("Bucket")
    if not bucket:
        return None
    arn = bucket if bucket.startswith("arn:") else f"arn:aws:s3:::{bucket}"
    if "Delete" in parameters:
        return [Need(action, (f"{arn}/{one['Key']}",)) for one in parameters["Delete"].get("Objects") or ()]
    about: tuple[tuple[str, tuple[str, ...]], ...] = ()
    if action in ("s3:ListBucket", "s3:ListBucketVersions"):
        members = (("prefix", "Prefix"), ("delimiter", "Delimiter"))
        about = tuple((f"s3:{key}", (parameters.get(member) or "",)) for key, member in members)
    found = [Need(action, (f"{arn}/{parameters['Key']}" if parameters.get("Key") else arn,), about)]
    source = parameters.get("CopySource")
    if isinstance(source, str):
        name = unquote(source.partition("?")[0]).removeprefix("/")
        found.append(Need("s3:GetObject", (f"arn:aws:s3:::{name}",)))
    if isinstance(parameters.get("Tagging"), str):
        found.append(Need("s3:PutObjectTagging", (f"{arn}/{parameters.get('Key')}",)))
    return found


def _sqs(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    owner, name = parameters.get("QueueOwnerAWSAccountId"), parameters.get("QueueName")
    if parameters.get("QueueUrl"):
        *_, owner, name = ("", "", *unquote(urlsplit(parameters["QueueUrl"]).path).strip("/").split("/"))
    return (Need(action, (f"arn:aws:sqs:{place.region}:{owner or place.account}:{name}",)),) if name else None


def _sns(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    if parameters.get("SubscriptionArn"):
        return (Need(action, (parameters["SubscriptionArn"].rpartition(":")[0],)),)
    return (Need(action, (place.arn("sns", parameters["Name"]),)),) if action == "sns:CreateTopic" else None


def _logs(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("logGroupName") or parameters.get("logGroupIdentifier") or parameters.get("resourceArn")
    if not name:
        return (Need(action, (place.arn("logs", "log-group::log-stream:"),)),) if action == "logs:DescribeLogGroups" else None
    if name.startswith("arn:"):
        name = name.partition(":log-group:")[2].split(":")[0]
    group = place.arn("logs", f"log-group:{name}")
    stream = parameters.get("logStreamName")
    return (Need(action, (f"{group}:log-stream:{stream}",) if stream else (group, f"{group}:*")),)


def _ses(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    if action.startswith("ses:Send"):
        return [_sent_by(action, sender, place) for sender in senders.of(parameters)] or (Need(action, EVERYTHING),)
    kinds = (
        ("EmailIdentity", "identity"), ("Identity", "identity"), ("EmailAddress", "identity"), ("Domain", "identity"),
        ("TemplateName", "template"), ("ConfigurationSetName", "configuration-set"),
    )  # fmt: skip
    for member, kind in kinds:
        if isinstance(parameters.get(member), str):
            return (Need(action, (place.arn("ses", f"{kind}/{parameters[member]}"),)),)
    identities = parameters.get("Identities")
    return [Need(action, (place.arn("ses", f"identity/{one}"),)) for one in identities] if identities else None


def _sent_by(action: str, sender: str, place: Place) -> Need:
    local, _, domain = sender.rpartition("@")
    names = dict.fromkeys((sender, f"{local}@{domain.lower()}", domain.lower()))
    return Need(action, tuple(place.arn("ses", f"identity/{name}") for name in names), (("ses:fromaddress", (sender,)),))


def _iam(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    about = (("iam:policyarn", (parameters["PolicyArn"],)),) if parameters.get("PolicyArn") else ()
    for member, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        if isinstance(parameters.get(member), str):
            name = parameters.get("Path", "/").removeprefix("/") + parameters[member]
            return (Need(action, (f"arn:aws:iam::{place.account}:{kind}/{name}",), about),)
    own = action in actions.OF_ONESELF and not parameters.get("PolicyArn")
    return (Need(action, (place.caller,)),) if own else None


def _redshift(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    cluster = parameters.get("ClusterIdentifier")
    if not isinstance(cluster, str):
        tagged = parameters.get("ResourceName")
        return (Need(action, (place.arn("redshift", tagged),)),) if tagged else None
    user, database = parameters.get("DbUser"), parameters.get("DbName")
    if action == "redshift:GetClusterCredentials":
        names = [f"dbuser:{cluster}/{user}"] + ([f"dbname:{cluster}/{database}"] if database else [])
        return [Need(action, (place.arn("redshift", name),)) for name in names]
    found = [Need(action, (place.arn("redshift", f"cluster:{cluster}"),))]
    if action.startswith("redshift-data:") and user:
        # The Data API logs in as this user.
        found.append(Need("redshift:GetClusterCredentials", (place.arn("redshift", f"dbuser:{cluster}/{user}"),)))
    return found


def _named(service: str, member: str, shape: str) -> _Finder:
    def find(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
        name = parameters.get(member)
        return (Need(action, (place.arn(service, shape.format(name)),)),) if isinstance(name, str) else None

    return find


def _stack(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    name = parameters.get("StackName")
    if not isinstance(name, str):
        return None
    return (Need(action, (place.arn("cloudformation", name if name.startswith("arn:") else f"stack/{name}/*"),)),)


def _scaling(action: str, parameters: Mapping[str, Any], place: Place) -> Sequence[Need] | None:
    # The role that a target is given is not what is asked for.
    arn = parameters.get("ResourceARN")
    return (Need(action, (arn,) if isinstance(arn, str) else EVERYTHING),)


_FINDERS: dict[str, _Finder] = {
    "application-autoscaling": _scaling,
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
    "redshift": _redshift,
    "redshift-data": _redshift,
}
