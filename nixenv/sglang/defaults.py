"""What the SGLANG_* variables mean while they are unset or empty: what the profile says."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from nixenv.road.profile import load_profile


@cache
def read_defaults() -> Mapping[str, str]:
    """Give the defaults of nixenv's profile ``sglang``, by the names of the variables.

    The hook sets them; without an activation the programs know them, too.
    """
    defaults = load_profile("sglang").defaults
    return MappingProxyType({name: defaults[name] for name in defaults if "SGLANG_" in name})


def value_of(name: str, environ: Mapping[str, str]) -> str:
    """Give the value of a variable that has a default."""
    return environ.get(name) or read_defaults()[name]
