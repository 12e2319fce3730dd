"""`headrace table`: look into DynamoDB tables, and move their items."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from headrace.cli import table_move
from headrace.cli.clients import client
from headrace.cli.main import add_settings
from headrace.cli.table_items import key_value, plain_line, typed_line
from headrace.cli.telling import told
from headrace.kit.settings import Settings


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """It takes no more than every action."""


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the table")


def _add_get(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("key", help="the partition key")
    parser.add_argument("sort", nargs="?", help="the sort key, if the table has one")


def _add_query(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument(
        "key", nargs="+", help="the partition key, all its attributes, and the first ones of the sort key if you like"
    )
    parser.add_argument("--index", help="an index to look into")
    parser.add_argument("--begins", metavar="TEXT", help="sort keys that begin so")
    parser.add_argument("--from", dest="first", metavar="KEY", help="sort keys from this one on")
    parser.add_argument("--to", dest="last", metavar="KEY", help="sort keys up to this one")
    parser.add_argument("--limit", type=int, help="so many items at most")
    parser.add_argument("--reverse", action="store_true", help="the last ones first")


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the tables, with their size and state."""
    db = client(settings, "dynamodb", arguments.account)
    names = [name for page in db.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    for name in names:
        found = db.describe_table(TableName=name)["Table"]
        if arguments.json:
            print(
                json.dumps(
                    {
                        "name": name,
                        "status": found["TableStatus"],
                        "items": found["ItemCount"],
                        "size_bytes": found["TableSizeBytes"],
                        "indexes": [one["IndexName"] for one in _indexes(found)],
                    }
                )
            )
        else:
            print(
                f"{name}  {found['ItemCount']:,} items, {_size(found['TableSizeBytes'])}, {len(_indexes(found))} indexes, "
                f"{found['TableStatus'].lower()}"
            )
    if not names and not arguments.json:
        print("There are no tables.", file=sys.stderr)
    return 0


def _indexes(found: Any) -> list[Any]:
    return [*found.get("LocalSecondaryIndexes", ()), *found.get("GlobalSecondaryIndexes", ())]


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return ""


def _show(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what a table is."""
    db = client(settings, "dynamodb", arguments.account)
    found = db.describe_table(TableName=arguments.name)["Table"]
    if arguments.json:
        print(json.dumps(found, default=str))
        return 0
    kinds = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}

    def keys(schema: Any) -> str:
        return ", ".join(f"{one['AttributeName']} ({kinds[one['AttributeName']]})" for one in schema)

    recovery = db.describe_continuous_backups(TableName=arguments.name)["ContinuousBackupsDescription"]
    recovery = recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"].lower()
    expiry = db.describe_time_to_live(TableName=arguments.name)["TimeToLiveDescription"]
    rows = [
        ("table", f"{arguments.name}, {found['TableStatus'].lower()}, {found['TableArn']}"),
        ("items", f"{found['ItemCount']:,}, {_size(found['TableSizeBytes'])}"),
        ("keys", keys(found["KeySchema"])),
        *(
            ("index", f"{one['IndexName']}: {keys(one['KeySchema'])}, {one['Projection']['ProjectionType']}")
            for one in _indexes(found)
        ),
        ("stream", found.get("StreamSpecification", {}).get("StreamViewType", "none")),
        ("expiry", expiry.get("AttributeName", "none")),
        ("recovery", recovery),
        *_hottest(settings, arguments, db),
    ]
    for title, text in rows:
        print(f"{title:<9} {text}")
    return 0


def _hottest(settings: Settings, arguments: argparse.Namespace, db: Any) -> Iterator[tuple[str, str]]:
    """The keys that were used and throttled most in the last hour, where contributor insights are on."""
    summaries = db.list_contributor_insights(TableName=arguments.name)["ContributorInsightsSummaries"]
    end = time.time()
    for summary in summaries:
        if summary["ContributorInsightsStatus"] != "ENABLED":
            continue
        index = {"IndexName": summary["IndexName"]} if "IndexName" in summary else {}
        described = db.describe_contributor_insights(TableName=arguments.name, **index)
        for rule in described["ContributorInsightsRuleList"]:
            report = client(settings, "cloudwatch", arguments.account).get_insight_rule_report(
                RuleName=rule, StartTime=end - 3600, EndTime=end + 60, Period=60, MaxContributorCount=5
            )
            what = "throttled" if report["AggregationStatistic"] == "SampleCount" else "units"
            most = [f"{' '.join(one['Keys'])} ({one['ApproximateAggregateValue']:g})" for one in report["Contributors"]]
            of = f"index {index['IndexName']}, " if index else ""
            yield "hottest", f"{of}{' '.join(report['KeyLabels'])}, {what}: {', '.join(most) or 'none'}"


def _get(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print an item; 1 when there is none."""
    db = client(settings, "dynamodb", arguments.account)
    key = _key(db.describe_table(TableName=arguments.name)["Table"], arguments)
    item = db.get_item(TableName=arguments.name, Key=key, ConsistentRead=True).get("Item")
    if item is None:
        print("headrace: there is no such item", file=sys.stderr)
        return 1
    _print(item, arguments)
    return 0


def _key(found: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    kinds = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}
    names = [one["AttributeName"] for one in found["KeySchema"]]
    given = [text for text in (arguments.key, arguments.sort) if text is not None]
    if len(names) != len(given):
        raise SystemExit(f"headrace: the key of {arguments.name} is: {', '.join(names)}")
    return {name: key_value(kinds[name], text) for name, text in zip(names, given, strict=True)}


def _query(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the items of a partition, page by page."""
    db = client(settings, "dynamodb", arguments.account)
    found = db.describe_table(TableName=arguments.name)["Table"]
    kinds = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}
    schema = found["KeySchema"]
    if arguments.index is not None:
        one = next((one for one in _indexes(found) if one["IndexName"] == arguments.index), None)
        if one is None:
            raise SystemExit(f"headrace: {arguments.name} has no index {arguments.index}")
        schema = one["KeySchema"]
    names = [one["AttributeName"] for one in schema]
    least = sum(one["KeyType"] == "HASH" for one in schema)
    given = arguments.key
    if not least <= len(given) <= len(names):
        raise SystemExit(f"headrace: the partition key is: {', '.join(names[:least])}; the whole key: {', '.join(names)}")
    asked: dict[str, Any] = {
        "TableName": arguments.name, "ScanIndexForward": not arguments.reverse,
        "KeyConditionExpression": " AND ".join(f"#k{number} = :k{number}" for number in range(len(given))),
        "ExpressionAttributeNames": {f"#k{number}": name for number, name in enumerate(names[: len(given)])},
        "ExpressionAttributeValues": {f":k{number}": key_value(kinds[names[number]], text) for number, text in enumerate(given)},
    }  # fmt: skip
    if arguments.index is not None:
        asked["IndexName"] = arguments.index
    _narrow(asked, names[len(given) :], kinds, arguments)
    for count, item in enumerate(_items(db, asked)):
        if arguments.limit is not None and count >= arguments.limit:
            break
        _print(item, arguments)
    return 0


def _narrow(asked: dict[str, Any], names: list[str], kinds: dict[str, str], arguments: argparse.Namespace) -> None:
    """What is asked of the first of the names, those of the sort key that are left."""
    given = {":f": arguments.first, ":t": arguments.last, ":b": arguments.begins}
    given = {name: text for name, text in given.items() if text is not None}
    if not given:
        return
    if not names:
        raise SystemExit("headrace: there is no sort key to look at")
    if ":b" in given and len(given) > 1:
        raise SystemExit("headrace: --begins goes without --from and --to")
    condition = {":f": "#s >= :f", ":t": "#s <= :t", ":b": "begins_with(#s, :b)"}[next(iter(given))]
    if len(given) == 2:
        condition = "#s BETWEEN :f AND :t"
    asked["KeyConditionExpression"] += f" AND {condition}"
    asked["ExpressionAttributeNames"]["#s"] = names[0]
    asked["ExpressionAttributeValues"].update({name: key_value(kinds[names[0]], text) for name, text in given.items()})


def _items(db: Any, asked: dict[str, Any]) -> Iterator[Any]:
    for page in db.get_paginator("query").paginate(**asked):
        yield from page["Items"]


def _print(item: Any, arguments: argparse.Namespace) -> None:
    """Plain JSON for a person, DynamoDB's own form for a program."""
    print(typed_line(item) if arguments.json else plain_line(item))


ACTIONS = {
    "list": ("show the tables", _add_nothing, _list),
    "show": ("show what a table is", _add_name, _show),
    "get": ("print an item", _add_get, _get),
    "query": ("print the items of a partition", _add_query, _query),
    "load": ("put each line of a file as an item", table_move.add_load_arguments, table_move.load),
    "dump": ("write a table's items as lines", table_move.add_dump_arguments, table_move.dump),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action, with what it takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (meaning, add, _) in ACTIONS.items():
        action = actions.add_parser(name, help=meaning, description=meaning[0].upper() + meaning[1:] + ".")
        add(action)
        action.add_argument("--account", help="the 12 digits of another account than the server's own")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")
        add_settings(action, argparse.SUPPRESS)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit status, 1 when the server refuses or does not answer."""
    return told(lambda: ACTIONS[arguments.action][2](arguments, settings))
