"""Every service fits the AWS models it serves, and says what it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.app import load_services
from headrace.loading import CARDS, Card, read
from headrace.operation import Service
from headrace.ports import Ports

SOURCE = Path(__file__).parents[2] / "src" / "headrace"


@pytest.mark.parametrize("service", {s.name: s for s in load_services().values()}.values(), ids=lambda service: service.name)
def test_bound__every_operation_fits_its_model(service: Service) -> None:
    for model in service.models:
        assert service.bound(model)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.folder)
def test_readme__every_service_has_one(card: Card) -> None:
    assert (SOURCE / "services" / card.folder / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.folder)
def test_card__says_what_its_service_is_and_offers(card: Card) -> None:
    service = read(card)
    assert (card.models, sorted(card.offers)) == (service.models, sorted(service.offers))


def test_cards__there_is_one_for_each_service() -> None:
    assert {card.folder for card in CARDS} == {path.parent.name for path in (SOURCE / "services").glob("*/service.py")}


@pytest.mark.parametrize("service", {s.name: s for s in load_services().values()}.values(), ids=lambda service: service.name)
def test_offers__go_to_ports_that_there_are(service: Service) -> None:
    ports = Ports()
    for name in service.offers:
        port, _, entry = name.partition(".")
        assert isinstance(getattr(ports, port), dict) == bool(entry)


def test_start__imports_no_service() -> None:
    program = "import sys, headrace.app; print(*[name for name in sys.modules if name.startswith('headrace.services.')])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split() == []
