"""Whether the store objects are there and readable, and whether Nix itself answered. Pure."""

import errno
import shlex
from collections.abc import Iterable, Iterator, Sequence

from nixenv.findings import Code, Finding, Severity
from nixenv.road.classify import tell_source
from nixenv.road.nix import repair_command
from nixenv.road.probe import Fault, Probe
from nixenv.road.query import Closure, Origin
from nixenv.storepath import StorePath, enclosing_store_path

# What a change of permissions cures, and nothing else does.
_DENIED = errno.EACCES


def check_store(closure: Closure, probe: Probe, nix_store: str = "nix-store") -> Iterator[Finding]:
    """Judge the closure's source and the store objects that could not be looked at.

    Args:
        closure: The closure.
        probe: The notes on its store objects.
        nix_store: How a user starts nix-store, which is on nobody's PATH in a Flox hook.
    """
    has_nix = closure.origin is Origin.NIX
    missing = tuple(fault.path for fault in probe.faults if fault.missing)
    damaged = _find_damaged(closure, probe)
    if missing:
        yield Code.STORE_OBJECT_MISSING.found(
            f"of the closure, {_counted(missing)} not on disk; export refuses",
            missing,
            _repair(missing, nix_store) if has_nix else _FETCH_WITHOUT_NIX,
        )
    yield from _check_unreadable(closure, probe, nix_store)
    if damaged:
        objects = tuple(dict.fromkeys(damaged.values()))
        yield Code.STORE_OBJECT_DAMAGED.found(
            f"{_counted(objects)} not whole: the program's wrapper lists modules that are gone",
            tuple(damaged),
            _repair(objects, nix_store),
        )
    yield from tell_source(closure)
    if closure.origin is Origin.REQUISITES:
        yield Code.NIX_MISSING.found(
            "there is no Nix to ask: the closure is the record of the whole Flox environment, "
            "without order and references",
            (closure.source,),
            "put the directory of nix-store on PATH, or set NIX_BIN to the `nix` beside it; where "
            "there is no Nix, record a snapshot on a machine with Nix "
            "(`nixenv snapshot -o FILE`) and add `--from FILE` here",
            severity=Severity.WARNING,
        )


def _check_unreadable(closure: Closure, probe: Probe, nix_store: str) -> Iterator[Finding]:
    store_dir = closure.root.rpartition("/")[0]
    unreadable = [fault for fault in probe.faults if not fault.missing]
    denied = [fault for fault in unreadable if fault.errno == _DENIED]
    broken = [fault for fault in unreadable if fault.errno != _DENIED]
    if denied:
        objects = _objects_of(denied, store_dir)
        yield _unreadable(
            denied,
            f"{_counted(objects)} of the closure closed to this user; export refuses",
            f"as root, run `chmod -R a+rX {shlex.join(objects)}`",
        )
    if broken:
        objects = _objects_of(broken, store_dir)
        yield _unreadable(
            broken,
            f"{_counted(objects)} of the closure not readable; export refuses",
            _repair(objects, nix_store),
        )


def find_lost(closure: Closure, probe: Probe) -> frozenset[StorePath]:
    """Name the store objects that are gone, cannot be read, or lack what they had."""
    store_dir = closure.root.rpartition("/")[0]
    return frozenset(
        (*_objects_of(probe.faults, store_dir), *_find_damaged(closure, probe).values())
    )


def _find_damaged(closure: Closure, probe: Probe) -> dict[str, StorePath]:
    """Miss what the wrapper lists: nixpkgs lists directories that were there when it was built."""
    store_dir = closure.root.rpartition("/")[0]
    lost = set(_objects_of(probe.faults, store_dir))
    return {
        directory: path
        for directory in (probe.launcher.missing if probe.launcher else ())
        if (path := enclosing_store_path(directory, store_dir)) in closure.paths
        and path not in lost
    }


def _unreadable(faults: Sequence[Fault], summary: str, remedy: str) -> Finding:
    evidence = tuple(f"{fault.path}: {fault.detail}" for fault in faults)
    return Code.STORE_OBJECT_UNREADABLE.found(summary, evidence, remedy)


def _objects_of(faults: Iterable[Fault], store_dir: str) -> tuple[StorePath, ...]:
    """Give the store objects, where the faults may name paths inside them."""
    objects = (enclosing_store_path(fault.path, store_dir) for fault in faults)
    return tuple(dict.fromkeys(filter(None, objects)))


def _counted(paths: Sequence[str]) -> str:
    return "1 store object is" if len(paths) == 1 else f"{len(paths)} store objects are"


def _repair(paths: Sequence[str], nix_store: str) -> str:
    return f"as root, run `{repair_command(paths, nix_store)}`"


_FETCH_WITHOUT_NIX = (
    "there is no Nix here to fetch them: make the container image again (`flox containerize`), or "
    "in Kubernetes delete the pod, so that the node fetches the environment again"
)
