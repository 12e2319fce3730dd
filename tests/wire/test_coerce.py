"""Values from templates in the model's types."""

from typing import Any

import pytest
from tests.wire.sampler import Sampler

from headrace.kit.errors import ValidationException
from headrace.wire import models
from headrace.wire.coerce import coerce


def create_function(**parameters: Any) -> dict[str, Any]:
    return coerce(models.service("lambda").operations["CreateFunction"], parameters)


def test_texts_become_what_the_model_says() -> None:
    given = {"MemorySize": "128", "Timeout": 3.0, "Publish": "true", "Environment": {"Variables": {"A": 1, "B": True, "C": None}}}
    assert create_function(FunctionName=5, Description=None, Code={"ZipFile": "text"}, **given) == {
        "FunctionName": "5",
        "MemorySize": 128,
        "Timeout": 3,
        "Publish": True,
        "Environment": {"Variables": {"A": "1", "B": "true"}},
        "Code": {"ZipFile": b"text"},
    }


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"MemorySize": "big"}, "MemorySize"),
        ({"MemorySize": True}, "MemorySize"),
        ({"Publish": "yes"}, "Publish"),
        ({"Environment": "x"}, "Environment"),
        ({"Layers": [["x"]]}, "Layers[0]"),
        ({"VpcConfig": {"SubnetIds": "x"}}, "VpcConfig.SubnetIds"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(parameters: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationException, match="Invalid type for parameter") as found:
        create_function(**parameters)
    assert f" {path}, " in found.value.message


@pytest.mark.parametrize("name", models.SERVICES)
def test_what_is_right_already_stays(name: str) -> None:
    for number, operation in enumerate(models.service(name).operations.values()):
        if operation.input is not None:
            parameters = Sampler(number).structure(operation.input)
            assert coerce(operation, parameters) == parameters
