"""Keeping and testing templates, for both APIs."""

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.ses import limits, rules, sending, state
from headrace.services.ses.engine import mime, templates
from headrace.services.ses.engine.addresses import Address
from headrace.services.ses.engine.mime import BadMessage, Parts
from headrace.services.ses.engine.rendering import MissingAttribute, RenderingFailure
from headrace.services.ses.errors import AlreadyExistsException, Dialect, LimitExceededException

_NOBODY = Address("", "nobody", "example.com")


def check(dialect: Dialect, template: state.Template) -> None:
    """Refuse a template that is too large or cannot be read."""
    texts = [text for text in (template.subject, template.text, template.html) if text is not None]
    if sum(len(text.encode()) for text in texts) > limits.TEMPLATE_MAX_BYTES:
        raise dialect.bad_template(template.name, f"Template size is more than {limits.TEMPLATE_MAX_BYTES} bytes.")
    if not template.subject:
        raise dialect.bad_template(template.name, "The subject must be specified.")
    if template.text is None and template.html is None:
        raise dialect.bad_template(template.name, "The text part or the HTML part must be specified.")
    for text in texts:
        try:
            templates.compile_template(text)
        except templates.TemplateSyntax as error:
            raise dialect.bad_template(template.name, f"The template is invalid: {error}") from error


def create(ctx: Context, dialect: Dialect, template: state.Template, exists: AwsError | None = None) -> None:
    """Keep a new template."""
    rules.check_template_name(template.name, dialect)
    if state.template(ctx, template.name) is not None:
        raise exists or AlreadyExistsException(f"Template {template.name} already exists.")
    check(dialect, template)
    if sum(1 for _ in state.templates(ctx, None, limits.TEMPLATES_MAX)) >= limits.TEMPLATES_MAX:
        raise LimitExceededException(f"The account has {limits.TEMPLATES_MAX} templates already.")
    state.put_template(ctx, template)


def update(ctx: Context, dialect: Dialect, template: state.Template) -> None:
    """Replace a template's texts."""
    found = state.template(ctx, template.name)
    if found is None:
        raise dialect.no_template(template.name)
    check(dialect, template)
    template.created_at = found.created_at
    state.put_template(ctx, template)


def find(ctx: Context, dialect: Dialect, name: str) -> state.Template:
    """A template, or the API's way to say that there is none."""
    found = state.template(ctx, name)
    if found is None:
        raise dialect.no_template(name)
    return found


def test_render(ctx: Context, dialect: Dialect, name: str, data: str) -> str:
    """The MIME message that a template and its data would make."""
    template = find(ctx, dialect, name)
    try:
        content = sending.fill(dialect, template, data)
    except MissingAttribute as error:
        raise dialect.missing_attribute(name, str(error)) from error
    except RenderingFailure as error:
        raise dialect.bad_data(name, str(error)) from error
    now = ctx.clock.now()
    parts = Parts(_NOBODY, (), (), content.subject, content.text, content.html)
    try:
        built = mime.build(parts, rules.message_id(ctx.ids, ctx.region, now), now)
    except BadMessage as error:
        raise dialect.bad_data(name, str(error)) from error
    head, _, body = built.decode().partition("\r\n\r\n")
    lines = [line for line in head.split("\r\n") if not line.startswith(("From:", "Message-ID:"))]
    return "\r\n".join(lines) + "\r\n\r\n" + body
