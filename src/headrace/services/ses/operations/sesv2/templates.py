"""Templates."""

from typing import Any

from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.services.ses import rules, state, templating
from headrace.services.ses.errors import V2

Structure = dict[str, Any]


@operation
def create_email_template(
    ctx: Context, *, template_name: str, template_content: Structure, tags: list[dict[str, str]] | None = None
) -> Structure:
    """Keep a template of subject, text and HTML."""
    templating.create(ctx, V2, _row(ctx, template_name, template_content))
    if tags:
        tag_lists.add(ctx.tx, state.arn(ctx, "template", template_name), tag_lists.from_list(tags))
    return {}


@operation
def update_email_template(ctx: Context, *, template_name: str, template_content: Structure) -> Structure:
    """Replace a template."""
    templating.update(ctx, V2, _row(ctx, template_name, template_content))
    return {}


@operation
def delete_email_template(ctx: Context, *, template_name: str) -> Structure:
    """Forget a template."""
    templating.find(ctx, V2, template_name)
    state.drop_template(ctx, template_name)
    return {}


@operation(read_only=True)
def get_email_template(ctx: Context, *, template_name: str) -> Structure:
    """Show a template."""
    row = templating.find(ctx, V2, template_name)
    parts = {"Subject": row.subject, "Text": row.text, "Html": row.html}
    return {
        "TemplateName": row.name,
        "TemplateContent": {name: text for name, text in parts.items() if text is not None},
        "Tags": tag_lists.to_list(tag_lists.get(ctx.tx, state.arn(ctx, "template", row.name))),
    }


@operation(read_only=True)
def list_email_templates(ctx: Context, *, next_token: str | None = None, page_size: int | None = None) -> Structure:
    """List templates in order of their names."""
    limit = min(rules.page_limit(page_size), 100)
    found = list(state.templates(ctx, rules.read_token(next_token, V2), limit + 1))
    shown, last = rules.page(found, limit)
    answer: Structure = {"TemplatesMetadata": [{"TemplateName": name, "CreatedTimestamp": at} for name, at in shown]}
    if last is not None:
        answer["NextToken"] = rules.token(last[0])
    return answer


@operation(transaction=False)
def test_render_email_template(ctx: Context, *, template_name: str, template_data: str) -> Structure:
    """Show the message that a template and its data make; missing data is an error here."""
    return {"RenderedTemplate": ctx.snapshot(lambda inner: templating.test_render(inner, V2, template_name, template_data))}


def _row(ctx: Context, name: str, content: Structure) -> state.Template:
    return state.Template(name, float(int(ctx.clock.now())), content.get("Subject"), content.get("Text"), content.get("Html"))
