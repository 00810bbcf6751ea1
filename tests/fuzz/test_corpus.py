"""Each reader of what somebody else wrote, on the corpus and on what comes of it at random."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, run

CORPUS = Path(__file__).with_name("corpus")
FILES = sorted(file.relative_to(CORPUS).as_posix() for file in CORPUS.glob("*/*"))
TOKENS = (
    *(b"\0", b"\n", b"\r\n", b'"', b"'", b"\\", b"$", b"${", b"`", b"{", b"[", b"(", b"<<", b"%"),
    *(b"\xff", b"\xed\xa0\x80", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"1e999", b"-0"),
    *(b"9" * 5000, b"[" * 3000, b"{" * 3000, b"null", b"true", b"NaN", b"..", b"/", b"="),
)


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """Give an input of the corpus after a few changes: cut, repeated, or with something put in."""
    files = sorted((CORPUS / name).iterdir())
    data = draw(st.sampled_from(files)).read_bytes()
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        put = draw(st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return data


def test_each_target_has_a_corpus() -> None:
    """Of at least one input, and each of them belongs to a target."""
    assert {file.split("/")[0] for file in FILES} == set(TARGETS)
    assert sum((CORPUS / file).stat().st_size for file in FILES) < 200_000


@pytest.mark.parametrize("file", FILES)
def test_an_input_of_the_corpus_raises_nothing_unforeseen(file: str) -> None:
    """What fuzzing found once stays found."""
    run(file.split("/", maxsplit=1)[0], (CORPUS / file).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_input_raises_nothing_unforeseen(name: str, data: st.DataObject) -> None:
    """`make fuzz` does the same for longer, and is led by what each input reaches."""
    run(name, data.draw(changed(name)))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        bytes(range(256)),
        b"\xff\xfe" * 50,
        b"[" * 100_000,
        b"9" * 10_000,
        b"(" * 20_000,
        b"a=b\n" * 20_000,
        b"${a" * 20_000,
        json.dumps({"schema": 1, "a": [None, 1.5, {}]}).encode(),
    ],
    ids=["nothing", "nul", "all", "utf-16", "deep", "digits", "open", "lines", "braces", "json"],
)
def test_what_no_program_writes_raises_nothing_unforeseen(name: str, data: bytes) -> None:
    """Nothing, no text, too deep, too long."""
    run(name, data)
