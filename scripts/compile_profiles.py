"""Write nixenv/road/built_in.py: `make profiles`, after a change in nixenv/profiles."""

import sys
import tomllib
from pathlib import Path
from pprint import pformat
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixenv.road.profile import Profile

ROOT = Path(__file__).parents[1]
FILES = ROOT / "nixenv/profiles"
COMPILED = ROOT / "nixenv/road/built_in.py"

_HEAD = '''\
"""The built-in profiles: what the files in nixenv/profiles come to. `make profiles` writes it.

To read TOML would cost each first activation milliseconds (docs/architecture.md, "What makes a
first activation quick").
"""

from collections.abc import Mapping

# ruff: noqa: S104 -- a server's default
# fmt: off
'''


def compile_profiles() -> str:
    """Write of each profile what sets it apart from an empty one."""
    profiles = [_read(file.stem) for file in sorted(FILES.glob("*.toml"))]
    settings = {profile.name: _tell(profile) for profile in profiles}
    told = pformat(settings, width=99, sort_dicts=False)
    return f"{_HEAD}SETTINGS: Mapping[str, Mapping[str, object]] = {told}\n"


def _read(name: str) -> "Profile":
    """Read a profile, and what it extends: from the files, where what is compiled may be older."""
    from nixenv.road.profile import parse_profile  # noqa: PLC0415 -- see below

    document = tomllib.loads((FILES / f"{name}.toml").read_text())
    base = _read(document.pop("extends")) if "extends" in document else None
    return parse_profile(document, name, base)


def _tell(profile: "Profile") -> dict[str, object]:
    empty = type(profile)(profile.name)
    return {key: value for key, value in profile._asdict().items() if value != getattr(empty, key)}


if __name__ == "__main__":
    # What is compiled may be of an older schema, or broken: nothing of it is needed.
    older = ModuleType("nixenv.road.built_in")
    older.SETTINGS = {}  # type: ignore[attr-defined]
    sys.modules[older.__name__] = older
    COMPILED.write_text(compile_profiles())
