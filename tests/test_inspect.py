"""`nixenv inspect`: what it finds, on plain data and on the fixture closure; how it is shown."""

import json

import pytest

from fixtures.closure import SglangClosure
from nixenv import (
    Distribution,
    Inventory,
    Probe,
    Profile,
    Report,
    Root,
    SiteListing,
    StoreObject,
    diagnose,
    plan_environment,
)
from nixenv.cuda import CudaToolkit
from nixenv.environment import VARIABLE_LIMIT
from nixenv.probe import Fault
from nixenv.python import Interpreter, SitePackages
from nixenv.view import printable, show_report
from tests.closures import closure_of, store_path
from tests.conftest import Nixenv

PYTHON = Interpreter(store_path("python3-3.12.12"), "3.12", "it is the only one", ())
NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
TOOLKIT = CudaToolkit("12.8", NVCC, (NVCC,), ("/i",), ("/l",), ("/l/stubs",), ())
MODULES = (SitePackages("/one", own=True), SitePackages("/two", own=False))
TOOLS = (store_path("gcc-wrapper-14.3.0"), store_path("ninja-1.13.1"))


def report_of(
    *,
    interpreter: Interpreter = PYTHON,
    modules: tuple[SitePackages, ...] = MODULES,
    toolkit: CudaToolkit | None = TOOLKIT,
    tools: tuple[str | None, str | None] = TOOLS,
    listings: tuple[SiteListing, ...] = (),
    faults: tuple[Fault, ...] = (),
    environ: dict[str, str] | None = None,
) -> Report:
    root = StoreObject(store_path("root"))
    inventory = Inventory(root.path, interpreter, modules, toolkit, *tools)  # type: ignore[arg-type]
    profile = Profile("test")
    return diagnose(
        Root(root.path, "sglang", "test"),
        closure_of(root),
        Probe((root,), faults=faults),
        listings,
        inventory,
        plan_environment(inventory, profile, "/cache"),
        profile,
        environ or {},
    )


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_a_clean_closure_has_no_findings() -> None:
    """Nothing to know is nothing said."""
    listings = (SiteListing("/one", (Distribution("torch", "2.9.1"),), ()),)
    assert codes(report_of(listings=listings)) == []


def listing(directory: str, name: str, version: str, *path_files: str) -> SiteListing:
    return SiteListing(directory, (Distribution(name, version),), path_files)


def test_a_distribution_in_several_versions() -> None:
    """Names are compared as PyPA normalises them; the first directory wins."""
    found = report_of(
        listings=(listing("/two", "Ruamel.Yaml", "0.17"), listing("/one", "ruamel-yaml", "0.18"))
    )
    assert codes(found) == ["python-several-versions"]
    assert "0.18 wins" in found.findings[0].summary
    assert found.findings[0].evidence == ("0.18  /one", "0.17  /two")
    same = (listing("/two", "a", "1"), listing("/one", "a", "1"))
    assert codes(report_of(listings=same)) == []


def test_path_files_that_are_not_processed() -> None:
    """Of directories that are used, by path; of no others."""
    found = report_of(
        listings=(listing("/one", "a", "1", "a.pth"), listing("/x", "b", "1", "b.pth"))
    )
    assert codes(found) == ["python-path-file-ignored"]
    assert found.findings[0].evidence == ("/one/a.pth",)
    assert "--layout linked" in found.findings[0].remedy


def test_other_interpreters_and_no_modules() -> None:
    """Which was taken and why; and that nothing is on PYTHONPATH."""
    other = Interpreter(PYTHON.path, "3.12", "it was asked for", (store_path("python3-3.13.1"),))
    found = report_of(interpreter=other, modules=())
    assert codes(found) == ["python-no-modules", "python-several-interpreters"]
    assert "it was asked for" in found.findings[1].summary


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (
            {"toolkit": CudaToolkit("12.8", NVCC, (), (), ("/l",), ("/s",), ())},
            "include directories",
        ),
        (
            {"toolkit": CudaToolkit("12.8", NVCC, (), ("/i",), (), ("/s",), ())},
            "library directories",
        ),
        ({"toolkit": CudaToolkit("12.8", NVCC, (), ("/i",), ("/l",), (), ())}, "stub directories"),
        ({"tools": (None, TOOLS[1])}, "gcc wrapper"),
        ({"tools": (TOOLS[0], None)}, "ninja"),
    ],
)
def test_a_part_of_cuda_that_is_missing(missing: dict[str, object], words: str) -> None:
    """A JIT compile would fail for it, twenty minutes in."""
    found = report_of(**missing)  # type: ignore[arg-type]
    assert codes(found) == ["cuda-part-missing"]
    assert words in found.findings[0].summary


def test_another_compiler_of_another_version() -> None:
    """A second nvcc of the same version, as in a joined toolkit, is nothing to choose."""
    other = store_path("cuda13.0-cuda_nvcc-13.0.48")
    assert codes(
        report_of(toolkit=CudaToolkit("12.8", NVCC, (), ("/i",), ("/l",), ("/s",), (other,)))
    ) == ["cuda-several-compilers"]
    joined = store_path("cuda-merged-12.8")
    assert (
        codes(
            report_of(toolkit=CudaToolkit("12.8", joined, (), ("/i",), ("/l",), ("/s",), (NVCC,)))
        )
        == []
    )


def test_no_cuda_at_all() -> None:
    """Said, and no more than a note."""
    found = report_of(toolkit=None)
    assert codes(found) == ["cuda-none"]


def test_faults_of_the_store_come_first() -> None:
    """Errors before warnings before notes."""
    faults = (
        Fault("/nix/gone", missing=True, detail="gone"),
        Fault("/nix/closed", missing=False, detail="denied"),
    )
    found = report_of(faults=faults, toolkit=None, modules=())
    assert codes(found) == [
        "store-object-missing",
        "store-object-unreadable",
        "python-no-modules",
        "cuda-none",
    ]


def test_a_value_near_the_limit() -> None:
    """In bytes, name included, as Linux counts."""
    long = "é" * (VARIABLE_LIMIT * 3 // 8)
    assert codes(report_of(environ={"CPATH": f"/{long}"})) == ["value-near-limit"]
    assert codes(report_of(environ={"CPATH": f"/{long[: len(long) // 2]}"})) == []


def test_the_view_shows_every_part() -> None:
    """Values, versions, reasons, evidence and remedies; nothing is wrapped."""
    found = report_of(
        listings=(listing("/one", "packaging", "25.0"), listing("/two", "packaging", "20.9")),
        environ={"CPATH": f"/{'long/' * 60}"},
    )
    text = show_report(found, colour=False)
    for part in (
        "packaging 25.0  /one",
        "packaging 20.9  [rest of the closure]  /two",
        f"because {PYTHON.reason}",
        f"nvcc: {NVCC}/bin/nvcc",
        f"CUDA_HOME={NVCC}",
        "PYTHONHOME: unset",
        f"CPATH=/i:/{'long/' * 60}",
        "note python-several-versions: packaging is there in several versions; 25.0 wins",
        "      20.9  /two",
    ):
        assert f"{part}\n" in text or f"{part}," in text, part
    assert "\x1b" not in text
    assert "\x1b[" in show_report(found, colour=True)


def test_what_could_move_the_cursor_is_shown_as_an_escape() -> None:
    """A file name is data, also for a terminal."""
    assert printable("a\x1b[2Jb\nc\udcffé") == "a\\x1b[2Jb\\nc\\udcffé"
    bad = (SitePackages("/a\x1b]0;title\x07", own=True),)
    assert "\x1b" not in show_report(report_of(modules=bad), colour=False)


def test_the_fixture_closure(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Live, as JSON: the real names and versions, and the findings that its traps are for."""
    document = json.loads(nixenv("inspect", "--json").stdout)
    assert document["schema"] == 1
    assert document["root"]["path"] == sglang.root
    assert document["members"] == len(sglang.objects)
    versions = {
        d["name"]: d["version"] for m in document["modules"][:16] for d in m["distributions"]
    }
    assert versions["packaging"] == "25.0"
    assert versions["torch"] == "2.9.1"
    assert [finding["code"] for finding in document["findings"]] == [
        "python-path-file-ignored",
        "python-several-interpreters",
        "python-several-versions",
    ]
