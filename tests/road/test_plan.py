"""The plan station and the final values."""

import itertools
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv import (
    Append,
    Default,
    Environment,
    MakeDirectory,
    NixenvError,
    Prepend,
    Set,
    Unset,
    plan_environment,
    resolve,
)
from nixenv.road.choice import Choice, Reason
from nixenv.road.classify import Inventory, Program
from nixenv.road.cuda import CudaToolkit
from nixenv.road.farms import Farms
from nixenv.road.host_compiler import HostCompiler
from nixenv.road.named import find_named, tell_left_out
from nixenv.road.names import NAMES
from nixenv.road.plan import VARIABLE_LIMIT, VariableTooLong
from nixenv.road.profile import Profile
from nixenv.road.python import Interpreter, SitePackages
from tests.closures import store_path

PYTHON = store_path("python3-3.12.12")
NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
GCC = store_path("gcc-wrapper-14.3.0")
NINJA = store_path("ninja-1.13.1")
INVENTORY = Inventory(
    root=store_path("sglang"),
    interpreter=Interpreter(PYTHON, "3.12", (), ()),
    site_packages=(SitePackages("/s/one", own=True), SitePackages("/s/two", own=False)),
    cuda=CudaToolkit(
        "12.8",
        NVCC,
        NVCC,
        reasons=(),
        members=(NVCC,),
        homes=(NVCC,),
        include_dirs=("/i",),
        library_dirs=("/l",),
        stub_dirs=("/l/stubs",),
        tools=(f"{NVCC}/bin/ptxas", "/tools/bin/cuobjdump"),
        cudart="/l",
    ),
    host_compiler=HostCompiler(GCC, Reason.NEWEST_GCC, f"{GCC}/bin/gcc", f"{GCC}/bin/g++"),
    ninja=Choice(NINJA, Reason.NEWEST_NINJA),
)
CPU_ONLY = Inventory(INVENTORY.root, INVENTORY.interpreter, (), None, None, None)


def test_layout_store_plans_the_documented_operations() -> None:
    """Every value points into the store; the profile adds its parts, caches and defaults."""
    profile = Profile(
        "p",
        path=("nvcc", "ninja", "host-compiler", "cuda-tools"),
        compiler=True,
        cache={"TRITON_CACHE_DIR": "jit/triton"},
        defaults={"SGLANG_PORT": "30000", "CUDA_LIB_PATH": "{cuda_lib}", "HF_HOME": "{cache}/hf"},
    )
    assert [*plan_environment(INVENTORY, profile, "/cache")] == [
        Unset("PYTHONHOME"),
        Set("PYTHONPATH", "/s/one:/s/two"),
        Set("PYTHONNOUSERSITE", "1"),
        Prepend(
            "PATH",
            (f"{PYTHON}/bin", f"{NVCC}/bin", f"{NINJA}/bin", f"{GCC}/bin", "/tools/bin"),
        ),
        Set("CUDA_HOME", NVCC),
        Set("CUDA_PATH", NVCC),
        Prepend("CPATH", ("/i",)),
        Prepend("LIBRARY_PATH", ("/l", "/l/stubs")),
        MakeDirectory("/cache/jit"),
        MakeDirectory("/cache/jit/triton"),
        Default("TRITON_CACHE_DIR", "/cache/jit/triton"),
        Default("SGLANG_PORT", "30000"),
        Default("CUDA_LIB_PATH", "/l"),
        Default("HF_HOME", "/cache/hf"),
        Default("CC", f"{GCC}/bin/gcc"),
        Default("CXX", f"{GCC}/bin/g++"),
    ]


def test_layout_linked_names_the_farms() -> None:
    """The toolkit root has the tools in its bin; CPATH is left alone."""
    profile = Profile(
        "p",
        path=("nvcc", "ninja", "host-compiler", "cuda-tools"),
        defaults={"CUDA_LIB_PATH": "{cuda_lib}"},
    )
    farms = Farms("/venv", "/root")
    assert [*plan_environment(INVENTORY, profile, "/cache", farms)] == [
        Unset("PYTHONHOME"),
        Unset("PYTHONPATH"),
        Set("VIRTUAL_ENV", "/venv"),
        Prepend("PATH", ("/venv/bin", "/root/bin", f"{NINJA}/bin", f"{GCC}/bin")),
        Set("CUDA_HOME", "/root"),
        Set("CUDA_PATH", "/root"),
        Prepend("LIBRARY_PATH", ("/root/lib", "/root/lib/stubs")),
        Default("CUDA_LIB_PATH", "/root/lib"),
    ]


def test_a_name_stands_for_what_was_found() -> None:
    """In layout linked for the farm's; each that profiles may use is one of these."""
    found = find_named(INVENTORY, "/cache")
    assert set(found) == set(NAMES)
    assert found == {
        "cache": "/cache",
        "cc": f"{GCC}/bin/gcc",
        "cuda_home": NVCC,
        "cuda_lib": "/l",
        "cuobjdump": "/tools/bin/cuobjdump",
        "cxx": f"{GCC}/bin/g++",
        "flox_env": None,
        "include_dirs": "/i",
        "interpreter": f"{PYTHON}/bin/python3.12",
        "library_dirs": "/l",
        "nvcc": f"{NVCC}/bin/nvcc",
        "ptxas": f"{NVCC}/bin/ptxas",
        "root": INVENTORY.root,
        "site_packages": "/s/one:/s/two",
    }
    assert find_named(INVENTORY, "/cache", Farms("/venv", "/root")) == found | {
        "cuda_home": "/root",
        "cuda_lib": "/root/lib",
        "cuobjdump": "/root/bin/cuobjdump",
        "include_dirs": "/root/include",
        "interpreter": "/venv/bin/python3.12",
        "library_dirs": "/root/lib",
        "nvcc": "/root/bin/nvcc",
        "ptxas": "/root/bin/ptxas",
        "site_packages": "/venv/lib/python3.12/site-packages",
    }


def test_a_value_of_what_the_closure_lacks_is_left_out() -> None:
    """An empty one would be a wrong one."""
    missing = {"CUDA_LIB_PATH": "{cuda_lib}"}
    profile = Profile("p", defaults={**missing, "A": "{root}", "B": "{{x}}"})
    others = Profile("p", fixed=missing, prepended=missing, appended=missing)
    for farms in (None, Farms("/venv", None)):
        operations = plan_environment(CPU_ONLY, profile, "/cache", farms).operations
        defaults = [operation for operation in operations if isinstance(operation, Default)]
        assert defaults == [Default("A", INVENTORY.root), Default("B", "{x}")]
        nothing = plan_environment(CPU_ONLY, Profile("p"), "/cache", farms)
        assert plan_environment(CPU_ONLY, others, "/cache", farms) == nothing


def test_what_is_left_out_is_told() -> None:
    """A note where the closure has no CUDA at all; a warning where its CUDA lacks that part."""
    values = {"A": "{cuobjdump}", "B": "{interpreter}", "C": "{flox_env}/lib", "D": "{cache}"}
    profile = Profile("p", fixed=values)
    told = {finding.summary: finding.severity for finding in tell_left_out(CPU_ONLY, profile)}
    assert told == {
        "A is not set: there is no {cuobjdump} here": "note",
        "C is not set: there is no {flox_env} here": "warning",
    }
    assert INVENTORY.cuda is not None
    bare = INVENTORY._replace(cuda=INVENTORY.cuda._replace(tools=()), interpreter=None)
    findings = [*tell_left_out(bare._replace(site_packages=()), profile, "/flox")]
    assert [(found.summary[0], found.severity) for found in findings] == [
        ("A", "warning"),
        ("B", "note"),
    ]
    assert findings[0].evidence == ("{cuobjdump}",)
    assert "take A out of the profile" in findings[0].remedy
    both = Profile("p", fixed={"A": "{cuobjdump}:{nvcc}:{cuobjdump}"})
    (found,) = tell_left_out(CPU_ONLY, both)
    assert found.summary == "A is not set: there is no {cuobjdump}, {nvcc} here"
    assert [*tell_left_out(INVENTORY, profile, "/flox")] == []


users = st.dictionaries(st.sampled_from("ABCDEFG"), st.sampled_from(("mine", "", "/x:/y", "/p")))


@given(users)
def test_who_wins(mine: dict[str, str]) -> None:
    """[set] and [unset] hold, [cache] and [defaults] give way, the launcher gives way to all."""
    profile = Profile(
        "p",
        compiler=True,
        cache={"A": "a"},
        defaults={"B": "b"},
        fixed={"C": "c", "CC": "cc"},
        prepended={"D": "/p:/q"},
        appended={"E": "/p:/q"},
        removed=("F", "CXX"),
    )
    carried = tuple((name, "carried") for name in "ABCDEFG")
    inventory = INVENTORY._replace(program=Program("x", "/x", carried))
    environment = plan_environment(inventory, profile, "/cache")
    once = apply(environment, mine)
    given = (*filter(None, mine.get("D", "").split(":")),)
    behind = (*filter(None, mine.get("E", "").split(":")),)
    assert once["A"] == mine.get("A", "/cache/a")
    assert once["B"] == mine.get("B", "b")
    assert (once["C"], once["CC"]) == ("c", "cc")
    assert once["D"].split(":") == [*dict.fromkeys(("/p", "/q", *given))]
    assert once["E"].split(":") == [*dict.fromkeys((*behind, "/p", "/q"))]
    assert not {"F", "CXX"} & once.keys()
    assert once["G"] == mine.get("G", "carried")
    assert apply(environment, once) == once


def test_a_profile_that_asks_for_nothing_gets_no_tools() -> None:
    """PATH then has the interpreter alone, and CC and CXX are left alone."""
    operations = plan_environment(INVENTORY, Profile("p"), "/cache").operations
    assert Prepend("PATH", (f"{PYTHON}/bin",)) in operations
    assert not any(isinstance(operation, Default) for operation in operations)


def test_a_closure_without_cuda_leaves_the_cuda_variables_alone() -> None:
    """No toolkit is not an error, and nothing is set to an empty value."""
    profile = Profile("p", path=("nvcc", "ninja", "host-compiler"), compiler=True)
    assert [*plan_environment(CPU_ONLY, profile, "/cache")] == [
        Unset("PYTHONHOME"),
        Unset("PYTHONPATH"),
        Set("PYTHONNOUSERSITE", "1"),
        Prepend("PATH", (f"{PYTHON}/bin",)),
    ]


def test_a_store_directory_with_a_colon_is_refused() -> None:
    """A colon would split one entry of PYTHONPATH into two."""
    modules = (SitePackages("/a:b/site-packages", own=True),)
    inventory = Inventory(INVENTORY.root, INVENTORY.interpreter, modules, None, None, None)
    with pytest.raises(NixenvError, match="PYTHONPATH: '/a:b/site-packages' cannot be an entry"):
        plan_environment(inventory, Profile("p"), "/cache")


def test_operations_of_different_kinds_differ() -> None:
    """To set a variable and to give it a default are two things, whatever they have in common."""
    lists = (Prepend("A", ("b",)), Append("A", ("b",)))
    kinds = (*lists, Set("A", "b"), Default("A", "b"), Unset("A"), MakeDirectory("A"), ("A", "b"))
    for one, other in itertools.combinations(kinds, 2):
        assert one != other
        assert not one == other  # noqa: SIM201 -- both are of the classes themselves
    assert len({*kinds}) == len(kinds)
    assert Set("A", "b") == Set("A", "b")
    assert not Set("A", "b") != Set("A", "b")  # noqa: SIM202 -- as above


names = st.sampled_from(["A", "B", "C"])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
entries = st.lists(texts.filter(lambda text: text and ":" not in text), min_size=1, max_size=3)
operations = st.one_of(
    st.builds(Unset, names),
    st.builds(Set, names, texts),
    st.builds(Default, names, texts),
    st.builds(Prepend, names, entries.map(tuple)),
    st.builds(Append, names, entries.map(tuple)),
)


def apply(environment: Environment, environ: dict[str, str]) -> dict[str, str]:
    final = {**environ, **resolve(environment, environ)}
    return {name: value for name, value in final.items() if value is not None}


@given(operation=operations, environ=st.dictionaries(names, texts))
def test_resolving_twice_is_resolving_once(
    operation: Unset | Set | Default | Prepend | Append, environ: dict[str, str]
) -> None:
    """An operation on its own result changes nothing."""
    environment = Environment((operation,))
    once = apply(environment, environ)
    assert apply(environment, once) == once


@given(planned=st.lists(operations, max_size=6), environ=st.dictionaries(names, texts))
def test_operations_see_what_those_before_them_made(
    planned: list[Unset | Set | Default | Prepend | Append], environ: dict[str, str]
) -> None:
    """Resolving them all is resolving one after the other."""
    step = environ
    for operation in planned:
        step = apply(Environment((operation,)), step)
    assert apply(Environment(tuple(planned)), environ) == step


def test_the_limit_is_the_kernels() -> None:
    """NAME=value of that many bytes still starts a program; one byte more does not."""
    fits = "v" * (VARIABLE_LIMIT - len("NAME="))
    resolve(Environment((Set("NAME", fits),)), {})
    subprocess.run(["true"], env={"PATH": os.defpath, "NAME": fits}, check=True)
    with pytest.raises(VariableTooLong, match="NAME would be 131072 bytes"):
        resolve(Environment((Set("NAME", f"{fits}v"),)), {})
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true"], env={"PATH": os.defpath, "NAME": f"{fits}v"}, check=True)


def test_what_was_there_counts_towards_the_limit() -> None:
    """A prepend onto a long list is refused as well, in bytes, not characters."""
    environment = Environment((Prepend("CPATH", ("/a",)),))
    with pytest.raises(VariableTooLong, match="CPATH"):
        resolve(environment, {"CPATH": "é" * (VARIABLE_LIMIT // 2)})


def test_a_toolkit_without_directories_sets_no_empty_list() -> None:
    """A bare nvcc has neither headers nor libraries: no list is touched."""
    bare = CudaToolkit("12.8", NVCC, NVCC, (), (NVCC,), (NVCC,))
    names = {
        getattr(operation, "name", "")
        for operation in plan_environment(
            INVENTORY._replace(cuda=bare), Profile("p", path=("nvcc",)), "/cache"
        )
    }
    assert {"CUDA_HOME", "CUDA_PATH"} <= names
    assert not {"CPATH", "LIBRARY_PATH"} & names
    stubs = INVENTORY._replace(cuda=bare._replace(stub_dirs=("/l/stubs",), include_dirs=("/i",)))
    planned = [*plan_environment(stubs, Profile("p"), "/cache")]
    assert Prepend("LIBRARY_PATH", ("/l/stubs",)) in planned
    assert Prepend("CPATH", ("/i",)) in planned
