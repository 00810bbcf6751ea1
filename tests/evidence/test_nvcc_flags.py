"""The flags that nvcc takes from variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.evidence.nvcc_flags import split_flags, take_ccbin


@pytest.mark.parametrize(
    ("flags", "compiler", "rest"),
    [
        ("-ccbin /usr/bin/g++-12", "/usr/bin/g++-12", ()),
        ("-O2 -ccbin=/a --compiler-bindir=/b -g", "/b", ("-O2", "-g")),
        ("--compiler-bindir '/a b' -lineinfo", "/a b", ("-lineinfo",)),
        ("-allow-unsupported-compiler", None, ("-allow-unsupported-compiler",)),
        ("-ccbin", None, ()),
        ("-ccbin 'open quote", "'open", ("quote",)),
        ("", None, ()),
    ],
)
def test_the_compiler_in_nvccs_flags(
    flags: str, compiler: str | None, rest: tuple[str, ...]
) -> None:
    """nvcc takes the last one."""
    assert take_ccbin(split_flags(flags)) == (compiler, rest)


@given(st.text())
def test_no_flags_are_an_error(text: str) -> None:
    """They are anybody's."""
    _, rest = take_ccbin(split_flags(text))
    assert take_ccbin(rest) == (None, rest)
