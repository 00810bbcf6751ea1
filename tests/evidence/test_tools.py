"""The tools that JIT compilers start: real programs, good and bad."""

from pathlib import Path

import pytest

from nixenv.evidence.tools import ToolState, try_tools


def program(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return str(file)


GOOD = "#!/bin/sh\necho 1.0\n"


def test_the_first_on_the_path_are_tried(tmp_path: Path) -> None:
    """And what CC names, with arguments; what nobody named may be missing."""
    ninja, gcc = program(tmp_path / "ninja", GOOD), program(tmp_path / "my gcc", GOOD)
    environ = {"PATH": str(tmp_path), "CC": f"'{gcc}' -m64"}
    assert list(try_tools(environ)) == [ToolState("ninja", ninja), ToolState("CC", gcc)]
    assert list(try_tools({})) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("#!/bin/sh\necho 'libz.so.1: not found' >&2\nexit 127\n", "127: libz.so.1: not found"),
        ("\x7fELF but cut off", "Exec format error"),
        ("#!/no/such/interpreter\n", "No such file or directory"),
        ("#!/bin/sh\nkill -SEGV $$\n", "killed by SIGSEGV"),
    ],
)
def test_one_that_does_not_start(tmp_path: Path, text: str, problem: str) -> None:
    """The system's words, or its own last ones."""
    command = program(tmp_path / "c++", text)
    (found,) = try_tools({"PATH": str(tmp_path)})
    assert (found.name, found.command) == ("CXX", command)
    assert problem in found.problem


@pytest.mark.parametrize("given", ["/no/such/gcc", "'unbalanced", "a\0b", " "])
def test_a_compiler_that_is_named_and_not_there(given: str) -> None:
    """Whatever the variable holds."""
    assert [found.problem for found in try_tools({"CC": given})] in (
        ["there is no such program"],
        [],
    )
