"""`nixenv inspect`: what it says of the fixture closure, and how it says it."""

import json
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.closure import SglangClosure
from nixenv import Finding, Report, Root
from nixenv.findings import Severity
from nixenv.report import Verdict, choose_next_step, judge, rank_findings
from nixenv.views.report import show_report
from nixenv.views.text import printable
from tests.closures import store_path
from tests.conftest import Nixenv

Environ = dict[str, str]


def finding(severity: Severity, code: str = "some-code", remedy: str = "") -> Finding:
    return Finding(code, severity, f"the {severity}", ("/the/evidence",), remedy)


def report_of(*findings: Finding) -> Report:
    return Report(
        verdict=judge(findings),
        next_step=choose_next_step(findings),
        root=Root(store_path("root"), "sglang", "test"),
        source="nix-store",
        profile="sglang",
        layout="store",
        inventory=None,
        modules=(),
        members=(),
        variables={},
        machine=None,
        findings=rank_findings(findings),
    )


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ((), Verdict.WORKS),
        ((Severity.NOTE,), Verdict.WORKS),
        ((Severity.NOTE, Severity.WARNING), Verdict.WARNINGS),
        ((Severity.WARNING, Severity.ERROR, Severity.NOTE), Verdict.BROKEN),
    ],
)
def test_the_worst_finding_decides(severities: tuple[Severity, ...], verdict: Verdict) -> None:
    """A note leaves it working."""
    assert judge([finding(severity) for severity in severities]) is verdict


def test_the_next_step_is_the_remedy_of_the_worst_finding() -> None:
    """Of the first that has one; notes ask for nothing."""
    note = finding(Severity.NOTE, remedy="leave it")
    warning = finding(Severity.WARNING, remedy="mend it")
    mute = finding(Severity.ERROR)
    assert choose_next_step([note]) == ""
    assert choose_next_step([note, warning]) == "mend it"
    assert choose_next_step([note, warning, mute]) == "mend it"
    assert choose_next_step([warning, finding(Severity.ERROR, remedy="now")]) == "now"


def test_the_verdict_and_the_next_step_come_first() -> None:
    """Then the findings, worst first, whole."""
    text = show_report(
        report_of(finding(Severity.NOTE), finding(Severity.ERROR, "bad-thing", "mend it")),
        colour=False,
    )
    assert text.startswith("sglang: broken\nnext: mend it\n1 error, 1 note; docs/findings.md")
    assert (
        "error  bad-thing\n  the error\n    /the/evidence\n  next: mend it\n\nnote  some-code\n"
        in text
    )


def test_much_evidence_is_cut_and_shown_when_asked_for() -> None:
    """A screen has so many lines; --all has no such limit."""
    many = Finding("x", Severity.NOTE, "many", tuple(f"/{n}" for n in range(100)))
    assert "    ... and 95 more\n" in show_report(report_of(many), colour=False)
    assert "/99\n" not in show_report(report_of(many), colour=False)
    assert "/99\n" in show_report(report_of(many), colour=False, full=True)


def test_what_could_move_the_cursor_is_shown_as_an_escape() -> None:
    """A file name is data, also for a terminal."""
    assert printable("a\x1b[2Jb\nc\udcffé") == "a\\x1b[2Jb\\nc\\udcffé"
    bad = Finding("x", Severity.NOTE, "a\x1b[2J", ("\x1b]0;title\x07",), "\x1b[31m")
    assert "\x1b" not in show_report(report_of(bad), colour=False)


# The fixture closure -------------------------------------------------------------------------


@pytest.fixture
def active(environ: Environ, nixenv: Nixenv) -> Environ:
    """The environment as it is after an activation."""
    values = json.loads(nixenv("export", "--shell", "json").stdout)["variables"]
    for name in ("FLASHINFER_JIT_DIR", "FLASHINFER_WORKSPACE_BASE"):
        Path(values[name]).mkdir(parents=True)
    return {**environ, **{name: value for name, value in values.items() if value is not None}}


def inspected(nixenv: Nixenv, environ: Environ, *arguments: str) -> dict[str, Any]:
    done = nixenv("inspect", "--json", *arguments, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def codes(document: dict[str, Any]) -> list[str]:
    return [found["code"] for found in document["findings"]]


def test_the_fixture_closure(nixenv: Nixenv, active: Environ, sglang: SglangClosure) -> None:
    """Live, as JSON: the real names and versions, and the findings that its traps are for."""
    document = inspected(nixenv, active)
    assert document["schema"] == 2
    assert document["root"]["path"] == sglang.root
    assert {m["name"]: m["path"] for m in document["members"]} == dict(sglang.objects)
    sizes = {m["name"]: (m["nar_size"], m["closure_size"]) for m in document["members"]}
    assert all(0 < own <= whole for own, whole in sizes.values())
    versions = {
        d["name"]: d["version"] for m in document["modules"][:16] for d in m["distributions"]
    }
    assert versions["packaging"] == "25.0"
    assert versions["torch"] == "2.9.1"
    assert codes(document) == []
