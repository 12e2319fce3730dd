"""Templates."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.ses import rules, state, templating
from headrace.services.ses.errors import V1, AlreadyExistsException

Structure = dict[str, Any]


@operation
def create_template(ctx: Context, *, template: Structure) -> Structure:
    """Keep a template of subject, text and HTML."""
    row = _row(ctx, template)
    exists = AlreadyExistsException(f"Template {row.name} already exists.", Name=row.name)
    templating.create(ctx, V1, row, exists)
    return {}


@operation
def update_template(ctx: Context, *, template: Structure) -> Structure:
    """Replace a template."""
    templating.update(ctx, V1, _row(ctx, template))
    return {}


@operation
def delete_template(ctx: Context, *, template_name: str) -> Structure:
    """Forget a template; one that is not there is no error."""
    state.drop_template(ctx, template_name)
    return {}


@operation(read_only=True)
def get_template(ctx: Context, *, template_name: str) -> Structure:
    """Show a template."""
    row = templating.find(ctx, V1, template_name)
    parts = {"SubjectPart": row.subject, "TextPart": row.text, "HtmlPart": row.html}
    return {"Template": {"TemplateName": row.name, **{name: text for name, text in parts.items() if text is not None}}}


@operation(read_only=True)
def list_templates(ctx: Context, *, next_token: str | None = None, max_items: int | None = None) -> Structure:
    """List templates in order of their names."""
    limit = min(rules.page_limit(max_items), 100)
    found = list(state.templates(ctx, rules.read_token(next_token, V1), limit + 1))
    shown, last = rules.page(found, limit)
    answer: Structure = {"TemplatesMetadata": [{"Name": name, "CreatedTimestamp": at} for name, at in shown]}
    if last is not None:
        answer["NextToken"] = rules.token(last[0])
    return answer


@operation(transaction=False)
def test_render_template(ctx: Context, *, template_name: str, template_data: str) -> Structure:
    """Show the message that a template and its data make; missing data is an error here."""
    return {"RenderedTemplate": ctx.snapshot(lambda inner: templating.test_render(inner, V1, template_name, template_data))}


def _row(ctx: Context, template: Structure) -> state.Template:
    return state.Template(
        template["TemplateName"],
        float(int(ctx.clock.now())),
        template.get("SubjectPart"),
        template.get("TextPart"),
        template.get("HtmlPart"),
    )
