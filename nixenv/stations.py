"""The stations that follow the query, and what joins to them, in one import.

`nixenv.request` loads it while Nix is at work.
"""

from nixenv.findings import Severity
from nixenv.road.classify import classify, find_ambiguities, tell_source
from nixenv.road.named import tell_left_out
from nixenv.road.on_top import find_on_top
from nixenv.road.plan import (
    Environment,
    MakeDirectory,
    Set,
    apply,
    compute,
    plan_environment,
    resolve,
)
from nixenv.road.probe import look_further, probe_closure, probe_head, require_complete
from nixenv.road.record import (
    format_record,
    holds_all,
    list_inherited,
    make_record,
    plan_undo,
    read_record,
)
from nixenv.shells import render

__all__ = (
    "Environment",
    "MakeDirectory",
    "Set",
    "Severity",
    "apply",
    "classify",
    "compute",
    "find_ambiguities",
    "find_on_top",
    "format_record",
    "holds_all",
    "list_inherited",
    "look_further",
    "make_record",
    "plan_environment",
    "plan_undo",
    "probe_closure",
    "probe_head",
    "read_record",
    "render",
    "require_complete",
    "resolve",
    "tell_left_out",
    "tell_source",
)
