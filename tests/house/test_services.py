"""Every service fits the AWS models it serves, and says what it is."""

from pathlib import Path

import pytest

from headrace.app import SERVICES, load_services
from headrace.operation import Service

SOURCE = Path(__file__).parents[2] / "src" / "headrace"


@pytest.mark.parametrize("service", {s.name: s for s in load_services().values()}.values(), ids=lambda service: service.name)
def test_bound__every_operation_fits_its_model(service: Service) -> None:
    for model in service.models:
        assert service.bound(model)


@pytest.mark.parametrize("name", SERVICES)
def test_readme__every_service_has_one(name: str) -> None:
    assert (SOURCE / "services" / name / "README.md").read_text().startswith("# ")
