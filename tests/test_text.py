"""Text from elsewhere, and what is to be pasted out of a text."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.text import (
    as_code,
    decode_word,
    encode_word,
    printable,
    shorten,
    split_code,
    suggest,
)
from tests.real_shells import require_tool


@given(st.text(min_size=1))
def test_what_is_marked_is_one_line_to_paste(value: str) -> None:
    """Whatever a value holds, it neither ends the mark nor begins another."""
    command = f"export CC={shlex.quote(value)}"
    before, (pasted, is_code), after = split_code(f"run {as_code(command)}, then go on")
    assert (before, after) == (("run ", False), (", then go on", False))
    assert is_code
    assert pasted == command or "`" in value


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("value", ["a`b", "`", "``", "'`'", "`id` $(id) \\140", "a\nb`"])
def test_a_marked_line_means_the_same(shell: str, value: str) -> None:
    """To the shells that people paste into."""
    ((command, _),) = split_code(as_code(f"printf %s {shlex.quote(value)}"))
    done = subprocess.run(
        [require_tool(shell), "-fc" if shell == "zsh" else "-c", command],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == value


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("`a`", (("a", True),)),
        ("one ` alone", (("one ` alone", False),)),
        ("`a` and ` alone", (("`a` and ` alone", False),)),
        ("", ()),
    ],
)
def test_backticks_count_in_pairs(text: str, parts: tuple[tuple[str, bool], ...]) -> None:
    """One too many, and nothing is code: it may come from a name."""
    assert split_code(text) == parts


def test_a_long_text_is_cut_and_its_length_told() -> None:
    """Up to the limit, which is 300 characters, all of it is shown."""
    assert shorten("a" * 300) == "a" * 300
    assert shorten("a" * 301) == f"{'a' * 300}... (301 characters)"
    assert (shorten("abc", 3), shorten("abcd", 3)) == ("abc", "abc... (4 characters)")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a `b` c", (("a ", False), ("b", True), (" c", False))),
        ("`a``b`", (("a", True), ("b", True))),
        ("x `a` y `b` z", (("x ", False), ("a", True), (" y ", False), ("b", True), (" z", False))),
    ],
)
def test_what_stands_between_backticks_is_code(
    text: str, parts: tuple[tuple[str, bool], ...]
) -> None:
    """Every second part."""
    assert split_code(text) == parts


def test_what_acts_on_a_terminal_is_shown_as_an_escape() -> None:
    """And nothing else is changed."""
    assert printable(
        "caf\u00e9 \x1b[31m\n\u2028\udcff"
    ) == r"caf\u00e9 \x1b[31m\n\u2028\udcff".replace(r"\u00e9", "\u00e9")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("pythn", ": did you mean python?"),
        ("vllm-c", ": did you mean vllm-cpu or vllm-cuda?"),
        ("gcc", ""),
        ("", ""),
    ],
)
def test_at_most_two_names_are_suggested(name: str, suggestion: str) -> None:
    """Those that are most like it; nothing where none is."""
    assert suggest(name, ("python", "vllm", "vllm-cpu", "vllm-cuda")) == suggestion


@pytest.mark.parametrize(
    ("value", "word"), [("/a:b", "/a:b"), ("caf\u00e9 %\udcff", "caf%C3%A9%20%25%FF"), ("", "")]
)
def test_a_word_is_plain_and_means_the_same(value: str, word: str) -> None:
    """Any bytes are written in one way, with capital digits: a record is compared as text."""
    assert encode_word(value) == word
    assert decode_word(word) == value
