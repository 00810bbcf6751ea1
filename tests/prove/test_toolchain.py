"""The commands and build files of the JIT compilers."""

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nixenv.prove.toolchain import (
    choose_codes,
    cubin_command,
    find_toolchain,
    link_command,
    write_build_file,
)

WORD = st.text(st.characters(exclude_characters="\0/\n\r", exclude_categories=["Cs"]), min_size=1)


def test_the_toolchain_is_what_the_variables_name() -> None:
    """CC and CXX may have arguments; without CUDA_HOME there is none."""
    tools = find_toolchain({"CUDA_HOME": "/c", "CC": "ccache gcc", "CXX": "'/a b/g++' -m64"})
    assert tools is not None
    assert (tools.nvcc, tools.host_compiler) == ("/c/bin/nvcc", ("ccache", "gcc"))
    assert tools.linker == ("/a b/g++", "-m64")
    assert find_toolchain({"CC": "gcc"}) is None


def test_nvcc_is_handed_the_compiler_that_cc_names() -> None:
    """And nothing where CC is not set: then it takes its own."""
    without, given_one = (
        find_toolchain({"CUDA_HOME": "/c"}),
        find_toolchain({"CUDA_HOME": "/c", "CC": "/x/gcc"}),
    )
    assert without is not None
    assert given_one is not None
    assert "-ccbin" not in cubin_command(without, "90", "k.cu", "k.cubin")
    command = shlex.join(cubin_command(given_one, "90", "k.cu", "k.cubin"))
    assert command == "/c/bin/nvcc -cubin -arch=sm_90 -std=c++17 -ccbin /x/gcc k.cu -o k.cubin"


def test_only_flashinfer_links_the_drivers_library() -> None:
    """From the stubs; tvm-ffi and torch link the runtime alone."""
    tools = find_toolchain({"CUDA_HOME": "/c"})
    assert tools is not None
    assert shlex.join(link_command(tools, ["k.o"], "k.so", with_driver=True)) == (
        "c++ k.o -shared -L/c/lib64 -L/c/lib64/stubs -lcudart -lcuda -o k.so"
    )
    assert shlex.join(link_command(tools, ["k.o"], "k.so", with_driver=False)) == (
        "c++ k.o -shared -L/c/lib64 -lcudart -o k.so"
    )


@pytest.mark.parametrize(
    ("capabilities", "listed", "codes"),
    [
        (["9.0", "8.9", "9.0"], ["75"], ("90", "89")),
        (["12.1"], [], ("121",)),
        ([], ["75", "90", "121"], ("121",)),
        ([], [], ()),
    ],
)
def test_what_is_compiled_for(
    capabilities: list[str], listed: list[str], codes: tuple[str, ...]
) -> None:
    """Each GPU's own architecture once, else the newest that nvcc lists, else nothing."""
    assert choose_codes(capabilities, listed) == codes


@settings(max_examples=30, deadline=None)
@given(source=WORD, target=WORD, words=st.lists(WORD))
@example(source="a |:$b", target="| c", words=["|", "$in"])
def test_real_ninja_builds_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, source: str, target: str, words: list[str]
) -> None:
    """Whatever characters the paths and arguments hold: each arrives as it is."""
    directory = tmp_path_factory.mktemp("ninja")
    source, target = f"{directory}/{source[:50]}.cu", f"{directory}/{target[:50]}.o"
    Path(source).write_text("")
    code = "import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))"
    command = ("python3", "-c", code, target, *words)
    Path(directory, "build.ninja").write_text(write_build_file([(target, (source,), command)]))
    argv = ["ninja", "-C", str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert Path(target).read_text() == repr(words)
