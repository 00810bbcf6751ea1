"""What follows from a store object that is gone, and is no fault of its own. Pure.

Its part is missed, or its modules on PYTHONPATH are taken for somebody else's. To bring it back
comes first, and the rest is judged then.
"""

import os
from collections.abc import Iterator, Sequence

from nixenv.findings import Finding
from nixenv.inspect.components import Group, group_of
from nixenv.road.probe import Probe
from nixenv.storepath import StorePath, enclosing_store_path

_LOSSES = frozenset(("store-object-missing", "store-object-unreadable", "store-object-damaged"))

_FROM_ANY = frozenset(
    ("python-not-found", "python-ambiguous", "python-no-modules", "python-requirement-unmet")
)
_FROM_CUDA = frozenset(
    (
        *("cuda-not-found", "cuda-none", "cuda-runtime-headers-missing", "cuda-cccl-missing"),
        *("cuda-runtime-library-missing", "cuda-stubs-missing", "cuda-library-without-headers"),
    )
)
_FROM_OTHERS = frozenset(("cuda-no-host-compiler", "cuda-no-ninja"))


def leave_out_consequences(
    findings: Sequence[Finding], root: StorePath, probe: Probe
) -> Iterator[Finding]:
    """Give the findings without those that a lost store object may have caused.

    Args:
        findings: All of them.
        root: The root's store path.
        probe: The notes on the closure; its faults are what is lost.
    """
    if not any(finding.code in _LOSSES for finding in findings):
        yield from findings
        return
    store_dir = os.path.dirname(root)
    lost = (enclosing_store_path(fault.path, store_dir) for fault in probe.faults)
    groups = {group_of(path, None) for path in lost if path}
    left_out = (
        _FROM_ANY
        | (_FROM_CUDA if Group.CUDA in groups else frozenset())
        | (_FROM_OTHERS if Group.OTHER in groups else frozenset())
    )
    for finding in findings:
        if finding.code not in left_out and not _is_lost_module(finding, store_dir):
            yield finding


def _is_lost_module(finding: Finding, store_dir: str) -> bool:
    """Say whether a leak is but what was lost: one from outside the store is not."""
    return finding.code == "python-path-leak" and all(
        entry.startswith(f"{store_dir}/") for entry in finding.evidence
    )
