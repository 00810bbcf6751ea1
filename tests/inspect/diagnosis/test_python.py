"""What is said of Python: each finding, each remedy followed, and what the real Python does."""

import importlib.machinery
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import default_environment

from fixtures.closure import SglangClosure
from nixenv import classify, plan_environment, probe_closure, query_closure, resolve
from nixenv.evidence.distributions import Distribution, SiteListing, probe_distributions
from nixenv.evidence.machine import Machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.python import check_launcher, check_python
from nixenv.inspect.diagnosis.python_shell import check_shell
from nixenv.road.choice import Reason
from nixenv.road.classify import Inventory
from nixenv.road.farms import place_farms
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.profile import Profile
from nixenv.road.python import Interpreter, SitePackages
from nixenv.road.query import Closure
from nixenv.storepath import StorePath
from tests.closures import (
    closure_of,
    interpreter,
    launcher,
    module,
    probe_of,
    site_packages,
    store_path,
)
from tests.inspect.diagnosis.remedies import command_in

PYTHON = Interpreter(store_path("python3-3.12.12"), "3.12", (Reason.ONLY_VERSION,), ())
LINKED = {"PYTHONPATH": None, "VIRTUAL_ENV": "/cache/linked/python3.12-1"}
ONE, TWO, THREE = "/one", "/two", "/three"


def distribution(name: str, version: str = "1.0", *requires: str) -> Distribution:
    return Distribution(name, version, requires, (name.replace("-", "_"),))


def site(directory: str, *found: Distribution, **more: tuple[str, ...]) -> SiteListing:
    modules = tuple(module for one in found for module in one.modules)
    return SiteListing(directory, found, **{"packages": modules, **more})


def inventory_of(
    sites: Sequence[SiteListing], own: Sequence[str] = (), python: Interpreter = PYTHON
) -> Inventory:
    parts = tuple(SitePackages(one.directory, own=one.directory in own) for one in sites)
    return Inventory(store_path("root"), python, parts, None, None, None)


def variables_of(sites: Sequence[SiteListing]) -> dict[str, str | None]:
    return {"PYTHONPATH": os.pathsep.join(one.directory for one in sites) or None}


def judge(
    inventory: Inventory,
    sites: Sequence[SiteListing],
    variables: Mapping[str, str | None],
    machine: Machine | None,
) -> list[Finding]:
    architecture = machine.architecture if machine else "x86_64"
    told = list(check_python(inventory, sites, variables, architecture))
    return told + (list(check_shell(inventory, variables, machine)) if machine else [])


def findings(
    *sites: SiteListing,
    own: Sequence[str] = (),
    python: Interpreter = PYTHON,
    variables: Mapping[str, str | None] | None = None,
    machine: Machine | None = None,
) -> list[Finding]:
    inventory = inventory_of(sites, own, python)
    given = variables_of(sites) if variables is None else variables
    return judge(inventory, sites, given, machine)


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    assert finding.summary
    assert finding.remedy
    return finding


CLEAN = (
    site(ONE, distribution("torch", "2.9.1", "numpy>=2", 'tomli; python_version < "3.11"')),
    site(
        TWO,
        distribution("numpy", "2.3.4"),
        extensions=("numpy/_core.cpython-312-x86_64-linux-gnu.so",),
    ),
    site(THREE, distribution("sglang", "0.5.9", "torch==2.9.1", "pytest; extra == 'test'")),
)


def test_a_clean_closure_has_no_findings() -> None:
    """Nothing to know is nothing said, in either layout, whatever is the program's own."""
    for variables in (None, LINKED):
        assert findings(*CLEAN, variables=variables) == []
        assert findings(*CLEAN, own=(ONE, THREE), variables=variables) == []


# The interpreter and its modules -----------------------------------------------------------------


def chosen(*objects: StoreObject, python: str | None = None) -> tuple[Inventory, Probe]:
    return classify(closure_of(*objects), probe_of(*objects), python=python), probe_of(*objects)


P312 = interpreter("python3-3.12.12", "3.12")
P314 = interpreter("python3-3.14.2", "3.14")


def test_several_interpreters_and_the_remedy() -> None:
    """Which was taken and why; asking for a version settles it."""
    objects = (P312, P314, module("python3.12-sglang-0.5.9", "3.12"))
    listings = (site(site_packages("python3.12-sglang-0.5.9"), distribution("sglang")),)
    inventory, _ = chosen(*objects)
    finding = only(judge(inventory, listings, {}, None))
    assert (finding.code, finding.severity) == ("python-several-interpreters", Severity.NOTE)
    assert f"took {P312.path}, because the root holds" in finding.summary
    assert finding.evidence == (P314.path,)
    (option,) = re.findall(r"`--python (\S+)`", finding.remedy)
    inventory, _ = chosen(*objects, python=option)
    assert judge(inventory, listings, {}, None) == []


def test_no_modules_and_the_remedy() -> None:
    """The interpreter's own directory holds none; the version that has some is named."""
    objects = (
        P312._replace(site_packages=("3.12",)),
        P314._replace(site_packages=("3.14",)),
        interpreter("python3-3.15.0", "3.15")._replace(site_packages=("3.15",)),
        module("python3.14-sglang-0.5.9", "3.14"),
        StoreObject(store_path("root")),
    )
    listings = (
        site(site_packages("python3-3.12.12"), packages=("sitecustomize",)),
        site(site_packages("python3-3.14.2", "3.14"), packages=("sitecustomize",)),
        site(site_packages("python3-3.15.0", "3.15"), packages=("sitecustomize",)),
        site(site_packages("python3.14-sglang-0.5.9", "3.14"), distribution("sglang")),
    )
    inventory, _ = chosen(*objects, python="3.12")
    finding = only(judge(inventory, listings, {}, None))
    assert (finding.code, finding.severity) == ("python-no-modules", Severity.WARNING)
    assert finding.evidence == (site_packages("python3-3.12.12"),)
    (option,) = re.findall(r"`--python (\S+)`", finding.remedy)
    inventory, _ = chosen(*objects, python=option)
    assert judge(inventory, listings, {}, None) == []


def test_no_modules_of_any_version() -> None:
    """Then it may be another program that is meant."""
    finding = only(findings())
    assert finding.code == "python-no-modules"
    assert "`nixenv inspect PROGRAM`" in finding.remedy


def test_modules_without_metadata_are_modules() -> None:
    """Bindings that CMake installed have no metadata."""
    assert findings(site(ONE, packages=("cv2",))) == []
    assert findings(site(ONE, namespaces=("acme",))) == []


# Versions, modules and .pth files ----------------------------------------------------------------


def test_a_distribution_in_several_versions() -> None:
    """Names are compared as PyPA normalises them; who wins, and why."""
    sites = (site(ONE, distribution("Ruamel.Yaml", "0.18")), site(TWO, distribution("ruamel-yaml")))
    finding = only(findings(*sites))
    assert (finding.code, finding.severity) == ("python-several-versions", Severity.NOTE)
    assert "ruamel-yaml is there in several versions; 0.18 wins: its dir" in finding.summary
    assert finding.evidence == ("0.18  /one", "1.0  /two")
    assert "the program's own" in only(findings(*sites, own=(ONE,))).summary
    assert findings(*sites, variables=LINKED) == []


def test_a_distribution_twice_in_one_version() -> None:
    """Nothing to know; nor where a version cannot be told."""
    assert findings(site(ONE, distribution("a")), site(TWO, distribution("a"))) == []
    assert findings(site(ONE, distribution("a")), site(TWO, distribution("a", "?"))) == []


def owned(directory: str, name: str, **kinds: tuple[str, ...]) -> SiteListing:
    return site(directory, Distribution(name, "1.0", (), ("nvidia",)), **kinds)


def test_a_module_of_several_distributions() -> None:
    """Who hides whom, and what merges them."""
    sites = (owned(ONE, "nvidia-cublas"), owned(TWO, "nvidia-cudnn"))
    finding = only(findings(*sites))
    assert (finding.code, finding.severity) == ("python-module-twice", Severity.WARNING)
    assert "nvidia is of 2 distributions" in finding.summary
    assert "that of nvidia-cublas hides the others" in finding.summary
    assert finding.evidence == ("nvidia-cublas  /one/nvidia", "nvidia-cudnn  /two/nvidia")
    assert "linked" in finding.remedy
    assert findings(*sites, variables=LINKED) == []


def test_modules_that_may_be_there_twice() -> None:
    """Of one distribution; of a directory that all share; tests; what the program does not use."""
    sites = (owned(ONE, "nvidia-cublas"), owned(TWO, "NVIDIA_cublas"))
    assert findings(*sites) == []
    shared = SiteListing(ONE, (distribution("a"), Distribution("b", "1", (), ("a",))))
    assert findings(shared) == []
    tests = (Distribution(name, "1", (), ("tests",)) for name in "ab")
    assert findings(*(site(place, one) for place, one in zip("12", tests, strict=True))) == []
    sites = (owned(ONE, "nvidia-cublas"), owned(TWO, "nvidia-cudnn"))
    assert findings(*sites, own=(ONE,)) == []


def test_the_rest_of_the_closure_may_hide_the_programs_own() -> None:
    """A namespace is hidden by a package wherever on the path."""
    sites = (
        owned(ONE, "nvidia-cutlass", packages=(), namespaces=("nvidia",)),
        owned(TWO, "nvidia-cublas"),
    )
    finding = only(findings(*sites, own=(ONE,)))
    assert finding.evidence == ("nvidia-cublas  /two/nvidia", "nvidia-cutlass  /one/nvidia")


KINDS = ("absent", "packages", "extended", "namespaces")
EXTEND = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
IMPORT_ALL = """\
import importlib, json, sys
found = {}
for combination, path in json.load(sys.stdin).items():
    found[combination] = []
    sys.path[:0] = path
    for directory in path:
        try:
            importlib.import_module("nvidia.of_" + directory.rpartition("/")[2])
        except ModuleNotFoundError:
            found[combination].append(directory)
    del sys.path[: len(path)]
    for name in [name for name in sys.modules if name.split(".")[0] == "nvidia"]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
json.dump(found, sys.stdout)
"""


def make_site(place: Path, kind: str) -> None:
    place.mkdir(parents=True)
    if kind != "absent":
        (place / "nvidia").mkdir()
        (place / f"nvidia/of_{place.name}.py").touch()
        (place / f"{place.name}-1.dist-info").mkdir()
    if kind in {"packages", "extended"}:
        (place / "nvidia/__init__.py").write_text(EXTEND if kind == "extended" else "")


def test_what_is_hidden_is_what_python_does_not_find(tmp_path: Path) -> None:
    """Every way in which three directories may hold a package, as the real Python sees them."""
    paths: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    for kinds in product(KINDS, repeat=3):
        combination = "-".join(kinds)
        sites = []
        for number, kind in enumerate(kinds):
            prefix = tmp_path / combination / f"site{number}"
            found = prefix / f"lib/python3.12/site-packages/site{number}"
            make_site(found, kind)
            # The look wants a store object; its site-packages are what was just made.
            target = prefix / "object/lib/python3.12"
            target.mkdir(parents=True)
            (target / "site-packages").symlink_to(found)
            note = StoreObject(StorePath(f"{prefix}/object"), site_packages=("3.12",))
            (listing,) = probe_distributions(Probe((note,)))
            sites.append(evolve(listing, directory=str(found)))
        paths[combination] = [listing.directory for listing in sites]
        hidden = [one for one in findings(*sites) if one.code == "python-module-twice"]
        evidence = [line.split("  ")[1] for one in hidden for line in one.evidence[1:]]
        told[combination] = sorted(line.removesuffix("/nvidia") for line in evidence)
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", IMPORT_ALL],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
    )
    for combination, lost in json.loads(done.stdout).items():
        there = [path for path in lost if (Path(path) / "nvidia").exists()]
        assert told[combination] == there, combination
    assert sum(map(bool, told.values())) > 10


def test_path_files_that_are_not_processed() -> None:
    """Of the program's own directories, by path; layout linked processes them."""
    sites = (
        site(ONE, distribution("a"), path_files=("a.pth",)),
        site(TWO, distribution("b"), path_files=("b.pth",)),
    )
    finding = only(findings(*sites, own=(ONE,)))
    assert (finding.code, finding.severity) == ("python-path-file-ignored", Severity.WARNING)
    assert finding.evidence == ("/one/a.pth",)
    assert "NIXENV_LAYOUT=linked" in finding.remedy
    assert findings(*sites, own=(ONE,), variables=LINKED) == []


def test_an_environments_interpreter_runs_its_path_files() -> None:
    """And those of what it is made of are the same ones."""
    home = f"{PYTHON.path}/lib/python3.12/site-packages"
    environment = site(home, distribution("a"), path_files=("a.pth",))
    made_of = site(TWO, distribution("a"), path_files=("a.pth",))
    assert findings(environment, made_of, own=(home, TWO)) == []
    other = site(TWO, distribution("b"), path_files=("b.pth",))
    found = only(findings(environment, other, own=(home, TWO)))
    assert found.evidence == (f"{TWO}/b.pth",)


def test_a_standard_modules_name() -> None:
    """In layout linked the standard library comes first."""
    typing = site(ONE, distribution("typing", "3.7"), packages=("typing",))
    found = only(findings(typing, own=(ONE,)))
    assert (found.code, found.severity) == ("python-standard-module", Severity.WARNING)
    assert found.evidence == (f"{ONE}/typing",)
    assert findings(typing, own=(ONE,), variables=LINKED) == []


def test_a_launcher_that_could_not_be_followed() -> None:
    """With the steps up to there; one that ends at a compiled program is whole."""
    launched = launcher("python3-3.12.12")._replace(note="x: this script decides by itself")
    found = only(list(check_launcher(probe_of(launched=launched))))
    assert (found.code, found.severity) == ("python-launcher-unread", Severity.NOTE)
    assert found.evidence[0].startswith("shell script: ")
    assert list(check_launcher(probe_of(launched=launcher("python3-3.12.12")))) == []
    assert list(check_launcher(probe_of())) == []


@pytest.mark.parametrize(
    "name", ["distutils-precedence.pth", "zope.interface-7.2-py3.12-nspkg.pth", "a1_coverage.pth"]
)
def test_path_files_that_nobody_misses(name: str) -> None:
    """Every closure with setuptools has one."""
    assert findings(site(ONE, distribution("a"), path_files=(name,))) == []


# Requirements ------------------------------------------------------------------------------------


def add(remedy: str) -> Iterator[Distribution]:
    """Build what the remedy says, each in a version that it allows."""
    for wanted in remedy.partition("`dependencies`: ")[2].split(", "):
        match = re.fullmatch(r"([\w.-]+?)(?:(?:==|>=|~=)(.+))?", wanted)
        assert match, wanted
        yield distribution(match[1], match[2] or "1.0")


@pytest.mark.parametrize(
    ("line", "evidence"),
    [
        ("decord2", "decord2: not in the closure"),
        ("torch==2.9.1", "torch==2.9.1: there is torch 2.8.0  /two"),
        ("Torch (>=2.9)", "Torch>=2.9: there is torch 2.8.0  /two"),
        ("torch~=2.9 ; python_version >= '3.12'", "torch~=2.9: there is torch 2.8.0  /two"),
        ("a; python_full_version == '3.12.12'", "a: not in the closure"),
        ("a; platform_machine == 'x86_64' and sys_platform == 'linux'", "a: not in the closure"),
        ("a[b]; extra == 'c' or implementation_name == 'cpython'", "a: not in the closure"),
        ("a @ https://example.org/a-1.0.tar.gz", "a: not in the closure"),
    ],
)
def test_a_requirement_that_is_not_met(line: str, evidence: str) -> None:
    """Missing, or of another version, for the closure's interpreter; and its remedy."""
    sites = (
        site(ONE, distribution("sglang", "0.5.9", line)),
        site(TWO, distribution("torch", "2.8.0")),
    )
    finding = only(findings(*sites))
    assert (finding.code, finding.severity) == ("python-requirement-unmet", Severity.WARNING)
    assert finding.summary.startswith("sglang 0.5.9 requires what is not there: ")
    assert finding.evidence == (ONE, evidence)
    assert "in the Nix expression of sglang" in finding.remedy
    added = tuple(add(finding.remedy))
    kept = () if added[0].name.lower() == "torch" else sites[1:]
    assert findings(sites[0], *kept, site(THREE, *added)) == []


@pytest.mark.parametrize(
    "line",
    [
        *("torch", "torch>=2.8", "Torch==2.8.*", "torch @ https://example.org/torch.whl"),
        *("a; extra == 'test'", "a; 'test' == extra", "a; (extra == 'b') and os_name == 'posix'"),
        *(
            "a; python_version < '3.12'",
            "a; sys_platform == 'win32'",
            "a; platform_system=='Darwin'",
        ),
        *("a; platform_machine == 'aarch64'", "a; implementation_name == 'pypy'"),
        *("", "]", "a b c", "a; nonsense == 'x'", "a; 'x' == 'y'", "a; python_version ~= 'x'"),
        *("a>=1." + "9" * 5_000, "a; " + "(" * 900, "a" * 2_000),
    ],
)
def test_a_requirement_that_is_met_or_does_not_apply(line: str) -> None:
    """Also what cannot be understood is passed over."""
    sites = (site(ONE, distribution("b", "1", line)), site(TWO, distribution("torch", "2.8.0")))
    assert findings(*sites) == []


def test_requirements_are_for_the_machine() -> None:
    """Its architecture, where it is known."""
    sites = (site(ONE, distribution("b", "1", "a; platform_machine == 'aarch64'")),)
    assert only(findings(*sites, machine=Machine("aarch64"))).code == "python-requirement-unmet"


def test_versions_that_satisfy() -> None:
    """One before a release, a local one, and one that has no order are taken, as by nixpkgs."""
    for version in ("2.9.1rc1", "2.9.1+cu128", "unstable-2025-01-01", "?"):
        wanted = "torch>=2.9.0,!=2.9.2"
        sites = (
            site(ONE, distribution("b", "1", wanted)),
            site(TWO, distribution("torch", version)),
        )
        assert findings(*sites) == []


def test_what_an_environment_lacks_is_installed_into_it() -> None:
    """It has many distributions in one directory; a package has one."""
    both = site(ONE, distribution("a", "1", "Some.Thing>=2"), distribution("b", "1", "a>=2"))
    missing, other = findings(both, own=(ONE,))
    assert "`flox install python312Packages.some-thing`" in missing.remedy
    assert other.remedy == "in the Nix expression of b, have in `dependencies`: a>=2"


def test_one_finding_for_all_that_one_distribution_misses() -> None:
    """Only the program's own count, and of a distribution the version that wins."""
    sites = (
        site(ONE, distribution("sglang", "0.5.9", "x", "y>=2", "x")),
        site(TWO, distribution("sglang", "0.4", "z"), distribution("build", "1", "pyproject")),
    )
    found = [one for one in findings(*sites, own=(ONE,)) if one.severity is not Severity.NOTE]
    finding = only(found)
    assert finding.evidence == (ONE, "x: not in the closure", "y>=2: not in the closure")


def test_markers_are_those_of_the_closures_interpreter() -> None:
    """What packaging takes of the running Python, for one of the same version."""
    version = platform.python_version()
    minor = ".".join(version.split(".")[:2])
    python = Interpreter(store_path(f"python3-{version}-env"), minor, (), ())
    real = default_environment()
    names = [
        *("implementation_name", "implementation_version", "os_name", "python_version"),
        *("platform_machine", "platform_python_implementation", "platform_system"),
        *("python_full_version", "sys_platform"),
    ]
    lines = [f"a; {name} == {real[name]!r}" for name in names]  # type: ignore[literal-required]
    for line in lines:
        sites = (site(ONE, distribution("b", "1", line)),)
        found = findings(*sites, python=python, machine=Machine(platform.machine()))
        assert only(found).code == "python-requirement-unmet", line


WORDS = st.sampled_from(
    [*"()[];,@'\"<>=~! ", "a", "1", "==", "extra", "or", "and", "python_version", "'3'", "in", "\n"]
)


@given(line=st.text(max_size=60) | st.lists(WORDS, max_size=15).map("".join))
def test_no_requirement_is_too_much(line: str) -> None:
    """Whatever metadata says, a check gives findings and raises nothing."""
    found = findings(site(ONE, distribution("b", line or "1", line), distribution("a", line)))
    assert {one.code for one in found} <= {"python-requirement-unmet"}


# Extension modules -------------------------------------------------------------------------------

CP311, CP312 = (f"cpython-{tag}-x86_64-linux-gnu.so" for tag in ("311", "312"))


def test_extension_modules_for_another_python() -> None:
    """All of a distribution: it cannot be imported; built for the right one, it can."""
    files = tuple(f"numpy/_{number}.{CP311}" for number in range(7))
    finding = only(findings(site(ONE, distribution("numpy"), extensions=files)))
    assert (finding.code, finding.severity) == ("python-extension-abi", Severity.ERROR)
    assert "numpy has 7 extension modules built for cpython-311" in finding.summary
    assert finding.evidence == (*(f"/one/{file}" for file in files[:5]), "and 2 more")
    assert "`python312Packages`" in finding.remedy
    built = tuple(file.replace("311", "312") for file in files)
    assert findings(site(ONE, distribution("numpy"), extensions=built)) == []


MSCCLPP = "sgl_kernel/_mscclpp.cpython-310-x86_64-linux-gnu.so"


@pytest.mark.parametrize(
    ("tags", "untagged", "severity"),
    [
        (("cp310-abi3-manylinux2014_x86_64",), 3, None),
        (("cp310-abi3-manylinux2014_x86_64",), 0, "error"),
        (("cp313-abi3-manylinux2014_x86_64",), 3, "warning"),
        (("cp310-cp310-manylinux2014_x86_64",), 3, "warning"),
        (("cp311-cp311-x", "cp312-cp312-x"), 1, None),
        (("cp313-cp313t-x",), 1, "warning"),
        (("py3-none-any",), 1, None),
        (("nonsense", ""), 1, "warning"),
        ((), 3, "warning"),
        ((), 0, "error"),
    ],
)
def test_a_wheel_says_what_it_is_for(
    tags: tuple[str, ...], untagged: int, severity: str | None
) -> None:
    """sgl-kernel has one file for CPython 3.10 beside those of the stable ABI: it works."""
    kernel = Distribution("sgl-kernel", "0.3.21", (), ("sgl_kernel",), tags, untagged)
    found = findings(site(ONE, kernel, extensions=(MSCCLPP,)), own=(ONE,))
    assert [one.severity for one in found] == ([] if severity is None else [severity])
    assert {one.code for one in found} <= {"python-extension-abi"}


def test_what_an_environment_is_made_of_is_judged_once() -> None:
    """The same files are in both."""
    kernel = Distribution("sgl-kernel", "0.3.21", (), ("sgl_kernel",))
    two = (site(one, kernel, extensions=(MSCCLPP,)) for one in (ONE, TWO))
    assert len(findings(*two, own=(ONE, TWO))) == 1


def test_a_free_threaded_build_loads_its_own() -> None:
    """Neither those of the release of that version nor those of the stable ABI's wheel."""
    free = Interpreter(store_path("python3.13t-3.13.1"), "3.13t", (), ())
    for tag, fits in (("313t", True), ("313", False)):
        file = f"a/b.cpython-{tag}-x86_64-linux-gnu.so"
        found = findings(site(ONE, distribution("a"), extensions=(file,)), own=(ONE,), python=free)
        assert (found == []) is fits


@pytest.mark.parametrize("tag", ["cpython-312d", "cpython-312t", "cpython-31", "cpython-313"])
def test_tags_that_a_release_does_not_load(tag: str) -> None:
    """A debug build's, a free-threaded one's, and those of other versions."""
    sites = (site(ONE, distribution("a"), extensions=(f"a.{tag}-x86_64-linux-gnu.so",)),)
    assert only(findings(*sites)).code == "python-extension-abi"


def test_extension_modules_for_another_machine() -> None:
    """Python passes over them as well; what is of no such name is not judged."""
    file = "a/_x.cpython-312-aarch64-linux-gnu.so"
    finding = only(findings(site(ONE, distribution("a"), extensions=(file,))))
    assert finding.code == "python-extension-abi"
    assert "cpython-312-aarch64-linux-gnu" in finding.summary


def test_a_debug_build_loads_those_of_a_release() -> None:
    """And its own."""
    python = Interpreter(store_path("python3-3.12.12-debug"), "3.12", (), ())
    for tag in ("cpython-312", "cpython-312d"):
        files = (f"a/_x.{tag}-x86_64-linux-gnu.so",)
        assert findings(site(ONE, distribution("a"), extensions=files), python=python) == []


def test_some_of_many_extension_modules() -> None:
    """Then the rest may do: a warning."""
    files = (f"a/_x.{CP311}", f"a/_y.{CP312}")
    assert only(findings(site(ONE, distribution("a"), extensions=files))).severity == "warning"


@pytest.mark.parametrize("other", [CP312, "abi3.so", "so", "py"])
def test_extension_modules_for_several_pythons(other: str) -> None:
    """One that fits is beside it; and what the program does not use does not count."""
    assert (
        findings(site(ONE, distribution("a"), extensions=(f"a/_x.{CP311}", f"a/_x.{other}"))) == []
    )
    sites = (site(ONE, distribution("a")), site(TWO, distribution("b"), extensions=(f"b.{CP311}",)))
    assert findings(*sites, own=(ONE,)) == []


def test_the_suffixes_of_the_running_python_fit() -> None:
    """As the real import system has them."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = Interpreter(store_path(f"python3-{platform.python_version()}"), version, (), ())
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    assert any("cpython" in suffix for suffix in suffixes)
    for suffix in suffixes:
        sites = (site(ONE, distribution("a"), extensions=(f"a/_x{suffix}",)),)
        assert findings(*sites, python=python) == []


# The shell ---------------------------------------------------------------------------------------

HOME = store_path("python3-3.12.12")
ACTIVE = {"PYTHONPATH": "/one:/two:/three", "PATH": f"{HOME}/bin:/bin", "PYTHONNOUSERSITE": "1"}
ACTIVE_LINKED = {"VIRTUAL_ENV": "/cache/linked/python3.12-1", "PATH": "/bin"}


def machine(variables: Mapping[str, str], user_site: str | None = None, **programs: str) -> Machine:
    named = {name.replace("_", "."): path for name, path in programs.items()}
    return Machine("x86_64", variables=variables, user_site=user_site, programs=named)


def follow(finding: Finding, variables: Mapping[str, str]) -> dict[str, str]:
    """Paste the remedy into a real shell, where `nixenv export` sets what is right."""
    exports = "\n".join(f"export {name}={shlex.quote(ACTIVE[name])}" for name in ACTIVE)
    nixenv = f"nixenv() {{ [ $* = export ] && echo {shlex.quote(exports)}; }}"
    done = subprocess.run(
        ["bash", "-ec", f"{nixenv}\n{command_in(finding.remedy)}\n{shutil.which('env')} -0"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    after = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {name: after[name] for name in after if name in {*variables, "PYTHONNOUSERSITE"}}


def test_an_active_shell_has_no_findings() -> None:
    """Nor one that is not active, nor one of layout linked."""
    user_site = "/home/u/.local/lib/python3.12/site-packages"
    ours = machine(ACTIVE, user_site, python3_12=f"{HOME}/bin/python3.12")
    assert findings(*CLEAN, machine=ours) == []
    other = machine({"PATH": "/bin"}, user_site, python3_12="/usr/bin/python3.12")
    assert findings(*CLEAN, machine=other) == []
    linked = machine(
        ACTIVE_LINKED, user_site, python3_12=f"{LINKED['VIRTUAL_ENV']}//bin/python3.12"
    )
    assert findings(*CLEAN, variables=LINKED, machine=linked) == []


@pytest.mark.parametrize(
    ("value", "evidence", "place"),
    [
        ("/home/u/lib:/one:/two:/three", ("/home/u/lib",), "before"),
        ("/one:/two:/three:", ("(empty: the current directory)",), "after"),
        ("/one/:/two:lib:/three:/opt/x", ("lib", "/opt/x"), "before"),
        ("/opt/x", ("/opt/x",), "before"),
    ],
)
def test_foreign_entries_on_pythonpath(value: str, evidence: tuple[str, ...], place: str) -> None:
    """Which, and whether they win; followed, the remedy takes them away."""
    now = {**ACTIVE, "PYTHONPATH": value}
    finding = only(findings(*CLEAN, machine=machine(now)))
    assert (finding.code, finding.severity) == ("python-path-leak", Severity.WARNING)
    assert finding.evidence == evidence
    assert f"{place} the program's own" in finding.summary
    assert findings(*CLEAN, machine=machine(follow(finding, now))) == []
    assert only(findings(*CLEAN, variables=LINKED, machine=machine(now))).evidence == evidence


def test_what_was_in_a_lost_store_object_is_no_leak() -> None:
    """The activation put it there; what comes from elsewhere is told all the same."""
    numpy, torch = store_path("python3.12-numpy-2.3.4"), store_path("python3.12-torch-2.9.1")
    entries = (f"{numpy}/lib/python3.12/site-packages", f"{torch}/lib/python3.12/site-packages")
    now = machine({**ACTIVE, "PYTHONPATH": ":".join((*entries, "/one", "/two"))})
    inventory, variables = inventory_of(CLEAN), variables_of(CLEAN)
    (told,) = check_shell(inventory, variables, now, lost=[numpy])
    assert told.evidence == entries[1:]
    assert list(check_shell(inventory, variables, now, lost=[numpy, torch])) == []


def test_what_flox_sets_is_no_leak() -> None:
    """In dev mode PYTHONPATH is the environment's own directory, and that of others below it."""
    now = {
        "FLOX_ENV": "/f/run/dev",
        "FLOX_ENV_DIRS": "/f/run/dev:/g/run/dev",
        "PYTHONPATH": ":".join(f"/{x}/run/dev/lib/python3.12/site-packages" for x in "fg"),
    }
    assert findings(*CLEAN, machine=machine(now)) == []
    now["PYTHONPATH"] = "/f/run/dev/lib/python3.11/site-packages"
    assert only(findings(*CLEAN, machine=machine(now))).code == "python-path-leak"


def test_pythonhome_is_set() -> None:
    """No Python but its own starts with it; unset, it is gone."""
    now = {**ACTIVE, "PYTHONHOME": "/usr"}
    finding = only(findings(*CLEAN, machine=machine(now)))
    assert (finding.code, finding.severity) == ("python-home-leak", Severity.ERROR)
    assert finding.evidence == ("PYTHONHOME=/usr",)
    assert findings(*CLEAN, machine=machine(follow(finding, now))) == []
    for harmless in ("", f"{HOME}/"):
        assert findings(*CLEAN, machine=machine({**ACTIVE, "PYTHONHOME": harmless})) == []


def test_the_users_own_modules_leak_in() -> None:
    """In an active shell that lost PYTHONNOUSERSITE; with it, they do not."""
    now = {name: value for name, value in ACTIVE.items() if name != "PYTHONNOUSERSITE"}
    finding = only(findings(*CLEAN, machine=machine(now, "/home/u/.local/lib")))
    assert (finding.code, finding.severity) == ("python-user-site-leak", Severity.WARNING)
    assert finding.evidence == ("/home/u/.local/lib",)
    assert findings(*CLEAN, machine=machine(follow(finding, now), "/home/u/.local/lib")) == []
    assert findings(*CLEAN, machine=machine(now)) == []


@pytest.mark.parametrize(
    ("variables", "now", "home"),
    [(None, ACTIVE, HOME), (LINKED, ACTIVE_LINKED, LINKED["VIRTUAL_ENV"])],
    ids=["store", "linked"],
)
def test_another_python_comes_first(
    variables: Mapping[str, str | None] | None, now: dict[str, str], home: str
) -> None:
    """Which one, and which it should be; the remedy puts that first."""
    found = machine(now, python3_12="/usr/bin/python3.12")
    finding = only(findings(*CLEAN, variables=variables, machine=found))
    assert (finding.code, finding.severity) == ("python-shadowed", Severity.ERROR)
    assert finding.evidence == (
        "PATH finds /usr/bin/python3.12",
        f"the program's is {home}/bin/python3.12",
    )
    after = follow(finding, now)
    first = after["PATH"].split(os.pathsep)[0]
    assert (
        findings(
            *CLEAN, variables=variables, machine=machine(after, python3_12=f"{first}/python3.12")
        )
        == []
    )


def test_a_virtual_environment_on_top_may_be_meant() -> None:
    """It may be made with the program's Python: a warning. And what Flox has may be that Python."""
    now = {**ACTIVE, "VIRTUAL_ENV": "/home/u/.venv", "FLOX_ENV": "/f/run/dev"}
    found = machine(now, python3_12="/home/u/.venv/bin/python3.12")
    assert only(findings(*CLEAN, machine=found)).severity == "warning"
    assert findings(*CLEAN, machine=machine(now, python3_12="/f/run/dev/bin/python3.12")) == []


# The fixture closure -----------------------------------------------------------------------------

Look = tuple[Closure, Probe, tuple[SiteListing, ...]]


@pytest.fixture
def looked_at(sglang: SglangClosure, environ: dict[str, str]) -> Look:
    closure = query_closure(StorePath(sglang.root), sglang.store.store_dir, environ)
    probe = probe_closure(closure, "sglang")
    return closure, probe, probe_distributions(probe)


def codes(
    look: Look, environ: Mapping[str, str], layout: str, python: str | None = None
) -> list[str]:
    closure, probe, sites = look
    inventory = classify(closure, probe, python=python)
    farms = place_farms(inventory, "/cache") if layout == "linked" else None
    plan = plan_environment(inventory, Profile("test"), "/cache", farms)
    now = Machine(platform.machine(), variables=environ)
    return [one.code for one in judge(inventory, sites, resolve(plan, environ), now)]


def test_the_fixture_closure(looked_at: Look, environ: dict[str, str]) -> None:
    """What its traps are for, and nothing else; each remedy cures it."""
    assert codes(looked_at, environ, "store") == [
        "python-several-interpreters",
        "python-several-versions",
    ]
    assert codes(looked_at, environ, "linked") == ["python-several-interpreters"]
    closure, probe, _ = looked_at
    python = classify(closure, probe).interpreter
    assert python is not None
    assert codes(looked_at, environ, "linked", python=python.version) == []


def test_another_python_before_the_real_one(
    looked_at: Look, environ: dict[str, str], tmp_path: Path
) -> None:
    """A real PATH, a real shell that follows the remedy, and the program's Python is back."""
    closure, probe, sites = looked_at
    inventory = classify(closure, probe)
    variables = resolve(plan_environment(inventory, Profile("test"), "/cache"), environ)
    assert inventory.interpreter is not None
    name = f"python{inventory.interpreter.version}"
    (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / name).chmod(0o755)
    now = {key: value for key, value in {**environ, **variables}.items() if value is not None}
    now["PATH"] = f"{tmp_path}:{now['PATH']}"

    def shadowed(environ: Mapping[str, str]) -> list[Finding]:
        program = shutil.which(name, path=environ["PATH"])
        assert program is not None
        found = Machine("x86_64", variables=environ, programs={name: program})
        told = judge(inventory, sites, variables, found)
        return [one for one in told if one.code == "python-shadowed"]

    finding = only(shadowed(now))
    after = follow(finding, now)
    assert shadowed(after) == []
    program = shutil.which(name, path=after["PATH"])
    assert program is not None
    subprocess.run([program, "-c", "import sglang"], env=after, check=True)
