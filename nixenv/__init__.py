"""nixenv: the Python and CUDA environment of a program in a Nix store.

One road, five stations, each a function over plain values::

    query ──► probe ──► classify ──► plan ──► render

Public names resolve when they are first used, so that ``import nixenv`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixenv.closure import Closure as Closure
    from nixenv.closure import query_closure as query_closure
    from nixenv.comparison import Comparison as Comparison
    from nixenv.comparison import Inspected as Inspected
    from nixenv.comparison import compare as compare
    from nixenv.contents import Contents as Contents
    from nixenv.cuda import CudaToolkit as CudaToolkit
    from nixenv.distributions import Distribution as Distribution
    from nixenv.distributions import SiteListing as SiteListing
    from nixenv.distributions import probe_distributions as probe_distributions
    from nixenv.environment import Default as Default
    from nixenv.environment import Environment as Environment
    from nixenv.environment import MakeDirectory as MakeDirectory
    from nixenv.environment import Operation as Operation
    from nixenv.environment import Prepend as Prepend
    from nixenv.environment import Set as Set
    from nixenv.environment import Unset as Unset
    from nixenv.environment import plan_environment as plan_environment
    from nixenv.environment import resolve as resolve
    from nixenv.errors import NixenvError as NixenvError
    from nixenv.examination import Examination as Examination
    from nixenv.examination import Survey as Survey
    from nixenv.examination import examine as examine
    from nixenv.examination import survey as survey
    from nixenv.findings import Finding as Finding
    from nixenv.findings import Severity as Severity
    from nixenv.graph import Graph as Graph
    from nixenv.graph import query_graph as query_graph
    from nixenv.inventory import Inventory as Inventory
    from nixenv.inventory import classify as classify
    from nixenv.machine import Machine as Machine
    from nixenv.machine import probe_machine as probe_machine
    from nixenv.places import find_cache_dir as find_cache_dir
    from nixenv.places import find_store_dir as find_store_dir
    from nixenv.probe import Probe as Probe
    from nixenv.probe import StoreObject as StoreObject
    from nixenv.probe import probe_closure as probe_closure
    from nixenv.probe import require_complete as require_complete
    from nixenv.profile import Profile as Profile
    from nixenv.profile import load_profile as load_profile
    from nixenv.profile import parse_profile as parse_profile
    from nixenv.python import Interpreter as Interpreter
    from nixenv.python import SitePackages as SitePackages
    from nixenv.report import Report as Report
    from nixenv.report import Verdict as Verdict
    from nixenv.report import to_document as to_document
    from nixenv.road import Export as Export
    from nixenv.road import Selection as Selection
    from nixenv.root import Root as Root
    from nixenv.root import find_named_root as find_named_root
    from nixenv.root import find_program_root as find_program_root
    from nixenv.shells import SHELLS as SHELLS
    from nixenv.shells import render as render
    from nixenv.snapshot import Snapshot as Snapshot
    from nixenv.snapshot import dump_snapshot as dump_snapshot
    from nixenv.snapshot import load_snapshot as load_snapshot
    from nixenv.snapshot import parse_snapshot as parse_snapshot
    from nixenv.storepath import DEFAULT_STORE_DIR as DEFAULT_STORE_DIR
    from nixenv.storepath import StorePath as StorePath
    from nixenv.storepath import parse_store_path as parse_store_path
    from nixenv.storepath import store_name as store_name
    from nixenv.subject import Subject as Subject
    from nixenv.subject import describe_subject as describe_subject
    from nixenv.toolkit_files import ToolkitFiles as ToolkitFiles
    from nixenv.toolkit_files import probe_toolkit_files as probe_toolkit_files
    from nixenv.why import Presence as Presence
    from nixenv.why import explain_presence as explain_presence

__version__ = "0.1.0"

_PUBLIC = {
    "closure": ("Closure", "query_closure"),
    "comparison": ("Comparison", "Inspected", "compare"),
    "contents": ("Contents",),
    "cuda": ("CudaToolkit",),
    "distributions": ("Distribution", "SiteListing", "probe_distributions"),
    "environment": (
        "Default",
        "Environment",
        "MakeDirectory",
        "Operation",
        "Prepend",
        "Set",
        "Unset",
        "plan_environment",
        "resolve",
    ),
    "errors": ("NixenvError",),
    "examination": ("Examination", "Survey", "examine", "survey"),
    "findings": ("Finding", "Severity"),
    "graph": ("Graph", "query_graph"),
    "inventory": ("Inventory", "classify"),
    "machine": ("Machine", "probe_machine"),
    "places": ("find_cache_dir", "find_store_dir"),
    "probe": ("Probe", "StoreObject", "probe_closure", "require_complete"),
    "profile": ("Profile", "load_profile", "parse_profile"),
    "python": ("Interpreter", "SitePackages"),
    "report": ("Report", "Verdict", "to_document"),
    "road": ("Export", "Selection"),
    "root": ("Root", "find_named_root", "find_program_root"),
    "shells": ("SHELLS", "render"),
    "snapshot": ("Snapshot", "dump_snapshot", "load_snapshot", "parse_snapshot"),
    "storepath": ("DEFAULT_STORE_DIR", "StorePath", "parse_store_path", "store_name"),
    "subject": ("Subject", "describe_subject"),
    "toolkit_files": ("ToolkitFiles", "probe_toolkit_files"),
    "why": ("Presence", "explain_presence"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nixenv' has no attribute {name!r}")
    value: object = getattr(import_module(f"nixenv.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
