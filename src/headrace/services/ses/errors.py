"""The errors of SES's two APIs, and the sentences that both share.

A `Dialect` says the same thing in the words of one of the two: what is TemplateDoesNotExist in the first is NotFoundException in
the second.
"""

from typing import Protocol

from headrace.kit.errors import AwsError
from headrace.services.ses import limits


class MessageRejected(AwsError):
    """The message is not sent."""


class AlreadyExistsException(AwsError):
    """The name is taken."""


class TemplateDoesNotExistException(AwsError):
    """There is no such template (v1)."""


class InvalidTemplateException(AwsError):
    """The template cannot be read (v1)."""


class InvalidRenderingParameterException(AwsError):
    """The template's data cannot be read (v1)."""


class MissingRenderingAttributeException(AwsError):
    """The template prints an attribute that its data lacks (v1)."""


class ConfigurationSetAlreadyExistsException(AwsError):
    """The configuration set's name is taken (v1)."""


class ConfigurationSetDoesNotExistException(AwsError):
    """There is no such configuration set (v1)."""


class ConfigurationSetSendingPausedException(AwsError):
    """The configuration set sends nothing now (v1)."""


class LimitExceededException(AwsError):
    """A quota is used up."""


class InvalidParameterValue(AwsError):
    """A value cannot be used (v1)."""

    code = "InvalidParameterValue"


class BadRequestException(AwsError):
    """A value cannot be used (v2)."""


class NotFoundException(AwsError):
    """What was named does not exist (v2)."""


class SendingPausedException(AwsError):
    """The configuration set sends nothing now (v2)."""


class Dialect(Protocol):
    """One API's way to say what both must say."""

    message_max_bytes: int

    def bad(self, message: str) -> AwsError:
        """A value cannot be used."""

    def no_template(self, name: str) -> AwsError:
        """There is no such template."""

    def no_configuration_set(self, name: str) -> AwsError:
        """There is no such configuration set."""

    def paused(self, name: str) -> AwsError:
        """The configuration set sends nothing now."""

    def bad_template(self, name: str, message: str) -> AwsError:
        """The template cannot be read."""

    def bad_data(self, name: str, message: str) -> AwsError:
        """The template's data cannot be read."""

    def missing_attribute(self, name: str, message: str) -> AwsError:
        """The template prints an attribute that its data lacks."""


class _V1:
    message_max_bytes = limits.V1_MESSAGE_MAX_BYTES

    def bad(self, message: str) -> AwsError:
        return InvalidParameterValue(message)

    def no_template(self, name: str) -> AwsError:
        return TemplateDoesNotExistException(f"Template {name} does not exist.", TemplateName=name)

    def no_configuration_set(self, name: str) -> AwsError:
        return ConfigurationSetDoesNotExistException(f"Configuration set <{name}> does not exist.", ConfigurationSetName=name)

    def paused(self, name: str) -> AwsError:
        return ConfigurationSetSendingPausedException(
            f"Sending is disabled for configuration set <{name}>.", ConfigurationSetName=name
        )

    def bad_template(self, name: str, message: str) -> AwsError:
        return InvalidTemplateException(message, TemplateName=name)

    def bad_data(self, name: str, message: str) -> AwsError:
        return InvalidRenderingParameterException(message, TemplateName=name)

    def missing_attribute(self, name: str, message: str) -> AwsError:
        return MissingRenderingAttributeException(message, TemplateName=name)


class _V2:
    message_max_bytes = limits.V2_MESSAGE_MAX_BYTES

    def bad(self, message: str) -> AwsError:
        return BadRequestException(message)

    def no_template(self, name: str) -> AwsError:
        return NotFoundException(f"Template {name} does not exist.")

    def no_configuration_set(self, name: str) -> AwsError:
        return NotFoundException(f"Configuration set <{name}> does not exist.")

    def paused(self, name: str) -> AwsError:
        return SendingPausedException(f"Sending is disabled for configuration set <{name}>.")

    def bad_template(self, name: str, message: str) -> AwsError:
        return BadRequestException(message)

    def bad_data(self, name: str, message: str) -> AwsError:
        return BadRequestException(message)

    def missing_attribute(self, name: str, message: str) -> AwsError:
        return BadRequestException(message)


V1: Dialect = _V1()
V2: Dialect = _V2()


def unverified(region: str, identities: list[str]) -> MessageRejected:
    """The sender is not a verified identity."""
    return MessageRejected(
        "Email address is not verified. The following identities failed the check in region "
        f"{region.upper()}: {', '.join(identities)}"
    )
