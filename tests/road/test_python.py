"""Which interpreter, which modules, in which order: the rules on plain data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv import StoreObject
from nixenv.road.choice import Reason
from nixenv.road.launcher import Wrapper, parse_wrapper
from nixenv.road.python import (
    PythonAmbiguous,
    PythonNotFound,
    choose_interpreter,
    order_site_packages,
)
from tests.closures import (
    closure_of,
    interpreter,
    module,
    probe_of,
    site_packages,
    store_path,
    wrapper,
)

ROOT = StoreObject(store_path("python3.12-sglang-python312-cuda12_8-0.5.9"))
P312 = interpreter("python3-3.12.12", "3.12")
P313 = interpreter("python3-3.13.1", "3.13")
ENV = interpreter("python3-3.12.12-env", "3.12")
DEBUG = interpreter("python3-3.12.12-debug", "3.12")
MINIMAL = interpreter("python3-minimal-3.12.12", "3.12")


def chosen(*objects: StoreObject, wrapped: Wrapper | None = None, wanted: str | None = None) -> str:
    found = choose_interpreter(closure_of(*objects), probe_of(*objects, wrapped=wrapped), wanted)
    return f"{found.path} {found.version}"


def test_the_shebangs_interpreter_is_taken() -> None:
    """The wrapper names the exact store object, even where a newer patch version is there."""
    newer = interpreter("python3-3.12.13", "3.12")
    assert chosen(newer, P312, P313, ROOT, wrapped=wrapper("python3-3.12.12")) == (
        f"{P312.path} 3.12"
    )


def test_a_wanted_version_goes_before_the_shebang() -> None:
    """--python decides the version; the shebang's object is of another and does not count."""
    found = chosen(P312, P313, ROOT, wrapped=wrapper("python3-3.12.12"), wanted="3.13")
    assert found == f"{P313.path} 3.13"


def test_the_roots_own_site_packages_tell_the_version() -> None:
    """Without a wrapper, what the root holds decides among several versions."""
    root = module("python3.13-vllm-0.9", "3.13")
    assert chosen(P312, P313, root) == f"{P313.path} 3.13"


@pytest.mark.parametrize(
    ("objects", "wanted", "reasons"),
    [
        ((P312, ENV), None, (Reason.ONLY_VERSION, Reason.PLAIN_INTERPRETER)),
        ((P312, P313), "3.12", (Reason.ASKED_FOR, Reason.PLAIN_INTERPRETER)),
    ],
)
def test_the_interpreter_tells_why_it_was_chosen(
    objects: tuple[StoreObject, ...], wanted: str | None, reasons: tuple[Reason, ...]
) -> None:
    """Why this version, then why this store object."""
    objects = (*objects, ROOT)
    found = choose_interpreter(closure_of(*objects), probe_of(*objects), wanted)
    assert found.reasons == reasons


def test_the_only_version_needs_no_hint() -> None:
    """One version in the closure is the one."""
    assert chosen(P312, ENV, ROOT) == f"{P312.path} 3.12"


def test_several_versions_and_no_hint_are_an_error_that_lists_them() -> None:
    """Guessing would be silently wrong."""
    with pytest.raises(PythonAmbiguous, match="3.12 .*python3-3.12.12\n.*3.13 .*\n.*--python X.Y"):
        chosen(P312, P313, ROOT)


@pytest.mark.parametrize("decoy", [ENV, DEBUG, MINIMAL], ids=lambda decoy: str(decoy.path)[44:])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_other_things_with_an_interpreter_are_not_it(decoy: StoreObject, *, first: bool) -> None:
    """-env, -debug and -minimal hold bin/pythonX.Y too; order does not matter."""
    objects = (decoy, P312, ROOT) if first else (P312, decoy, ROOT)
    assert chosen(*objects) == f"{P312.path} 3.12"


def test_the_highest_patch_version_by_number() -> None:
    """3.12.12 is newer than 3.12.9, and a release than its candidate."""
    others = [interpreter(f"python3-{v}", "3.12") for v in ("3.12.9", "3.12.12", "3.12.12rc1")]
    assert chosen(*others, ROOT) == f"{P312.path} 3.12"


def test_no_interpreter_is_an_error() -> None:
    """The message says that the closure has none."""
    with pytest.raises(PythonNotFound, match="no Python interpreter in the closure"):
        chosen(ROOT)


def test_a_wanted_version_that_is_not_there_lists_what_is() -> None:
    """The next step needs the versions that can be had."""
    with pytest.raises(PythonNotFound, match="no Python 3.11 interpreter(.|\n)*3.12 .*3.12.12"):
        chosen(P312, ROOT, wanted="3.11")


def test_an_environment_alone_is_no_interpreter() -> None:
    """A withPackages environment refers to its interpreter; a closure without it is broken."""
    with pytest.raises(PythonNotFound, match="python3-3.12.12-env"):
        chosen(ENV, ROOT)


def directories(*objects: StoreObject, wrapped: Wrapper | None = None) -> list[str]:
    closure = closure_of(*objects)
    found = order_site_packages(closure, probe_of(*objects, wrapped=wrapped), "3.12")
    return [part.directory for part in found]


OLD = module("python3.12-packaging-20.9", "3.12")
NEW = module("python3.12-packaging-25.0", "3.12")
TORCH = module("python3.12-torch-2.9.1", "3.12", "python3.12-packaging-25.0")
SGLANG = module("root", "3.12", "python3.12-torch-2.9.1")


def test_the_wrappers_list_comes_first_in_its_order() -> None:
    """Then the rest, in closure order; so the program's own version wins."""
    wrapped = wrapper(
        "python3-3.12.12", "root", "python3.12-torch-2.9.1", "python3.12-packaging-25.0"
    )
    assert directories(OLD, NEW, TORCH, SGLANG, wrapped=wrapped) == [
        site_packages("root"),
        site_packages("python3.12-torch-2.9.1"),
        site_packages("python3.12-packaging-25.0"),
        site_packages("python3.12-packaging-20.9"),
    ]


def test_without_a_wrapper_the_propagated_inputs_are_walked() -> None:
    """Depth first, each before what it propagates, as nixpkgs does it."""
    left = module("left", "3.12", "deep")
    right = module("right", "3.12")
    deep = module("deep", "3.12")
    root = module("root", "3.12", "left", "right")
    assert directories(OLD, deep, right, left, root) == [
        site_packages(name)
        for name in ("root", "left", "deep", "right", "python3.12-packaging-20.9")
    ]


def test_a_cycle_of_propagated_inputs_ends() -> None:
    """Each store object is visited once."""
    a = module("a", "3.12", "root")
    root = module("root", "3.12", "a")
    assert directories(a, root) == [site_packages("root"), site_packages("a")]


def test_other_versions_stay_out() -> None:
    """A 3.13 module in the closure has no place on a 3.12 path."""
    other = module("python3.13-x-1", "3.13")
    assert directories(other, NEW, TORCH, SGLANG) == [
        site_packages("root"),
        site_packages("python3.12-torch-2.9.1"),
        site_packages("python3.12-packaging-25.0"),
    ]


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)


@given(members=names, listed=names, propagated=st.lists(st.sampled_from("abcdefgh")))
def test_every_directory_is_there_exactly_once(
    members: list[str], listed: list[str], propagated: list[str]
) -> None:
    """All that the closure holds, nothing else, nothing twice, whatever the program lists."""
    objects = [module(name, "3.12", *propagated) for name in members]
    found = directories(*objects, wrapped=wrapper("python3-3.12.12", *listed))
    assert sorted(found) == sorted(site_packages(name) for name in members)
    own = [site_packages(name) for name in listed if name in members]
    assert found[: len(own)] == own


def test_a_wrapper_as_nixpkgs_writes_it_is_read() -> None:
    """Shebang and module list, in order."""
    text = (
        "#!/nix/store/x/bin/python3.12\nimport sys;import site;import functools;sys.argv[0]='/r';"
        "functools.reduce(lambda k, p: site.addsitedir(p, k), ['/a/site-packages','/b c'], "
        "site._init_pathinfo());\nimport re\n"
    )
    assert parse_wrapper("f", text) == Wrapper(
        "f", "/nix/store/x/bin/python3.12", ("/a/site-packages", "/b c")
    )


def test_the_module_list_may_stand_behind_a_comment() -> None:
    """nixpkgs puts it before the first statement, which a coding line is not."""
    text = (
        "#!/nix/store/x/bin/python3.12\n# -*- coding: utf-8 -*-\nimport sys;import site;"
        "functools.reduce(lambda k, p: site.addsitedir(p, k), ['/a'], site._init_pathinfo());\n"
    )
    assert parse_wrapper("f", text) == Wrapper("f", "/nix/store/x/bin/python3.12", ("/a",))


@pytest.mark.parametrize(
    "text", ["", "#!", "#!/bin/sh\nexec x", "\x7fELF\x02", "python", "#!/usr/bin/env\n"]
)
def test_what_is_no_python_script_is_no_wrapper(text: str) -> None:
    """A shell wrapper or a binary says nothing about modules."""
    assert parse_wrapper("f", text) is None


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """It answers or says None."""
    parse_wrapper("f", "#!/x/python3.12\n" + text)
