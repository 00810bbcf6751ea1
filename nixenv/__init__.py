"""nixenv: the Python and CUDA environment of a program in a Nix store.

One road, five stations, each a function over plain values::

    query ──► probe ──► classify ──► plan ──► render

Public names resolve when they are first used, so that ``import nixenv`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixenv.errors import NixenvError as NixenvError
    from nixenv.evidence.contents import Contents as Contents
    from nixenv.evidence.distributions import Distribution as Distribution
    from nixenv.evidence.distributions import SiteListing as SiteListing
    from nixenv.evidence.distributions import probe_distributions as probe_distributions
    from nixenv.evidence.graph import Graph as Graph
    from nixenv.evidence.graph import query_graph as query_graph
    from nixenv.evidence.machine import Machine as Machine
    from nixenv.evidence.machine import probe_machine as probe_machine
    from nixenv.evidence.toolkit_files import ToolkitFiles as ToolkitFiles
    from nixenv.evidence.toolkit_files import probe_toolkit_files as probe_toolkit_files
    from nixenv.findings import Finding as Finding
    from nixenv.findings import Severity as Severity
    from nixenv.inspect.comparison import Comparison as Comparison
    from nixenv.inspect.comparison import Inspected as Inspected
    from nixenv.inspect.comparison import compare as compare
    from nixenv.inspect.examination import Examination as Examination
    from nixenv.inspect.examination import examine as examine
    from nixenv.inspect.report import Report as Report
    from nixenv.inspect.report import Verdict as Verdict
    from nixenv.inspect.report import to_document as to_document
    from nixenv.inspect.subject import Subject as Subject
    from nixenv.inspect.subject import describe_subject as describe_subject
    from nixenv.inspect.survey import Survey as Survey
    from nixenv.inspect.survey import look as look
    from nixenv.inspect.why import Presence as Presence
    from nixenv.inspect.why import explain_presence as explain_presence
    from nixenv.places import find_cache_dir as find_cache_dir
    from nixenv.places import find_store_dir as find_store_dir
    from nixenv.request import Prepared as Prepared
    from nixenv.request import Selection as Selection
    from nixenv.road.classify import Inventory as Inventory
    from nixenv.road.classify import classify as classify
    from nixenv.road.cuda import CudaToolkit as CudaToolkit
    from nixenv.road.plan import Default as Default
    from nixenv.road.plan import Environment as Environment
    from nixenv.road.plan import MakeDirectory as MakeDirectory
    from nixenv.road.plan import Operation as Operation
    from nixenv.road.plan import Prepend as Prepend
    from nixenv.road.plan import Set as Set
    from nixenv.road.plan import Unset as Unset
    from nixenv.road.plan import plan_environment as plan_environment
    from nixenv.road.plan import resolve as resolve
    from nixenv.road.probe import Probe as Probe
    from nixenv.road.probe import StoreObject as StoreObject
    from nixenv.road.probe import probe_closure as probe_closure
    from nixenv.road.probe import require_complete as require_complete
    from nixenv.road.profile import Profile as Profile
    from nixenv.road.profile import load_profile as load_profile
    from nixenv.road.profile import parse_profile as parse_profile
    from nixenv.road.python import Interpreter as Interpreter
    from nixenv.road.python import SitePackages as SitePackages
    from nixenv.road.query import Closure as Closure
    from nixenv.road.query import query_closure as query_closure
    from nixenv.road.root import Root as Root
    from nixenv.road.root import find_named_root as find_named_root
    from nixenv.road.root import find_program_root as find_program_root
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

__version__ = "0.1.0"

_PUBLIC = {
    "road.query": ("Closure", "query_closure"),
    "inspect.comparison": ("Comparison", "Inspected", "compare"),
    "evidence.contents": ("Contents",),
    "road.cuda": ("CudaToolkit",),
    "evidence.distributions": ("Distribution", "SiteListing", "probe_distributions"),
    "road.plan": (
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
    "inspect.examination": ("Examination", "examine"),
    "findings": ("Finding", "Severity"),
    "evidence.graph": ("Graph", "query_graph"),
    "road.classify": ("Inventory", "classify"),
    "evidence.machine": ("Machine", "probe_machine"),
    "places": ("find_cache_dir", "find_store_dir"),
    "road.probe": ("Probe", "StoreObject", "probe_closure", "require_complete"),
    "road.profile": ("Profile", "load_profile", "parse_profile"),
    "road.python": ("Interpreter", "SitePackages"),
    "inspect.report": ("Report", "Verdict", "to_document"),
    "request": ("Prepared", "Selection"),
    "road.root": ("Root", "find_named_root", "find_program_root"),
    "shells": ("SHELLS", "render"),
    "snapshot": ("Snapshot", "dump_snapshot", "load_snapshot", "parse_snapshot"),
    "storepath": ("DEFAULT_STORE_DIR", "StorePath", "parse_store_path", "store_name"),
    "inspect.subject": ("Subject", "describe_subject"),
    "inspect.survey": ("Survey", "look"),
    "evidence.toolkit_files": ("ToolkitFiles", "probe_toolkit_files"),
    "inspect.why": ("Presence", "explain_presence"),
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
