"""The pipeline to look at: what is linked to what, as JSON and as a picture."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.gateway.counters import Counters
from headrace.gateway.pages import json_answer
from headrace.kit.things import thing
from headrace.operation import Context, Page, PageAnswer, PageRequest

_FILES = Path(__file__).parent / "pipeline"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def pipeline_pages(counters: Counters) -> Mapping[str, Page]:
    """The pages by their paths."""

    def flows(ctx: Context, request: PageRequest) -> PageAnswer:
        """All links, what their ends are called, and what sessions of roles (functions have some) asked for since the start."""
        found = [flow for service in ctx.ports.flows.values() for flow in service.flows(ctx)]
        home = (ctx.region, ctx.account)
        names = {arn: thing(arn, home)._asdict() for flow in found for arn in (flow.source, flow.target)}
        return json_answer({"flows": msgspec.to_builtins(found), "things": names, "calls": counters.calls()})

    return {"/_headrace/flows": flows, "/_headrace/pipeline": pipeline}


def pipeline(ctx: Context, request: PageRequest) -> PageAnswer:
    """``/_headrace/pipeline``: the page, its style and its script."""
    name = {"": "pipeline.html", "/": "pipeline.html", ".js": "pipeline.js", ".css": "pipeline.css"}.get(request.path)
    if name is None:
        return json_answer({"message": "There is no such page."}, 404)
    return PageAnswer(200, _TYPES[Path(name).suffix], (_FILES / name).read_bytes())
