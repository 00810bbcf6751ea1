"""The activation record: data that says what was set, and nothing that runs."""

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv import Append, Default, Environment, Prepend, Set, Unset
from nixenv.road.plan import Remove, apply
from nixenv.road.record import (
    ActivationRecord,
    format_record,
    holds_all,
    list_inherited,
    make_record,
    parse_record,
    plan_undo,
    read_record,
)

TOLD = (
    *("/nix/store/x-sglang", "sglang", "/nix/store/x-python3/bin/python3.12"),
    *("/p/.flox/run/dev", "/p/.flox/cache", "store"),
)
texts = st.binary(max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
names = st.sampled_from(["A", "B_1", "root", "profile", "LONG_NAME"])
entries = st.text(
    st.characters(exclude_characters="\0:", exclude_categories=["Cs"]), min_size=1, max_size=8
)
operations = st.one_of(
    st.builds(Set, names, texts),
    st.builds(Default, names, texts),
    st.builds(Unset, names),
    *(
        st.builds(kind, st.sampled_from(["P", "Q"]), st.lists(entries, min_size=1).map(tuple))
        for kind in (Prepend, Append)
    ),
)


@given(
    told=st.tuples(texts, texts, texts, texts, texts, texts),
    planned=st.lists(operations, max_size=6),
    before=st.dictionaries(st.sampled_from(["A", "P", "NIXENV_PROFILE", "NIXENV_LAYOUT"]), texts),
)
def test_a_record_survives_being_written(
    told: tuple[str, str, str, str, str, str],
    planned: list[Set | Default | Unset | Prepend | Append],
    before: dict[str, str],
) -> None:
    """Whatever bytes it tells of; and the line is plain, so that nothing in it means anything."""
    record = make_record(Environment(planned), told, before)
    line = format_record(record)
    assert parse_record(line) == record
    assert line.isascii()
    assert not set(line) & set("'\"`$\\;&|<>*?!~#\n\t(){}[]")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: f"{line} ",
        lambda line: f"{line} A",
        lambda line: line.replace("1 ", "2 ", 1),
        lambda line: line.replace(" profile:", " Profile:"),
        lambda line: line.replace("root:", "root:%"),
        lambda line: line.replace("root:", "root:%41"),
        lambda line: line.replace("cache:", "cache:%00"),
        lambda line: line.replace(" A=", " A="[::-1]),
        lambda line: f"{line} A=1-00000000",
        lambda line: " ".join(reversed(line.split(" "))),
        lambda line: line[:-1],
        lambda line: f"{line} other:thing",
        lambda line: f"{line}\u00e9",
        lambda _: "",
        lambda line: line + " B=1-00000000" * 10_000,
    ],
)
def test_what_nixenv_does_not_write_is_refused(spoil: Callable[[str], str]) -> None:
    """No half of a record counts, and none of another version."""
    record = make_record(Environment((Set("A", "x"), Prepend("P", ("/a",)))), TOLD, {})
    line = format_record(record)
    with pytest.raises(ValueError, match="activation record|as nixenv writes it|hex"):
        parse_record(spoil(line))
    assert read_record({"NIXENV_ACTIVATION": spoil(line)}) is None


@given(
    planned=st.lists(operations, max_size=6),
    users=st.dictionaries(st.sampled_from(["MINE", "OTHER"]), texts),
)
def test_what_was_set_is_taken_back(
    planned: list[Set | Default | Unset | Prepend | Append], users: dict[str, str]
) -> None:
    """In a shell that had none of it, nothing is left of an environment; what is the user's is."""
    environment = Environment(planned)
    record = make_record(environment, TOLD, users)
    during = apply(environment, users)
    assert apply(Environment(plan_undo(record, during)), during) == users


def test_what_somebody_changed_since_stays() -> None:
    """Values that are not as they were set, and entries that were there before or came later."""
    environment = Environment((Set("A", "x"), Default("B", "y"), Prepend("P", ("/a", "/b"))))
    before = {"P": "/b:/c"}
    record = make_record(environment, TOLD, before)
    during = apply(environment, before) | {"A": "mine", "P": "/new:/a:/b:/c"}
    assert plan_undo(record, during) == (Unset("B"), Remove("P", ("/a",)))
    assert plan_undo(record, {}) == ()


def test_a_default_that_gave_way_is_the_users() -> None:
    """The record holds the digest of ours: the user's value is another."""
    environment = Environment((Default("CC", "gcc"),))
    record = make_record(environment, TOLD, {"CC": "clang"})
    assert plan_undo(record, {"CC": "clang"}) == ()
    assert plan_undo(record, {"CC": "gcc"}) == (Unset("CC"),)


def test_entries_that_were_there_already_are_not_ours() -> None:
    """And then the text is not what another shell would need."""
    environment = Environment((Prepend("PATH", ("/a", "/b")),))
    assert holds_all(make_record(environment, TOLD, {"PATH": "/usr/bin"}), environment)
    assert not holds_all(make_record(environment, TOLD, {"PATH": "/usr/bin:/b"}), environment)


def record_of(environ: dict[str, str], earlier: ActivationRecord | None = None) -> ActivationRecord:
    told = (*TOLD[:3], environ.get("FLOX_ENV", ""), *TOLD[4:])
    return make_record(Environment(), told, environ, earlier)


def test_settings_are_of_the_environment_that_had_them_first() -> None:
    """However deep one environment lies in another; a value said anew is for where it is said."""
    outer = {"FLOX_ENV": "/outer", "NIXENV_PROFILE": "vllm", "NIXENV_LAYOUT": "linked"}
    inner = {**outer, "FLOX_ENV": "/inner"}
    deeper = {**outer, "FLOX_ENV": "/deeper", "NIXENV_LAYOUT": "store"}
    first = record_of(outer)
    second = record_of(inner, first)
    assert list_inherited(first, outer) == ()
    assert list_inherited(first, inner) == ("NIXENV_PROFILE", "NIXENV_LAYOUT")
    assert list_inherited(second, inner) == ("NIXENV_PROFILE", "NIXENV_LAYOUT")
    assert list_inherited(second, deeper) == ("NIXENV_PROFILE",)
    assert list_inherited(record_of(deeper, second), deeper) == ("NIXENV_PROFILE",)


def test_without_a_record_there_is_none() -> None:
    """Unset, empty, or of somebody else's making."""
    for environ in ({}, {"NIXENV_ACTIVATION": ""}, {"NIXENV_ACTIVATION": "1"}):
        assert read_record(environ) is None
    record = make_record(Environment((Set("A", "b"),)), TOLD, {})
    assert read_record({"NIXENV_ACTIVATION": format_record(record)}) == record
    assert read_record({"nixenv_activation": format_record(record)}) is None


def test_a_setting_is_inherited_where_it_was_meant_for_another_environment() -> None:
    """With the value that it had there; outside of Flox the environment is the empty one."""
    made = make_record(Environment(()), TOLD, {"NIXENV_PROFILE": "vllm"})
    here = {"NIXENV_PROFILE": "vllm", "FLOX_ENV": TOLD[3]}
    assert list_inherited(made, here) == ()
    assert list_inherited(made, {**here, "FLOX_ENV": "/other"}) == ("NIXENV_PROFILE",)
    assert list_inherited(made, {"NIXENV_PROFILE": "vllm"}) == ("NIXENV_PROFILE",)
    assert list_inherited(made, {"NIXENV_PROFILE": "mine"}) == ()
    assert list_inherited(made, {}) == ()
    outside = make_record(Environment(()), (*TOLD[:3], "", *TOLD[4:]), {"NIXENV_PROFILE": "vllm"})
    assert list_inherited(outside, {"NIXENV_PROFILE": "vllm"}) == ()
    assert list_inherited(outside, here) == ("NIXENV_PROFILE",)
