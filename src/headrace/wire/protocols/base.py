"""What every protocol offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import AwsError
from headrace.wire.models import OperationModel, ServiceModel
from headrace.wire.request import HttpRequest, Response

NO_LABELS: Mapping[str, str] = {}


class Protocol(ABC):
    """One AWS protocol. Its methods are pure; what they compile from a model they keep."""

    @abstractmethod
    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The operation's input, in AWS's spelling. Raises SerializationException (or the protocol's equivalent)."""

    @abstractmethod
    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """The answer that carries the operation's result."""

    @abstractmethod
    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """The answer that carries an error of the caller."""
