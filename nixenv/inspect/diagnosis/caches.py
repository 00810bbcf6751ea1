"""Whether programs can write where variables lead them, and what they find there. Pure."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence

from nixenv.evidence.caches import CacheContents, DirectoryState
from nixenv.evidence.machine import Machine
from nixenv.findings import Code, Finding, Severity
from nixenv.text import as_code

# What one run of a JIT compiler may well take: flashinfer's larger kernels are some 100 MB with
# what nvcc keeps beside them.
_LITTLE_SPACE = 256 << 20
_FEW_FILES = 1000

_SHOWN = 5


def check_caches(
    variables: Mapping[str, str | None], machine: Machine, export_command: str
) -> Iterator[Finding]:
    """Judge the directories that variables name, and what the JIT compilers left there.

    Args:
        variables: What each variable should be; None for unset.
        machine: The machine as it is.
        export_command: What prints this environment for a shell.
    """
    ours = [state for state in machine.directories if state.variable in variables]
    given = [state for state in machine.directories if state.variable not in variables]
    yield from _check_writing(ours, export_command, Severity.ERROR)
    # A cache of models that somebody filled and closed serves all the same.
    yield from _check_writing(given, export_command, Severity.WARNING)
    yield from _check_loading(ours, export_command)
    yield from _check_space(ours, given, export_command)
    yield from _check_contents(machine.caches, ours, variables.get("CUDA_HOME"))


def _check_writing(
    states: Sequence[DirectoryState], export_command: str, severity: Severity
) -> Iterator[Finding]:
    closed = [state for state in states if state.problem]
    if closed:
        yield Code.CACHE_DIRECTORY_UNWRITABLE.found(
            f"nothing can be written to the directories of {len(closed)} caches"
            if len(closed) > 1
            else f"nothing can be written to the directory of {closed[0].variable}",
            tuple(f"{state.variable}={state.path}: {state.problem}" for state in closed),
            _move(closed, export_command, are_ours=severity is Severity.ERROR),
            severity=severity,
        )


def _check_loading(states: Sequence[DirectoryState], export_command: str) -> Iterator[Finding]:
    closed = [state for state in states if state.is_noexec]
    if closed:
        yield Code.CACHE_DIRECTORY_NOEXEC.found(
            f"what is compiled into {_names(closed)} cannot be loaded: that file system is mounted "
            "noexec",
            tuple(f"{state.variable}={state.path}" for state in closed),
            _move(closed, export_command, are_ours=True),
        )


def _check_space(
    ours: Sequence[DirectoryState], given: Sequence[DirectoryState], export_command: str
) -> Iterator[Finding]:
    tight = [state for state in (*ours, *given) if _lack(state)]
    if tight:
        yield Code.CACHE_DIRECTORY_NEARLY_FULL.found(
            f"there is hardly room for what {_names(tight)} will take; downloads and JIT compilers "
            "fail where it ends",
            tuple(f"{state.variable}={state.path}: {_lack(state)}" for state in tight),
            "free some there, or take another place: "
            + _move(tight, export_command, are_ours=any(state in ours for state in tight)),
        )


def _lack(state: DirectoryState) -> str:
    if state.free is not None and state.free < _LITTLE_SPACE:
        return f"{state.free >> 20} MiB free"
    if state.free_files is not None and state.free_files < _FEW_FILES:
        return f"{state.free_files} more files (inodes)"
    return ""


def _check_contents(
    caches: CacheContents, directories: Sequence[DirectoryState], cuda_home: str | None
) -> Iterator[Finding]:
    if caches.foreign:
        is_closed = any(found.is_closed for found in caches.foreign)
        yield Code.CACHE_FOREIGN_OWNER.found(
            "the caches hold directories of another user"
            + (", closed to this one: what is compiled there fails" if is_closed else ""),
            _few([f"{found.path}: {found.owner}'s" for found in caches.foreign]),
            "as root, "
            + as_code(
                shlex.join(["chown", "-R", caches.user, *(found.path for found in caches.foreign)])
            ),
            severity=Severity.ERROR if is_closed else Severity.WARNING,
        )
    if caches.dead_locks:
        yield Code.CACHE_DEAD_LOCK.found(
            "torch waits without end for extensions that nobody builds any more: their builder "
            "ended, and left its lock",
            _few(caches.dead_locks),
            as_code(shlex.join(["rm", "-f", *caches.dead_locks])),
        )
    stale = [found for found in caches.build_files if cuda_home and found.cuda_home != cuda_home]
    if stale:
        homes = list(dict.fromkeys(found.cuda_home for found in stale))
        yield Code.CACHE_OTHER_TOOLKIT.found(
            f"the caches hold build files for {' and '.join(homes[:_SHOWN])}, and CUDA_HOME is "
            f"{cuda_home}: what is built on top mixes the two",
            _few([f"{found.path} is for {found.cuda_home}" for found in stale]),
            _remove_build_files([state.path for state in directories], homes),
        )


def _remove_build_files(directories: Collection[str], homes: Sequence[str]) -> str:
    # Without its build file a kernel is built anew, from the sources that lie beside it.
    names = shlex.join(dict.fromkeys(directories))
    words = " ".join(f"-e {shlex.quote(home)}" for home in homes)
    return as_code(f"find {names} -name build.ninja -exec grep -qF {words} {{}} ';' -delete")


def _move(states: Sequence[DirectoryState], export_command: str, *, are_ours: bool) -> str:
    # A value that is set wins over the new directory: it has to go first.
    names = " ".join(state.variable for state in states)
    if not are_ours:
        return as_code(f"unset {names}")
    elsewhere = f'{export_command} --cache-dir "$(mktemp -d -p /var/tmp)"'
    return as_code(f'unset {names}; eval "$({elsewhere})"')


def _names(states: Sequence[DirectoryState]) -> str:
    return ", ".join(state.variable for state in states)


def _few(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - _SHOWN
    return (*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else []))
