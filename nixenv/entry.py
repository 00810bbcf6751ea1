"""Where the console scripts begin: out of reach of the environment that they serve.

An activated environment has PYTHONPATH set, for the closure's interpreter. A console script of
another interpreter would take its own libraries from there, of another version or for another ABI;
an empty entry of it is the current directory, which may be anybody's. So the script starts itself
again, isolated, before it has imported anything that could come from there. The hook starts it
clean in the first place: with PYTHONHOME set there is no interpreter to start anything.

Text is UTF-8, whatever the locale: what a profile, a snapshot or a store object says may be beyond
ISO 8859-1 or ASCII, and has to be the same in another locale.
"""

import gc
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

# What tells an interpreter where its modules are, or where their compiled code is.
_LEADING_AWAY = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX")

# How the hook names what the variables of Python were; it leaves others in their place.
_OUTER = "__NIXENV_OUTER_"
_PYTHONS = ("PYTHON", "NIX_PYTHON")


def nixenv() -> "NoReturn":
    """Run ``nixenv``."""
    # The hook's command goes another way, which is shorter by all of click.
    if sys.argv[1:2] == ["activate"]:
        if not _is_utf8():
            _start_again("nixenv")
        _restore()
        _become("nixenv.hook.activate")
    _run("nixenv", "nixenv.cli")


def sglang_resolve_model() -> "NoReturn":
    """Run ``sglang-resolve-model``."""
    _run("sglang_resolve_model", "nixenv.sglang.resolve")


def sglang_serve() -> "NoReturn":
    """Run ``sglang-serve``."""
    _run("sglang_serve", "nixenv.sglang.serve")


def _run(name: str, module: str) -> "NoReturn":
    is_led_away = any(map(os.environ.get, _LEADING_AWAY)) and not sys.flags.isolated
    if is_led_away or not _is_utf8():
        _start_again(name)
    _become(module)


def _is_utf8() -> bool:
    return sys.getfilesystemencoding() == "utf-8"


def _start_again(name: str) -> "NoReturn":
    # Wherever nixenv itself lies, such as below ~/.local or in a checkout: behind all else.
    ours = os.path.dirname(os.path.dirname(__file__))
    code = f"import sys; sys.path.append({ours!r}); from nixenv import entry; entry.{name}()"
    os.execv(sys.executable, [sys.executable, "-I", "-X", "utf8", "-c", code, *sys.argv[1:]])


def _become(module: str) -> "NoReturn":
    from importlib import import_module  # noqa: PLC0415 -- not before it is known whose it is

    # A program that lives for a tenth of a second frees nothing worth the search for it
    # (docs/architecture.md, "What makes a first activation quick").
    gc.disable()
    from nixenv.console import die_of_signals  # noqa: PLC0415 -- likewise

    die_of_signals(lambda: import_module(module).main())
    sys.exit(0)


def _restore() -> None:
    """Put Python's variables back as the user has them, for those who ask what they are."""
    for name in [name for name in os.environ if name.startswith(_PYTHONS)]:
        del os.environ[name]
    for name in [name for name in os.environ if name.startswith(_OUTER)]:
        os.environ[name.removeprefix(_OUTER)] = os.environ.pop(name)
