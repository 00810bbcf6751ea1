"""What is wrong with the program's Python: its interpreter, its modules, what leaks in. Pure."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen
from packaging.utils import canonicalize_name

from nixenv.evidence.distributions import Distribution, SiteListing, match_extension
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.requirements import check_requirements
from nixenv.inspect.diagnosis.site_path import Installed, Site, group_by_project, order_sites
from nixenv.road.choice import Reason, because
from nixenv.road.classify import Inventory
from nixenv.road.probe import Probe
from nixenv.road.python import Interpreter, Part, find_library_version
from nixenv.storepath import store_name

_TAKE_LINKED = "take layout linked: `NIXENV_LAYOUT=linked flox activate`, or `--layout linked`"

# What Python starts with and no program imports.
_START_MODULES = frozenset({"sitecustomize", "usercustomize"})

# What badly packaged distributions put beside their modules, and no program imports. (nixpkgs
# removes `tests`.)
_NOBODYS_MODULES = frozenset(
    {
        *("tests", "test", "testing", "conftest", "docs", "doc", "examples", "example"),
        *("benchmarks", "benchmark", "samples", "scripts", "setup"),
    }
)

# Those of setuptools, which does the same when it is imported; of its namespace packages, which
# Python 3 does without; of coverage, which waits for a variable.
_HARMLESS_PATH_FILE = re.compile(
    r"distutils-precedence\.pth|.*-nspkg\.pth|a1_coverage\.pth|.*_coverage\.pth|pytest-cov\.pth",
    re.DOTALL,
)

# A wheel's tag: cp310-abi3-manylinux2014_x86_64; a part may be several, with dots between.
_TAG = re.compile(r"(?P<pythons>[\w.]+)-(?P<abis>[\w.]+)-[\w.]+")

# So many files of one kind are proof enough.
_SHOWN = 5


def check_python(
    inventory: Inventory,
    sites: Sequence[SiteListing],
    variables: Mapping[str, str | None],
    architecture: str,
) -> Iterator[Finding]:
    """Judge the interpreter and the modules.

    Args:
        inventory: What was chosen from the closure.
        sites: What the site-packages directories hold.
        variables: The variables as they would be set; None for unset. Layout ``linked`` sets
            VIRTUAL_ENV.
        architecture: ``x86_64``, as ``uname -m``.
    """
    interpreter = inventory.interpreter
    if interpreter is None:
        return  # which the profile does not require
    path = order_sites(inventory, sites)
    projects = group_by_project(path)
    yield from _check_modules(inventory, interpreter, sites, path)
    yield from _check_interpreters(interpreter)
    yield from _check_extensions(interpreter, path, architecture)
    yield from check_requirements(projects, interpreter, architecture)
    if not variables.get("VIRTUAL_ENV"):  # a virtual environment merges, and processes .pth files
        yield from _check_hidden_modules(path)
        yield from _check_standard_modules(path)
        yield from _check_path_files(interpreter, path)
        yield from _check_versions(projects)


def _check_modules(
    inventory: Inventory,
    interpreter: Interpreter,
    sites: Sequence[SiteListing],
    path: Sequence[Site],
) -> Iterator[Finding]:
    listed = [part for part in inventory.site_packages if part.part is Part.SITE]
    if len(path) < len(listed) or any(map(_holds_modules, path)):
        return
    version = interpreter.version
    others = sorted(
        {
            found
            for listing in sites
            if (found := find_library_version(listing.directory))
            and found != version
            and listing.distributions
        },
        key=lambda other: tuple(map(int, other.rstrip("t").split("."))),
    )
    yield Code.PYTHON_NO_MODULES.found(
        f"no modules for Python {version} in the closure",
        tuple(site.directory for site in path),
        f"take the version that has some: `--python {others[-1]}`"
        if others
        else "name the program that you mean: `nixenv inspect PROGRAM`",
    )


def _holds_modules(site: Site) -> bool:
    listing = site.listing
    modules = {*listing.packages, *listing.extended, *listing.namespaces}
    return bool(listing.distributions or modules - _START_MODULES)


def check_launcher(probe: Probe) -> Iterator[Finding]:
    """Tell where the program's launcher could not be followed."""
    launcher = probe.launcher
    if launcher is not None and launcher.note is not None:
        yield Code.PYTHON_LAUNCHER_UNREAD.found(
            f"the program's launcher could not be followed to its end: {launcher.note}",
            tuple(f"{step.kind}: {step.file}" for step in launcher.steps),
            "compare the modules that `nixenv inspect` lists with what the program imports",
        )


def _check_interpreters(chosen: Interpreter) -> Iterator[Finding]:
    if chosen.others and Reason.ASKED_FOR not in chosen.reasons:
        yield Code.PYTHON_SEVERAL_INTERPRETERS.found(
            f"several interpreters in the closure; took {chosen.path}, because "
            f"{because(chosen.reasons)}",
            chosen.others,
            f'settle it: `--python {chosen.version}`, or `version = "{chosen.version}"` under '
            "[python] in nixenv.toml",
        )


# Extension modules ---------------------------------------------------------------------------


def _check_extensions(
    interpreter: Interpreter, path: Sequence[Site], architecture: str
) -> Iterator[Finding]:
    tags = _loadable_tags(interpreter)
    judged: set[tuple[str, ...]] = set()
    for site in path:
        told = {found.name: found for found in site.listing.distributions}
        for owner, extensions in _group_by_owner(site).items() if site.own else ():
            # An environment has what its distributions have.
            wrong = {} if extensions in judged else _find_wrong(extensions, tags, architecture)
            judged.add(extensions)
            distribution = told.get(owner)
            others = distribution.untagged if distribution else 0
            can_load = bool(others) or len(wrong) < len(_tagged(extensions))
            if not wrong or (can_load and _is_made_for(distribution, interpreter.version)):
                continue
            built_for = ", ".join(sorted(set(wrong.values())))
            yield Code.PYTHON_EXTENSION_ABI.found(
                f"{owner} has {len(wrong)} extension module{'s' * (len(wrong) > 1)} built for "
                f"{built_for}; Python {interpreter.version} does not find them",
                _some([f"{site.directory}/{file}" for file in wrong]),
                f"build {owner} with Python {interpreter.version}: take it from "
                f"`python{interpreter.version.replace('.', '')}Packages`",
                severity=Severity.WARNING if can_load else Severity.ERROR,
            )


def _is_made_for(distribution: Distribution | None, version: str) -> bool:
    """Whether its wheel's own tags say that it is for this Python (PEP 425)."""
    tags = distribution.tags if distribution else ()
    return any(_fits(tag, version) for tag in tags)


def _fits(tag: str, version: str) -> bool:
    match = _TAG.fullmatch(tag)
    if match is None:
        return False
    major, minor = map(int, version.rstrip("t").split("."))
    pythons = match["pythons"].split(".")
    exact = f"cp{major}{minor}"
    if f"{exact}t" in match["abis"].split(".") or exact in match["abis"].split("."):
        return (exact + "t" * version.endswith("t")) in match["abis"].split(".")
    if "abi3" in match["abis"].split("."):
        earlier = {f"cp{major}{other}" for other in range(2, minor + 1)}
        return not version.endswith("t") and not earlier.isdisjoint(pythons)
    return "none" in match["abis"].split(".") and not {f"py{major}", exact}.isdisjoint(pythons)


def _loadable_tags(interpreter: Interpreter) -> frozenset[str]:
    tag = f"cpython-{interpreter.version.replace('.', '')}"
    # A debug build loads what was built for a release (Python 3.8, "What's New").
    is_debug = store_name(interpreter.path).endswith("-debug")
    return frozenset({tag, f"{tag}d"} if is_debug else {tag})


def _group_by_owner(site: Site) -> dict[str, tuple[str, ...]]:
    """Give the extension modules by the distribution whose they are, else by their own name."""
    owners = {
        module: found.name for found in site.listing.distributions for module in found.modules
    }
    groups: dict[str, tuple[str, ...]] = {}
    for file in site.listing.extensions:
        module = re.split(r"[./]", file, maxsplit=1)[0]
        owner = owners.get(module, module)
        groups[owner] = (*groups.get(owner, ()), file)
    return groups


def _tagged(files: Sequence[str]) -> dict[str, "re.Match[str]"]:
    return {file: match for file in files if (match := match_extension(file))}


def _find_wrong(files: Sequence[str], tags: frozenset[str], architecture: str) -> dict[str, str]:
    """Map the files that cannot be loaded to what they were built for.

    A module that is there in another form as well (``.abi3.so``, ``.py``) is found all the same.
    """
    tagged = _tagged(files)
    here = f"{architecture}-linux"
    fit = {
        file
        for file, match in tagged.items()
        if match["tag"] in tags and match["platform"].startswith(here)
    }
    found = {tagged[file]["module"] for file in fit}
    found |= {re.sub(r"(?:\.abi3)?\.(?:so|py)$", "", file) for file in files if file not in tagged}
    return {
        file: match["tag"] if match["tag"] not in tags else f"{match['tag']}-{match['platform']}"
        for file, match in tagged.items()
        if match["module"] not in found
    }


def _some(paths: Sequence[str]) -> tuple[str, ...]:
    if len(paths) <= _SHOWN:
        return tuple(paths)
    return (*paths[:_SHOWN], f"and {len(paths) - _SHOWN} more")


# What PYTHONPATH does ------------------------------------------------------------------------


@frozen
class _Provider:
    """A directory with something of a name, and the distributions whose it is there."""

    site: Site
    name: str
    owners: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.owners)}  {self.site.directory}/{self.name}"


def _check_hidden_modules(path: Sequence[Site]) -> Iterator[Finding]:
    for name, providers in _find_providers(path).items():
        if len(providers) < 2 or name in _NOBODYS_MODULES:
            continue
        # PEP 420: what has an __init__ goes before all that has not, wherever on the path.
        winner = next((found for found in providers if _has_init(found)), None)
        if winner is None or name in winner.site.listing.extended:
            continue
        hidden = [found for found in providers if _is_hidden_by(winner, found)]
        if any(found.site.own for found in hidden):
            yield Code.PYTHON_MODULE_TWICE.found(
                f"the module {name} is of {1 + len(hidden)} distributions; with PYTHONPATH, that "
                f"of {', '.join(winner.owners)} hides the others",
                (str(winner), *map(str, hidden)),
                f"{_TAKE_LINKED}; it merges them",
            )


def _find_providers(path: Sequence[Site]) -> dict[str, list[_Provider]]:
    """Find who has each top-level module, as far as that is known, in the order of the path."""
    providers: dict[str, list[_Provider]] = {}
    for site in path:
        owners: dict[str, list[str]] = {}
        for found in site.listing.distributions:
            for module in found.modules:
                owners.setdefault(module, []).append(found.name)
        for name, names in owners.items():
            providers.setdefault(name, []).append(_Provider(site, name, tuple(names)))
    return providers


def _has_init(found: _Provider) -> bool:
    return found.name not in found.site.listing.namespaces


def _is_hidden_by(winner: _Provider, found: _Provider) -> bool:
    """Whether it is something else; another version of the same distribution is told elsewhere."""
    owners = set(map(canonicalize_name, found.owners))
    return found is not winner and owners.isdisjoint(map(canonicalize_name, winner.owners))


def _check_standard_modules(path: Sequence[Site]) -> Iterator[Finding]:
    """See what PYTHONPATH puts before the standard library."""
    found = {
        f"{site.directory}/{name}": name
        for site in path
        for name in (*site.listing.packages, *site.listing.extended)
        if name in sys.stdlib_module_names
    }
    if found:
        names = ", ".join(dict.fromkeys(found.values()))
        yield Code.PYTHON_STANDARD_MODULE.found(
            f"PYTHONPATH comes before the standard library, and has modules of its names: {names}",
            tuple(found),
            f"{_TAKE_LINKED}; there the standard library comes first",
        )


def _check_path_files(interpreter: Interpreter, path: Sequence[Site]) -> Iterator[Finding]:
    # An environment's interpreter processes what is in its own site-packages.
    home = f"{interpreter.path}/lib/python{interpreter.version}/site-packages"
    processed = {
        name for site in path if site.directory == home for name in site.listing.path_files
    }
    found = tuple(
        f"{site.directory}/{name}"
        for site in path
        if site.own
        for name in site.listing.path_files
        if name not in processed and not _HARMLESS_PATH_FILE.fullmatch(name)
    )
    if found:
        yield Code.PYTHON_PATH_FILE_IGNORED.found(
            "PYTHONPATH does not run the code in .pth files: what it does is not done",
            found,
            f"{_TAKE_LINKED}; it runs it",
        )


def _check_versions(projects: Mapping[str, Sequence[Installed]]) -> Iterator[Finding]:
    for name, found in projects.items():
        known = [one for one in found if one.distribution.version != "?"]
        if len({one.distribution.version for one in known}) < 2:
            continue
        winner = found[0]
        is_only_own = winner.site.own and not any(one.site.own for one in found[1:])
        why = "it alone is the program's own" if is_only_own else "its directory comes first"
        yield Code.PYTHON_SEVERAL_VERSIONS.found(
            f"{name} is there in several versions; {winner.distribution.version} wins: {why}",
            tuple(f"{one.distribution.version}  {one.site.directory}" for one in found),
            f"{_TAKE_LINKED}; it leaves the others out",
        )
