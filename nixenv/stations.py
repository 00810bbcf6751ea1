"""The stations that follow the query, and what joins to them, in one import.

`nixenv.request` loads it while Nix is at work.
"""

from nixenv.road.classify import classify, find_ambiguities
from nixenv.road.on_top import find_on_top
from nixenv.road.plan import MakeDirectory, plan_environment, resolve
from nixenv.road.probe import probe_closure, probe_head, require_complete
from nixenv.shells import render

__all__ = (
    "MakeDirectory",
    "classify",
    "find_ambiguities",
    "find_on_top",
    "plan_environment",
    "probe_closure",
    "probe_head",
    "render",
    "require_complete",
    "resolve",
)
