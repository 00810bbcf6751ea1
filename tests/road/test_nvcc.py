"""What nvcc's own files say, as nixpkgs writes them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.nvcc import (
    parse_codes,
    parse_host_compiler,
    parse_newest_gcc,
    parse_torch_cuda,
)

GCC = "/nix/store/x8mydcgbry214s802nzvy7fdljx404ym-gcc-wrapper-14.3.0"

NVIDIAS = """
TOP              = $(_HERE_)/..

CICC_PATH        = $(TOP)/nvvm/bin
LD_LIBRARY_PATH += $(TOP)/lib:
PATH            += $(CICC_PATH):$(_HERE_):

INCLUDES        +=  "-I$(TOP)/$(_TARGET_DIR_)/include" $(_SPACE_)
"""


@pytest.mark.parametrize(
    ("profile", "script", "compiler"),
    [
        (NVIDIAS, "", None),
        (f"{NVIDIAS}\n# Fix a compatible\ncompiler-bindir = {GCC}/bin\n", "", f"{GCC}/bin"),
        (f'{NVIDIAS}\ncompiler-bindir = "{GCC}/bin"\n', "", f"{GCC}/bin"),
        (f'{NVIDIAS}\nPATH += "{GCC}/bin":\n', "", f"{GCC}/bin"),
        (f'PATH += "/nix/store/other/bin":\nPATH += "{GCC}/bin":\n', "", f"{GCC}/bin"),
        (NVIDIAS, f'export NVCC_CCBIN="${{NVCC_CCBIN:-{GCC}/bin/c++}}"\n', f"{GCC}/bin/c++"),
        (
            NVIDIAS,
            f'exportProjectedVar NVCC_CCBIN "${{wrapper_NVCC_CCBIN:-{GCC}/bin/c++}}" NIX_CCBIN\n',
            f"{GCC}/bin/c++",
        ),
        (
            "compiler-bindir = /nix/store/other/bin\n",
            f'export NVCC_CCBIN="${{NVCC_CCBIN:-{GCC}/bin/c++}}"\n',
            f"{GCC}/bin/c++",
        ),
        (NVIDIAS, "#!/bin/sh\nexec -a nvcc /nix/store/x/bin/.nvcc-unwrapped\n", None),
    ],
)
def test_the_compiler_that_nvcc_calls(profile: str, script: str, compiler: str | None) -> None:
    """In the profile in two ways, in the wrapper script in one; it is never NVIDIA's own PATH."""
    assert parse_host_compiler(profile, script) == compiler


@given(profile=st.text(), script=st.text())
def test_any_text_is_read(profile: str, script: str) -> None:
    """A path is absolute, or there is none."""
    found = parse_host_compiler(profile, script)
    assert found is None or found.startswith("/")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("debug = False\ncuda: Optional[str] = '12.8'\nhip = None\n", "12.8"),
        ('cuda = "13.0.1"\n', "13.0"),
        ("cuda: Optional[str] = None\n", None),
        ("# cuda = '12.8'\n", None),
        ("", None),
    ],
)
def test_the_cuda_version_of_torch(text: str, version: str | None) -> None:
    """As torch's setup.py writes it."""
    assert parse_torch_cuda(text) == version


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        ("#if __GNUC__ > 14\n\n#error -- unsupported GNU version! gcc versions later\n", 14),
        (
            "#if __GNUC__ > 5 || (__GNUC__ == 5 && __GNUC_MINOR__ > 9)\n"
            "#error -- unsupported GNU version! gcc 5.9 and up\n",
            5,
        ),
        ("# if  __GNUC__>9\r\n#  error -- unsupported GNU version!\r\n", 9),
        # The bound that stands last before the refusal is the one that refuses.
        ("#if __GNUC__ > 3\n#endif\n#if __GNUC__ > 12\n#error unsupported GNU version\n", 12),
        ("#if __GNUC__ > 14\n#error -- unsupported ICC configuration!\n", None),
        ("// #if __GNUC__ > 14\n#error -- unsupported GNU version!\n", None),
        ("#if __GNUC__ > 99999999999999999999\n#error -- unsupported GNU version!\n", None),
        ("", None),
    ],
    ids=["12.8", "8.0", "spaces", "last", "other", "comment", "absurd", "empty"],
)
def test_the_newest_gcc_is_read_off_the_refusal(text: str, newest: int | None) -> None:
    """It is the bound above NVIDIA's own #error, and no other number."""
    assert parse_newest_gcc(text) == newest


@given(st.binary())
def test_no_bytes_in_the_header_are_an_error(content: bytes) -> None:
    """It is read as what it is, a file from somewhere."""
    assert parse_newest_gcc(os.fsdecode(content)) is None


@given(st.integers(1, 999), st.text(), st.text())
def test_the_bound_is_found_whatever_is_around_it(newest: int, before: str, after: str) -> None:
    """Lines before and after it do not matter, unless they are bounds or refusals themselves."""
    bound = f"#if __GNUC__ > {newest}\n#error -- unsupported GNU version!\n"
    assert parse_newest_gcc(f"{before}\n{bound}{after}") == newest


def test_codes_with_a_letter_are_left_out() -> None:
    """sm_90a is no architecture to choose where there is no GPU that has it."""
    assert parse_codes("sm_75\nsm_90\nsm_90a\nnonsense\n") == ("75", "90")
