"""Whether what the distributions require is there, as their own metadata has it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixenv.findings import Code, Finding
from nixenv.inspect.diagnosis.site_path import Installed
from nixenv.road.python import Interpreter, find_full_version

# Four lines of five are for extras, and parsing costs 50 microseconds a line.
_FOR_AN_EXTRA = re.compile(r"[^;]*;(?!.*\bor\b).*\bextra\s*==.*", re.DOTALL)

_LONGEST = 1_000


@frozen
class _Unmet:
    """A requirement that is not met.

    Attributes:
        text: What is required: ``torch==2.9.1``.
        name: The project's name.
        found: What is there instead; None when there is nothing of the name.
    """

    text: str
    name: str
    found: Installed | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.text}: not in the closure"
        return f"{self.text}: there is {self.found.title}  {self.found.site.directory}"


def check_requirements(
    projects: Mapping[str, Sequence[Installed]], interpreter: Interpreter, architecture: str
) -> Iterator[Finding]:
    """Judge the distributions that the program itself uses, without their extras.

    Args:
        projects: The distributions by normalised name; of several, the first one wins.
        interpreter: The one that evaluates the environment markers.
        architecture: That of the machine, ``x86_64``.
    """
    markers = _marker_environment(interpreter, architecture)
    winners = {name: found[0] for name, found in projects.items()}
    for installed in winners.values():
        if not installed.site.own:
            continue
        unmet = tuple(_find_unmet(installed, winners, markers))
        if unmet:
            wanted = ", ".join(one.text for one in unmet)
            yield Code.PYTHON_REQUIREMENT_UNMET.found(
                f"{installed.title} requires what is not there: {wanted}",
                (installed.site.directory, *map(str, unmet)),
                _remedy(installed, unmet, wanted, interpreter),
            )


def _remedy(
    installed: Installed, unmet: Sequence[_Unmet], wanted: str, interpreter: Interpreter
) -> str:
    # A package's own site-packages has one distribution; several are in an environment.
    missing = [canonicalize_name(one.name) for one in unmet if one.found is None]
    if len(installed.site.listing.distributions) > 1 and missing:
        packages = f"python{interpreter.version.replace('.', '')}Packages"
        words = " ".join(f"{packages}.{one}" for one in missing)
        return f"have it in the environment: `flox install {words}`, or in the list of withPackages"
    return (
        f"in the Nix expression of {installed.distribution.name}, have in `dependencies`: {wanted}"
    )


def _find_unmet(
    installed: Installed, winners: Mapping[str, Installed], markers: dict[str, str]
) -> Iterator[_Unmet]:
    for line in dict.fromkeys(installed.distribution.requires):
        requirement = _parse(line, markers)
        if requirement is None:
            continue
        found = winners.get(canonicalize_name(requirement.name))
        if found is None or not _is_met(requirement, found.distribution.version):
            text = f"{requirement.name}{requirement.specifier}"
            yield _Unmet(text, requirement.name, found)


def _parse(line: str, markers: dict[str, str]) -> Requirement | None:
    """Parse a requirement; None when it does not apply, or cannot be understood."""
    if len(line) > _LONGEST or _FOR_AN_EXTRA.fullmatch(line):
        return None
    try:
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate(markers)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None  # a line that is none, or a marker that compares what cannot be compared
    return requirement if applies else None


def _is_met(requirement: Requirement, version: str) -> bool:
    """Whether a version will do: also one before a release, as in nixpkgs, and one of no order."""
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except ValueError:  # InvalidVersion, or more digits than Python reads
        return True


def _marker_environment(interpreter: Interpreter, architecture: str) -> dict[str, str]:
    """Give the values of PEP 508's variables in the closure's interpreter, no extra being asked."""
    release = interpreter.version.rstrip("t")
    version = find_full_version(interpreter.base or interpreter.path) or f"{release}.0"
    return {
        "implementation_name": "cpython",
        "implementation_version": version,
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": version,
        "python_version": release,
        "sys_platform": "linux",
        "extra": "",
    }
