"""docs/security.md: each claim names its test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(file: str, name: str) -> None:
    """Under that name, in that file."""
    assert f"\ndef {name}(" in (ROOT / file).read_text()


def test_every_claim_names_a_test() -> None:
    """Each paragraph and each point of what is evaluated, and of other people's code."""
    claims = TEXT.partition("## What is evaluated")[2]
    points = re.split(r"\n\n|\n- ", claims)
    bare = [point for point in points if not point.lstrip().startswith("#") and "::" not in point]
    allowed = ("\n**The activation file**, which", "**The activation file**, which")
    assert [point for point in bare if point.strip() and not point.startswith(allowed)] == []
