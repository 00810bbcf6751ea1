"""Where the console scripts begin: out of reach of the environment that they serve.

An activated environment has PYTHONPATH set, for the closure's interpreter. A console script of
another interpreter would take its own libraries from there, of another version or for another ABI.
"""

import gc
import os
import sys
from importlib import import_module
from typing import NoReturn


def nixenv() -> NoReturn:
    """Run ``nixenv``."""
    # The hook's command goes another way, which is shorter by all of click.
    activates = sys.argv[1:2] == ["activate"]
    _run("nixenv", "nixenv.hook.activate" if activates else "nixenv.cli")


def sglang_resolve_model() -> NoReturn:
    """Run ``sglang-resolve-model``."""
    _run("sglang_resolve_model", "nixenv.sglang.resolve")


def sglang_serve() -> NoReturn:
    """Run ``sglang-serve``."""
    _run("sglang_serve", "nixenv.sglang.serve")


def _run(name: str, module: str) -> NoReturn:
    # A program that lives for a tenth of a second frees nothing worth the search for it
    # (docs/architecture.md, "What makes a first activation quick").
    gc.disable()
    ours = os.path.dirname(os.path.dirname(__file__))
    search_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # A developer may run nixenv itself from there.
    if any(search_path) and ours not in search_path and not sys.flags.ignore_environment:
        # -E: without PYTHONPATH; -P: and without the current directory in its place.
        code = f"from nixenv import entry; entry.{name}()"
        os.execv(sys.executable, [sys.executable, "-E", "-P", "-c", code, *sys.argv[1:]])
    from nixenv.console import die_of_signals  # noqa: PLC0415 -- not before the above

    die_of_signals(lambda: import_module(module).main())
    sys.exit(0)
