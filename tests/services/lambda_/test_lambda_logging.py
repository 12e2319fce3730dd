"""Logs of the format JSON: what the platform says as events, levels that are left out, and a log group of one's own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import eventually

Caller = Any

SPEAKER = """
    import json, logging, time
    log = logging.getLogger()
    def handler(event, context):
        log.debug("detail")
        log.info("news")
        log.warning("careful", extra={"order": 7})
        print("plain words")
        print(json.dumps({"level": "debug", "timestamp": "2026-01-01T00:00:00Z", "message": "own debug"}))
        print(json.dumps({"level": "error", "timestamp": "2026-01-01T00:00:00Z", "message": "own error"}))
        if event == "fail":
            raise ValueError("no")
        if event == "slow":
            time.sleep(20)
        return "said"
"""


@pytest.fixture
def lines(client: Callable[..., Any]) -> Callable[..., list[str]]:
    """The lines of a log group, once there are so many with a text."""

    def read(group: str, wanted: str, count: int = 1) -> list[str]:
        def look() -> list[str]:
            try:
                events = client("logs").filter_log_events(logGroupName=group)["events"]
            except client("logs").exceptions.ResourceNotFoundException:
                return []
            found = [event["message"].rstrip("\n") for event in events]
            return found if sum(wanted in text for text in found) >= count else []

        found: list[str] = eventually(look)
        return found

    return read


def _events(lines: list[str]) -> dict[str, Any]:
    values = [json.loads(line) for line in lines if line.startswith('{"time"')]
    return {value["type"]: value["record"] for value in values}


def test_json__platform_events_and_the_functions_lines(caller: Caller, lines: Callable[..., list[str]]) -> None:
    name = caller.make(SPEAKER, LoggingConfig={"LogFormat": "JSON"})
    assert caller.call(name) == "said"
    found = lines(f"/aws/lambda/{name}", "platform.report")
    events = _events(found)
    assert list(events) == ["platform.initStart", "platform.start", "platform.report"], "INFO leaves out what is of DEBUG"
    started = events["platform.initStart"]
    assert (started["initializationType"], started["phase"], started["functionName"]) == ("on-demand", "init", name)
    assert events["platform.start"]["version"] == "$LATEST"
    report = events["platform.report"]
    assert report["status"] == "success"
    assert report["metrics"]["memorySizeMB"] == 128
    assert report["metrics"]["initDurationMs"] > 0
    assert report["requestId"] == events["platform.start"]["requestId"]
    said = [json.loads(line) for line in found if line.startswith('{"') and not line.startswith('{"time"')]
    assert [value["message"] for value in said] == ["news", "careful", "own error"]
    assert (said[1]["level"], said[1]["order"], said[1]["requestId"]) == ("WARNING", 7, report["requestId"])
    assert "plain words" in found
    assert not any(line.startswith(("START", "END", "REPORT", "INIT_")) for line in found)


def test_json__levels(caller: Caller, lines: Callable[..., list[str]]) -> None:
    config = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG", "ApplicationLogLevel": "ERROR"}
    name = caller.make(SPEAKER, LoggingConfig=config, Timeout=2)
    caller.call(name)
    found = lines(f"/aws/lambda/{name}", "platform.report")
    done = _events(found)["platform.runtimeDone"]
    assert done["status"] == "success"
    assert done["metrics"]["producedBytes"] == len('"said"')
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration"]
    assert {"platform.initRuntimeDone", "platform.initReport"} <= set(_events(found))
    assert not any("careful" in line or "own debug" in line for line in found)
    assert any("own error" in line for line in found)
    caller.client.update_function_configuration(
        FunctionName=name, LoggingConfig={**config, "SystemLogLevel": "WARN", "LogGroup": "elsewhere"}
    )
    caller.call(name)
    assert caller.call(name, "fail")["errorType"] == "ValueError"
    assert caller.call(name, "slow")["errorType"] == "Sandbox.Timedout"
    found = lines("elsewhere", "platform.report", 2)
    reports = [json.loads(line)["record"] for line in found if "platform.report" in line]
    assert [(one["status"], one.get("errorType")) for one in reports] == [("error", "Function.Unknown"), ("timeout", None)]
    assert not any("platform.start" in line for line in found)


def test_configuration__says_the_levels(caller: Caller) -> None:
    name = caller.make(SPEAKER)
    get = caller.client.get_function_configuration
    assert get(FunctionName=name)["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    caller.client.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "JSON"})
    assert get(FunctionName=name)["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": f"/aws/lambda/{name}",
    }  # fmt: skip
    with pytest.raises(ClientError) as refused:
        caller.client.update_function_configuration(
            FunctionName=name, LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "WARN"}
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
