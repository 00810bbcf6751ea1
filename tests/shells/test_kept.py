"""The text that the hook keeps, evaluated by real bash as the hook evaluates it."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nixenv import Append, Default, Environment, MakeDirectory, Prepend, Set, Unset
from nixenv.road.plan import resolve
from nixenv.shells.kept import write_statements
from nixenv.shells.posix import quote
from tests.real_shells import SEARCH_PATH, require_tool

values = st.binary(max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
entries = st.text(
    st.characters(exclude_characters="\0:", exclude_categories=["Cs"]), min_size=1, max_size=8
)
names = st.sampled_from(["A", "B"])
lists = st.sampled_from(["P", "Q", "PATH"])
planned = st.one_of(
    st.builds(Set, names, values | st.just("long " * 60)),
    st.builds(Default, names, values),
    st.builds(Unset, st.sampled_from(["A", "B", "C"])),
    st.builds(Prepend, lists, st.lists(entries, min_size=1, max_size=3).map(tuple)),
    st.builds(Append, lists, st.lists(entries, min_size=1, max_size=3).map(tuple)),
    st.just(MakeDirectory("/proc/none")),
)
befores = st.fixed_dictionaries(
    {},
    optional={
        "A": values,
        "C": values,
        "P": st.lists(entries | st.just(""), max_size=4).map(":".join),
        "Q": st.just("/q::/r:/q"),
    },
)


def evaluate(
    environment: Environment, expected: dict[str, str], found: dict[str, str]
) -> dict[str, str]:
    """Evaluate the text that was made for ``expected`` where ``found`` is what is there."""
    kept: list[str] = []

    def keep(value: str) -> str:
        kept.append(value)
        return f"${{kept[{len(kept) - 1}]}}"

    text = write_statements(environment, keep, expected)
    script = (
        f"kept=({' '.join(map(quote, kept))})\n"
        f"act() {{ local IFS; set -fa; {text} set +fa; unset kept; }}\nact; exec env -0"
    )
    done = subprocess.run(
        [require_tool("bash"), "--norc", "--noprofile", "-c", os.fsencode(script)],
        env={"PATH": SEARCH_PATH, **found},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    pairs = (os.fsdecode(item).split("=", 1) for item in done.stdout.rstrip(b"\0").split(b"\0"))
    return {name: value for name, value in pairs if name not in ("_", "SHLVL", "PWD")}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=st.lists(planned, max_size=5), expected=befores, found=befores)
@example(
    operations=[Prepend("P", ("/a", "/b*")), Append("P", ("/z", "/a"))],
    expected={"P": "/b*::/c:/b*"},
    found={"P": "/d::/c:/a:/d"},
)
@example(operations=[Set("A", "x" * 200), Set("B", "x" * 199)], expected={}, found={})
@example(operations=[Prepend("PATH", ("/a",))], expected={}, found={})
def test_it_does_what_the_operations_say_whatever_it_finds(
    operations: list[Set], expected: dict[str, str], found: dict[str, str]
) -> None:
    """Also where the variables are not as the last activation expected them to be."""
    environment = Environment(operations)
    before = {"PATH": SEARCH_PATH, **found}
    final = {**before, **resolve(environment, before)}
    wanted = {name: value for name, value in final.items() if value is not None}
    assert evaluate(environment, {"PATH": SEARCH_PATH, **expected}, found) == wanted
    assert evaluate(environment, {}, found) == wanted


def test_a_long_value_is_kept_apart_and_directories_are_not_made(tmp_path: Path) -> None:
    """From 200 characters on; the hook itself looks whether directories are there."""
    made = tmp_path / "made"
    kept: list[str] = []

    def keep(value: str) -> str:
        kept.append(value)
        return "$kept"

    long = f"/{'c' * 200}"
    lists = (Prepend("P", (long,)), Append("Q", (long,)))
    values = (Set("A", "a" * 199), Set("B", "b" * 200), Default("C", "c" * 200))
    operations = (*values, *lists, MakeDirectory(str(made)))
    text = write_statements(Environment(operations), keep, {})
    assert {*kept} == {"b" * 200, "c" * 200, long}
    assert "B=$kept" in text
    assert str(made) not in text


def test_bash_unsets_what_it_sets_but_path() -> None:
    """Flox replays how a variable grew: ours must not look grown, and PATH must never be gone."""
    operations = (Set("A", "b"), Set("B", "b"), Prepend("P", ("/a",)), Prepend("PATH", ("/a",)))
    text = write_statements(Environment(operations), quote, {"PATH": "/b"})
    assert "unset A B\nA='b' B='b'\n" in text
    assert text.count("unset P; P=") == 2
    assert "unset PATH" not in text
    text = write_statements(Environment((Default("A", "b"), Default("B", "c"))), quote, {})
    assert text == "IFS=:\nA=${A-'b'} B=${B-'c'}\nunset __nixenv_list __nixenv_entry\n"


@pytest.mark.parametrize(
    ("environ", "begin"),
    [
        ({}, """if [ "${P-}" = '' ]; then\n  unset P; P='/a'\n"""),
        ({"P": ""}, """if [ "${P-}" = '' ]; then\n  unset P; P='/a'\n"""),
        ({"P": "/b:/a"}, """if [ "${P-}" = "'/b:/a'" ]; then\n  unset P; P='/a:/b'\n"""),
    ],
)
def test_a_list_that_is_as_it_was_is_assigned_at_once(environ: dict[str, str], begin: str) -> None:
    """To go through its entries is most of what an activation would take."""
    assert begin in write_statements(Environment((Prepend("P", ("/a",)),)), quote, environ)
