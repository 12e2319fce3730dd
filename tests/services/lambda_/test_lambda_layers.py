"""Lists of layers: filters and pages."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def functions(client: Callable[..., Any]) -> Any:
    return client("lambda")


def publish(functions: Any, name: str, *runtimes: str, architectures: tuple[str, ...] = ()) -> int:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("python/one.py", "ONE = 1")
    made = functions.publish_layer_version(
        LayerName=name, Content={"ZipFile": packed.getvalue()}, CompatibleRuntimes=list(runtimes),
        CompatibleArchitectures=list(architectures),
    )  # fmt: skip
    return int(made["Version"])


def names(answer: Any) -> list[tuple[str, int]]:
    return [(one["LayerName"], one["LatestMatchingVersion"]["Version"]) for one in answer["Layers"]]


def test_layers__are_filtered_by_what_they_are_made_for(functions: Any) -> None:
    publish(functions, "both", "python3.12", "nodejs22.x", architectures=("x86_64",))
    publish(functions, "both", "nodejs22.x", architectures=("arm64",))
    publish(functions, "any")
    assert names(functions.list_layers()) == [("any", 1), ("both", 2)]
    assert names(functions.list_layers(CompatibleRuntime="python3.12")) == [("both", 1)]
    assert names(functions.list_layers(CompatibleRuntime="nodejs22.x")) == [("both", 2)]
    assert names(functions.list_layers(CompatibleArchitecture="x86_64")) == [("both", 1)]
    assert names(functions.list_layers(CompatibleRuntime="java17")) == []

    def versions(**asked: str) -> list[int]:
        return [one["Version"] for one in functions.list_layer_versions(LayerName="both", **asked)["LayerVersions"]]

    assert versions() == [2, 1]
    assert versions(CompatibleRuntime="python3.12") == [1]
    assert versions(CompatibleArchitecture="arm64") == [2]
    assert versions(CompatibleRuntime="python3.12", CompatibleArchitecture="arm64") == []


def test_layers__come_in_pages(functions: Any) -> None:
    for number in range(5):
        publish(functions, f"layer-{number}", "python3.12")
    pages = functions.get_paginator("list_layers").paginate(CompatibleRuntime="python3.12", PaginationConfig={"PageSize": 2})
    assert [[name for name, _ in names(page)] for page in pages] == [
        ["layer-0", "layer-1"], ["layer-2", "layer-3"], ["layer-4"],
    ]  # fmt: skip
    for _ in range(3):
        publish(functions, "layer-0", "python3.12")
        publish(functions, "layer-0", "nodejs22.x")
    asked = {"LayerName": "layer-0", "CompatibleRuntime": "python3.12"}
    first = functions.list_layer_versions(**asked, MaxItems=2)
    assert [one["Version"] for one in first["LayerVersions"]] == [6, 4]
    second = functions.list_layer_versions(**asked, MaxItems=2, Marker=first["NextMarker"])
    assert [one["Version"] for one in second["LayerVersions"]] == [2, 1]
    assert "NextMarker" not in second
