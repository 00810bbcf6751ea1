"""nixenv: the Python and CUDA environment of a program in a Nix store.

One road, five stations, each a function over plain values::

    query ──► probe ──► classify ──► plan ──► render

docs/library.md has the public names, each with what it is for. They resolve when they are first
used, so that ``import nixenv`` costs next to nothing.
"""

# Not from typing: until nixenv.entry knows whose modules are found, none is imported.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from nixenv.errors import NixenvError as NixenvError
    from nixenv.findings import Finding as Finding
    from nixenv.inspect.examination import examine as examine
    from nixenv.places import find_store_dir as find_store_dir
    from nixenv.process import Patience as Patience
    from nixenv.request import Prepared as Prepared
    from nixenv.request import Selection as Selection
    from nixenv.request import export as export
    from nixenv.request import prepare as prepare
    from nixenv.road.classify import classify as classify
    from nixenv.road.plan import Append as Append
    from nixenv.road.plan import Default as Default
    from nixenv.road.plan import Environment as Environment
    from nixenv.road.plan import MakeDirectory as MakeDirectory
    from nixenv.road.plan import Prepend as Prepend
    from nixenv.road.plan import Remove as Remove
    from nixenv.road.plan import Set as Set
    from nixenv.road.plan import Unset as Unset
    from nixenv.road.plan import plan_environment as plan_environment
    from nixenv.road.plan import resolve as resolve
    from nixenv.road.probe import probe_closure as probe_closure
    from nixenv.road.probe import require_complete as require_complete
    from nixenv.road.profile import load_profile as load_profile
    from nixenv.road.query import query_closure as query_closure
    from nixenv.road.root import find_program_root as find_program_root
    from nixenv.shells import render as render

__version__ = "0.1.0"

_HOME = {
    "Append": "road.plan",
    "Default": "road.plan",
    "Environment": "road.plan",
    "Finding": "findings",
    "MakeDirectory": "road.plan",
    "NixenvError": "errors",
    "Patience": "process",
    "Prepared": "request",
    "Prepend": "road.plan",
    "Selection": "request",
    "Remove": "road.plan",
    "Set": "road.plan",
    "Unset": "road.plan",
    "classify": "road.classify",
    "examine": "inspect.examination",
    "export": "request",
    "find_program_root": "road.root",
    "find_store_dir": "places",
    "load_profile": "road.profile",
    "plan_environment": "road.plan",
    "prepare": "request",
    "probe_closure": "road.probe",
    "query_closure": "road.query",
    "render": "shells",
    "require_complete": "road.probe",
    "resolve": "road.plan",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nixenv' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 -- as above

    value: object = getattr(import_module(f"nixenv.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
