"""Which compiler and which ninja work beside nvcc: the rules on plain data."""

import pytest

from nixenv.road.choice import Reason
from nixenv.road.cuda import choose_toolkit
from nixenv.road.host_compiler import HostCompiler, choose_host_compiler, choose_ninja
from nixenv.road.probe import StoreObject
from tests.closures import probe_of, store_path


def gcc(version: str, name: str = "gcc-wrapper") -> StoreObject:
    path = store_path(f"{name}-{version}")
    return StoreObject(path, programs=("c++", "cc", "g++", "gcc"))


def nvcc(*, host_compiler: str | None = None, newest_gcc: int | None = None) -> StoreObject:
    path = store_path("cuda12.8-cuda_nvcc-12.8.93")
    return StoreObject(path, programs=("nvcc",), host_compiler=host_compiler, newest_gcc=newest_gcc)


def choose(*objects: StoreObject) -> HostCompiler | None:
    probe = probe_of(*objects)
    return choose_host_compiler(probe, choose_toolkit(probe, None, required=False))


@pytest.mark.parametrize("program", ["bin", "bin/c++", "bin/g++"])
def test_the_one_that_nvcc_names(program: str) -> None:
    """A directory or a program, whatever else is newer."""
    old, new = gcc("13.3.0"), gcc("14.3.0")
    found = choose(new, old, nvcc(host_compiler=f"{old.path}/{program}", newest_gcc=14))
    assert found == (
        old.path,
        Reason.NVCC_NAMES_IT,
        f"{old.path}/bin/gcc",
        f"{old.path}/bin/g++",
    )


@pytest.mark.parametrize(
    ("programs", "named", "cc", "cxx"),
    [
        (
            ("aarch64-unknown-linux-gnu-g++", "aarch64-unknown-linux-gnu-gcc", "g++", "gcc"),
            "bin/aarch64-unknown-linux-gnu-c++",
            "aarch64-unknown-linux-gnu-gcc",
            "aarch64-unknown-linux-gnu-g++",
        ),
        (
            ("aarch64-unknown-linux-gnu-g++", "aarch64-unknown-linux-gnu-gcc"),
            "bin",
            "aarch64-unknown-linux-gnu-gcc",
            "aarch64-unknown-linux-gnu-g++",
        ),
        (("c++", "cc", "clang", "clang++"), "bin", "cc", "c++"),
        (("clang", "clang++"), "bin/clang++", "clang", "clang++"),
    ],
)
def test_another_machines_compiler_and_clang_are_what_they_are(
    programs: tuple[str, ...], named: str, cc: str, cxx: str
) -> None:
    """By the programs that are there, not by gcc's name."""
    path = store_path("some-wrapper-1.0")
    holder = StoreObject(path, programs=programs)
    found = choose(gcc("14.3.0"), holder, nvcc(host_compiler=f"{path}/{named}"))
    assert found is not None
    assert (found.cc, found.cxx) == (f"{path}/bin/{cc}", f"{path}/bin/{cxx}")


@pytest.mark.parametrize("named", ["bin", "bin/nvc", "bin/g++"])
def test_of_a_directory_of_compilers_the_machines_own(named: str) -> None:
    """Before those for others, where nvcc's files say no more."""
    programs = ("aarch64-linux-gnu-g++", "aarch64-linux-gnu-gcc", "c++", "cc", "g++", "gcc")
    holder = StoreObject(store_path("compilers"), programs=programs)
    found = choose(holder, nvcc(host_compiler=f"{holder.path}/{named}"))
    assert found is not None
    assert (found.cc, found.cxx) == (f"{holder.path}/bin/gcc", f"{holder.path}/bin/g++")


def test_what_nvcc_names_and_is_not_there_is_passed_over() -> None:
    """Out of the store, out of the closure, or without a compiler in it."""
    new = gcc("14.3.0")
    empty = StoreObject(store_path("empty"), programs=("ninja",))
    for named in ("/usr/bin", f"{store_path('gone')}/bin", f"{empty.path}/bin"):
        found = choose(new, empty, nvcc(host_compiler=named))
        assert found is not None
        assert found.path == new.path


def test_else_the_newest_that_nvcc_accepts() -> None:
    """By number, 14 before 9, as host_config.h has it; other gccs are not for linking here."""
    objects = (gcc("9.5.0"), gcc("16.1.0"), gcc("14.3.0"), gcc("13.3.0"))
    plain = gcc("14.9.0", "gcc")
    cross = gcc("14.9.0", "aarch64-unknown-linux-gnu-gcc-wrapper")
    found = choose(plain, cross, *objects, nvcc(newest_gcc=14))
    assert found is not None
    assert (found.path, found.reason) == (objects[2].path, Reason.NEWEST_ACCEPTED_GCC)
    assert choose(plain, cross, nvcc(newest_gcc=14)) is None


def test_where_nvcc_accepts_none_the_oldest() -> None:
    """inspect tells of it; what compiles no CUDA may well work with it."""
    found = choose(gcc("16.1.0"), gcc("15.2.0"), nvcc(newest_gcc=14))
    assert found is not None
    assert (found.path, found.reason) == (store_path("gcc-wrapper-15.2.0"), Reason.OLDEST_GCC)


def test_without_a_limit_the_newest() -> None:
    """No nvcc, or one without headers."""
    for others in ((), (nvcc(),)):
        found = choose(gcc("9.5.0"), gcc("14.3.0"), *others)
        assert found is not None
        assert (found.path, found.reason) == (store_path("gcc-wrapper-14.3.0"), Reason.NEWEST_GCC)


def test_ninja_is_the_newest() -> None:
    """By number, of those that are called so; what else brings the program comes behind them."""
    old, new = (
        StoreObject(store_path(f"ninja-{version}"), programs=("ninja",))
        for version in ("1.9", "1.13.1")
    )
    module = StoreObject(store_path("python3.12-ninja-1.11.1"), programs=("ninja",))
    assert choose_ninja(probe_of(old, new, module)) == (new.path, Reason.NEWEST_NINJA)
    assert choose_ninja(probe_of(module, new, old)) == (new.path, Reason.NEWEST_NINJA)
    assert choose_ninja(probe_of(module)) == (module.path, Reason.HAS_NINJA)
    assert choose_ninja(probe_of()) is None


def test_a_wrapper_is_gcc_itself_and_of_a_version() -> None:
    """Another package with its name, one without g++, and gcc without wrapper are none."""
    wrapper = gcc("13.3.0")
    bare = StoreObject(store_path("gcc-wrapper-14.3.0"), programs=("gcc",))
    others = (gcc("14.3.0", "gcc"), gcc("hook", "gcc-wrapper"), bare)
    assert choose(*others, wrapper) == HostCompiler(
        wrapper.path, Reason.NEWEST_GCC, f"{wrapper.path}/bin/gcc", f"{wrapper.path}/bin/g++"
    )
    assert choose(*others) is None
    plain = StoreObject(store_path("gcc-wrapper-12.1.0"), programs=("g++", "gcc"))
    found = choose(plain)
    assert found is not None
    assert found.path == plain.path


def test_the_oldest_is_so_by_number() -> None:
    """9.5 is older than 14.3, whatever sorts first."""
    old, new = gcc("9.5.0"), gcc("14.3.0")
    for order in ((old, new), (new, old)):
        found = choose(*order, nvcc(newest_gcc=8))
        assert found is not None
        assert (found.path, found.reason) == (old.path, Reason.OLDEST_GCC)
