"""The cache directories: what is compiled is written there, and loaded from there."""

import contextlib
import mmap
import os
import shutil
import time
from collections.abc import Iterable, Mapping

from nixenv.evidence.caches import look_into_caches
from nixenv.prove.steps import Part, State, Step
from nixenv.prove.toolchain import Toolchain
from nixenv.request import Prepared
from nixenv.road.plan import MakeDirectory

# Bytes: enough for a disk that is full to refuse.
_TRIAL = 1 << 16

# Of several, so many are shown.
_FEW = 5


def find_cache_directories(prepared: Prepared, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the directories that will be written to, by the variables that name them, each once.

    Where a user's value took the place of ours, it is the user's that counts. A profile without
    cache directories leaves the cache directory itself.
    """
    named = {name: environ.get(name, "") for name in prepared.material.profile.cache}
    directories = {path: name for name, path in reversed(named.items()) if path.startswith("/")}
    made = (o.path for o in prepared.environment.operations if isinstance(o, MakeDirectory))
    if not directories:
        directories = dict.fromkeys(made, "cache")
    return {name: path for path, name in reversed(directories.items())}


def try_cache(name: str, path: str, stack: contextlib.ExitStack) -> tuple[Step, str | None]:
    """Make a scratch directory in a cache directory, and write and load a file there.

    Args:
        name: The variable.
        path: The directory that it names.
        stack: Where the end of the scratch directory is put off to.

    Returns:
        The step, and the scratch directory where it passed.
    """
    began = time.monotonic()
    title = f"write to {name}={path} and load from it"
    try:
        os.makedirs(path, exist_ok=True)
        # Its end is seen to before it is there: a signal may come between the two.
        scratch = os.path.join(path, f".nixenv-prove-{os.getpid()}-{os.urandom(8).hex()}")
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        os.mkdir(scratch, 0o700)
        _write_and_map(f"{scratch}/trial")
    except OSError as error:
        detail = error.strerror or str(error)
        return Step(Part.CACHE, title, State.FAILED, time.monotonic() - began, detail=detail), None
    return Step(Part.CACHE, title, State.PASSED, time.monotonic() - began), scratch


def _write_and_map(file: str) -> None:
    with open(file, "x+b") as stream:
        stream.write(bytes(_TRIAL))
        stream.flush()
        os.fsync(stream.fileno())
        try:
            # As the loader maps a library: a directory that is mounted noexec refuses.
            mmap.mmap(stream.fileno(), _TRIAL, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        except PermissionError as error:
            raise OSError(error.errno, "nothing can be loaded from there (noexec)") from error


def try_build_files(caches: Mapping[str, str], tools: Toolchain | None) -> Iterable[Step]:
    """Look for build files that were written for another toolkit: a build would mix the two."""
    if tools is None:
        return
    began = time.monotonic()
    found = look_into_caches(caches).build_files
    stale = [f"{f.path} is for {f.cuda_home}" for f in found if f.cuda_home != tools.cuda_home]
    yield Step(
        Part.BUILD_FILE,
        f"the build files in the caches are for {tools.cuda_home}",
        State.FAILED if stale else State.PASSED,
        time.monotonic() - began,
        detail="\n".join(stale[:_FEW]) or f"{len(found)} of them",
    )
