"""The template renderer, by tables and by chance."""

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.ses.engine import rendering
from headrace.services.ses.engine.rendering import BadData, MissingAttribute, RenderingFailure, read_data, render
from headrace.services.ses.engine.templates import DEPTH_MAX, TemplateSyntax, compile_template

ANN = {"name": "Ann", "vip": True, "balance": -12.5, "meta": {"id": 7, "tags": ["a", "b"]}, "none": None, "empty": []}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Hello {{name}}, {{ name }}!", "Hello Ann, Ann!"),
        ("{{{name}}} {{&name}}", "Ann Ann"),
        ("{{balance}} {{vip}} {{none}}.", "-12.5 true ."),
        ("{{meta.id}} {{meta/id}} {{meta.tags.[1]}} {{meta.tags.0}}", "7 7 b a"),
        ("{{this.name}}", "Ann"),
        ("{{#if vip}}yes{{else}}no{{/if}}", "yes"),
        ("{{#if nothing}}yes{{else}}no{{/if}}", "no"),
        ("{{#if empty}}yes{{^}}no{{/if}}", "no"),
        ("{{#if nothing}}1{{else if vip}}2{{else}}3{{/if}}", "2"),
        ("{{#if nothing}}1{{else if missing}}2{{else if vip}}3{{else}}4{{/if}}{{name}}", "3Ann"),
        ("{{#unless vip}}a{{else}}b{{/unless}}", "b"),
        ("{{#each meta.tags}}{{@index}}={{this}}{{#unless @last}},{{/unless}}{{/each}}", "0=a,1=b"),
        ("{{#each meta}}{{@key}} {{/each}}", "id tags "),
        ("{{#each nothing}}x{{else}}none{{/each}}", "none"),
        ("{{#each meta.tags}}{{../name}}{{name}} {{/each}}", "AnnAnn AnnAnn "),
        ("{{#each meta.tags as |tag place|}}{{place}}{{tag}}{{/each}}", "0a1b"),
        ("{{#with meta}}{{id}}{{/with}}", "7"),
        ("{{#meta}}{{id}}{{/meta}}{{^nothing}}!{{/nothing}}", "7!"),
        ("{{#each meta.tags}}{{@root.name}}{{/each}}", "AnnAnn"),
        ("{{! a comment }}a{{!-- has }} in it --}}b", "ab"),
        ("a  {{~name~}}  b", "aAnnb"),
        (r"\{{name}}", "{{name}}"),
        (r"\\{{name}}", r"\Ann"),
        ("a {{!-- x --~}}  b {{~{name}~}} c", "a b" + "Annc"),
        ('{{#* inline "full"}}{{name}}!{{/inline}}{{> full}}{{> full}}', "Ann!Ann!"),
        ("{{meta.tags}}", "[a, b]"),
        ("a\n{{#if vip}}\nb\n{{/if}}\nc\n", "a\nb\nc\n"),
        ("a\n  {{#if vip}}  \n  b\n  {{else}}\n  x\n  {{/if}}", "a\n  b\n"),
        ("{{#if vip}}\n{{#if name}}\nx\n{{/if}}\n{{/if}}\n", "x\n"),
        ("a {{#if vip}}\nb{{/if}}", "a \nb"),
        ("{ {name} } }} {", "{ {name} } }} {"),
        ("<b>{{html}}</b>", "<b><i>&</i></b>"),
    ],
)
def test_render__table(source, expected):
    assert render(source, {**ANN, "html": "<i>&</i>"}) == expected


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{age}}", "age"),
        ("{{meta.age}}", "meta.age"),
        ("{{#each meta.tags}}{{age}}{{/each}}", "age"),
        ("{{meta.tags.[9]}}", "meta.tags.[9]"),
        ("{{../name}}", "../name"),
    ],
)
def test_render__a_printed_attribute_must_be_there(source, name):
    with pytest.raises(MissingAttribute, match=f"^Attribute '{re.escape(name)}' is not present"):
        render(source, ANN)


@pytest.mark.parametrize(
    "source",
    [
        "{{name",
        "{{}}",
        "{{#if}}x{{/if}}",
        "{{#if vip}}x",
        "x{{/if}}",
        "{{#if vip}}x{{/each}}",
        "{{else}}",
        "{{#if vip}}a{{else}}b{{else}}c{{/if}}",
        "{{upper name}}",
        "{{#repeat 3}}x{{/repeat}}",
        "{{#if vip}}" * (DEPTH_MAX + 1) + "{{/if}}" * (DEPTH_MAX + 1),
        "{{#if a}}" + "{{else if b}}" * (DEPTH_MAX + 1) + "{{/if}}",
        "x" * (512 * 1024 + 1),
    ],
)
def test_compile__refuses(source):
    with pytest.raises(TemplateSyntax):
        compile_template(source)


def test_render__is_bounded(monkeypatch):
    with pytest.raises(RenderingFailure):
        render('{{#* inline "a"}}{{> a}}{{/inline}}{{> a}}', {})
    with pytest.raises(RenderingFailure):
        render("{{> nobody}}", {})
    tower = "{{#each x}}" * 8 + "y" + "{{/each}}" * 8
    with pytest.raises(RenderingFailure):
        render(tower.replace("{{#each x}}", "{{#each @root.x}}"), {"x": list(range(20))})
    monkeypatch.setattr(rendering, "OUTPUT_CHARACTERS_MAX", 10)
    with pytest.raises(RenderingFailure):
        render("{{x}}{{x}}", {"x": "123456"})


@pytest.mark.parametrize("piece", ["{{!--", "{{{", "{{", "\\{{", "{{#if a}}", " {{a}}\n", "{{~a~}} ", "..", "{{[[[["])
def test_compile__takes_no_longer_than_the_template_is_long(piece):
    begun = time.process_time()
    with contextlib.suppress(TemplateSyntax):
        compile_template((piece * 512 * 1024)[: 512 * 1024])
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("text", ["", "[]", "{", '"a"', "[" * 100_000])
def test_read_data__refuses(text):
    with pytest.raises(BadData):
        read_data(text)


@given(st.text(max_size=200))
def test_render__plain_text_is_itself(text):
    source = text.replace("{", "").replace("\\", "")
    assert render(source, {}) == source


@given(st.text("{}#/~!ab ^>\n\\@.*|", max_size=60))
def test_compile__answers_or_refuses(source):
    with contextlib.suppress(TemplateSyntax, MissingAttribute, RenderingFailure):
        render(source, {"a": [1, {"b": 2}], "b": "x"})


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.text(max_size=20), min_size=1))
def test_render__fills_every_attribute(data):
    source = "|".join("{{" + name + "}}" for name in data if name not in ("this", "else"))
    expected = "|".join(value for name, value in data.items() if name not in ("this", "else"))
    assert render(source, data) == expected
