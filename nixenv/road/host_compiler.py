"""Which compiler and which ninja work beside nvcc. Pure."""

import re
from collections.abc import Iterator, Sequence

from nixenv.road.choice import Choice, Reason
from nixenv.road.cuda import CudaToolkit
from nixenv.road.probe import Probe
from nixenv.road.redistributables import numbers
from nixenv.storepath import StorePath, enclosing_store_path, store_name
from nixenv.typed import NamedTuple

# gcc-wrapper-14.3.0 and gcc-14.3.0 of nixpkgs
_GCC = re.compile(r"gcc(?:-wrapper)?-(?P<version>\d{1,3}(?:\.\d+)*)")

_PAIRS = (("gcc", "g++"), ("cc", "c++"), ("clang", "clang++"))
_PROGRAM = re.compile(r"(?P<triple>(?:.*-)?)(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?)")


class HostCompiler(NamedTuple):
    """The C and C++ compiler beside nvcc.

    Attributes:
        path: Its store path.
        reason: Why this one.
        cc: The program for C: its path.
        cxx: The program for C++.
    """

    path: StorePath
    reason: Reason
    cc: str
    cxx: str


def choose_host_compiler(probe: Probe, toolkit: CudaToolkit | None) -> HostCompiler | None:
    """Choose what nvcc calls by itself, else the newest gcc wrapper that it accepts.

    Where it accepts none, the oldest of them: that is the nearest to one.
    """
    named = _find_named(probe, toolkit)
    if named is not None:
        return named
    wrappers = {
        found.path: release
        for found in probe.objects
        if {"gcc", "g++"} <= set(found.programs)
        and store_name(found.path).startswith("gcc-wrapper-")
        and (release := gcc_release(found.path)) is not None
    }
    if not wrappers:
        return None
    limit = toolkit.newest_gcc if toolkit is not None else None
    accepted = [path for path in wrappers if limit is None or wrappers[path][0] <= limit]
    if accepted:
        best = max(accepted, key=wrappers.__getitem__)
        reason = Reason.NEWEST_GCC if limit is None else Reason.NEWEST_ACCEPTED_GCC
    else:
        best, reason = min(wrappers, key=wrappers.__getitem__), Reason.OLDEST_GCC
    return HostCompiler(best, reason, f"{best}/bin/gcc", f"{best}/bin/g++")


def gcc_release(path: StorePath) -> tuple[int, ...] | None:
    """Read gcc's version off the name of a store path; None where it is no gcc's."""
    match = _GCC.fullmatch(store_name(path))
    return numbers(match["version"]) if match else None


def choose_ninja(probe: Probe) -> Choice | None:
    """Choose ninja itself, the newest by name; else whatever brings the program."""
    holders = [found.path for found in probe.objects if "ninja" in found.programs]

    def is_ninja(path: StorePath) -> bool:
        return store_name(path).startswith("ninja-")

    def rank(path: StorePath) -> tuple[bool, tuple[int, ...]]:
        return is_ninja(path), numbers(store_name(path))

    best = max(holders, key=rank, default=None)
    if best is None:
        return None
    return Choice(best, Reason.NEWEST_NINJA if is_ninja(best) else Reason.HAS_NINJA)


def _find_named(probe: Probe, toolkit: CudaToolkit | None) -> HostCompiler | None:
    """Find the compiler that nvcc's own files name: a program, or a directory of programs."""
    notes = {found.path: found for found in probe.objects}
    nvcc = notes.get(toolkit.nvcc) if toolkit is not None else None
    if nvcc is None or nvcc.host_compiler is None:
        return None
    holder = enclosing_store_path(nvcc.host_compiler, nvcc.path.rpartition("/")[0])
    if holder is None or holder not in notes:
        return None
    found = notes[holder]
    home = f"{found.path}/bin"
    program = nvcc.host_compiler.removeprefix(f"{home}/")
    for cc, cxx in _find_pairs(found.programs, program):
        return HostCompiler(found.path, Reason.NVCC_NAMES_IT, f"{home}/{cc}", f"{home}/{cxx}")
    return None


def _find_pairs(programs: Sequence[str], program: str) -> Iterator[tuple[str, str]]:
    """Give the compilers for C and C++, those for the machine that ``program`` is for first."""
    matches = map(_PROGRAM.fullmatch, (program, "cc", *programs))
    for prefix in dict.fromkeys(match["triple"] for match in matches if match):
        for cc, cxx in _PAIRS:
            if {f"{prefix}{cc}", f"{prefix}{cxx}"} <= set(programs):
                yield f"{prefix}{cc}", f"{prefix}{cxx}"
