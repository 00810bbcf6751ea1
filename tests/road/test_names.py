"""Names in a profile's values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.names import NAMES, find_names, substitute

FOUND = dict.fromkeys(NAMES, "/x") | {"cuda_lib": None}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("{cuda_home}/lib", "/x/lib"),
        ("{cuda_home}:{nvcc}", "/x:/x"),
        ("{{cuda_home}}", "{cuda_home}"),
        ("{{{cuda_home}}}", "{{cuda_home}}"),
        ('{"max_new_tokens": 512}', '{"max_new_tokens": 512}'),
        ("{A} {1} { } {} {cuda_home", "{A} {1} { } {} {cuda_home"),
        ("{cuda_lib}", None),
        ("{{cuda_lib}}", "{cuda_lib}"),
        ("{cuda_home}{cuda_lib}", None),
    ],
)
def test_a_name_is_replaced_and_any_other_brace_stays(value: str, result: str | None) -> None:
    """What the closure lacks leaves the value out; doubled braces are for the literal."""
    assert substitute(value, FOUND) == result


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_json_stays_as_it_is(document: dict[str, int | str]) -> None:
    """Unless it holds a name."""
    text = json.dumps(document)
    if not find_names(text) and "{{" not in text:
        assert substitute(text, FOUND) == text


@given(st.text())
def test_doubled_braces_quote_any_name(text: str) -> None:
    """So every text can be written."""
    assert find_names(text.replace("{", "{{").replace("}", "}}").replace("{{{{", "")) is not None
    assert substitute("{{root}}" + text.replace("{", "").replace("}", ""), FOUND) == (
        "{root}" + text.replace("{", "").replace("}", "")
    )
