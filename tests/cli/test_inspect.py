"""`nixenv inspect`: what it says of the fixture closure, and how it says it."""

import contextlib
import itertools
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from nixenv import Finding
from nixenv.findings import Code, Severity
from nixenv.inspect.report import Report, Verdict, choose_next_step, rank_findings, reach_verdict
from nixenv.inspect.views.report import show_report
from nixenv.road.root import Root
from nixenv.text import printable
from tests.closures import store_path
from tests.conftest import Nixenv
from tests.real_shells import SEARCH_PATH

Environ = dict[str, str]


def finding(severity: Severity, code: Code = Code.CUDA_NONE, remedy: str = "") -> Finding:
    return Finding(code, severity, f"the {severity}", ("/the/evidence",), remedy)


def report_of(*findings: Finding) -> Report:
    return Report(
        verdict=reach_verdict(findings),
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
    assert reach_verdict([finding(severity) for severity in severities]) is verdict


def test_the_next_step_is_the_remedy_of_the_worst_finding() -> None:
    """Of the first that has one; notes ask for nothing."""
    note = finding(Severity.NOTE, remedy="leave it")
    warning = finding(Severity.WARNING, remedy="mend it")
    mute = finding(Severity.ERROR)
    assert choose_next_step([note]) == ""
    assert choose_next_step([note, warning]) == "mend it"
    assert choose_next_step([note, warning, mute]) == "mend it"
    assert choose_next_step([warning, finding(Severity.ERROR, remedy="now")]) == "now"


def test_the_verdict_its_cause_and_the_next_step_come_first() -> None:
    """Then the findings, worst first, whole."""
    text = show_report(
        report_of(finding(Severity.NOTE), finding(Severity.ERROR, Code.FARM_BROKEN, "mend it")),
        colour=False,
    )
    assert text.startswith(
        "sglang: broken\nbecause the error\nnext: mend it\n1 error, 1 note; `nixenv explain"
    )
    assert (
        "error  farm-broken\n  the error\n    /the/evidence\n  next: mend it\n\nnote  cuda-none\n"
        in text
    )


def test_much_evidence_is_cut_and_shown_when_asked_for() -> None:
    """A screen has so many lines; --all has no such limit."""
    many = Finding(Code.CUDA_NONE, Severity.NOTE, "many", tuple(f"/{n}" for n in range(100)))
    assert "    ... and 95 more\n" in show_report(report_of(many), colour=False)
    assert "/99\n" not in show_report(report_of(many), colour=False)
    assert "/99\n" in show_report(report_of(many), colour=False, full=True)


def test_what_could_move_the_cursor_is_shown_as_an_escape() -> None:
    """A file name is data, also for a terminal."""
    assert printable("a\x1b[2Jb\nc\udcffé") == "a\\x1b[2Jb\\nc\\udcffé"
    bad = Finding(Code.CUDA_NONE, Severity.NOTE, "a\x1b[2J", ("\x1b]0;title\x07",), "\x1b[31m")
    assert "\x1b" not in show_report(report_of(bad), colour=False)


# The fixture closure -------------------------------------------------------------------------


@pytest.fixture
def active(environ: Environ, nixenv: Nixenv) -> Environ:
    """The environment as it is after an activation."""
    values = json.loads(nixenv("export", "--shell", "json").stdout)["variables"]
    for name in ("FLASHINFER_JIT_DIR", "FLASHINFER_WORKSPACE_BASE"):
        Path(values[name]).mkdir(parents=True, exist_ok=True)
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
    assert document["schema"] == 3
    assert document["root"]["path"] == sglang.root
    assert {m["name"]: m["path"] for m in document["members"]} == dict(sglang.objects)
    sizes = {m["name"]: (m["nar_size"], m["closure_size"]) for m in document["members"]}
    assert all(0 < own <= whole for own, whole in sizes.values())
    versions = {
        d["name"]: d["version"] for m in document["modules"][:16] for d in m["distributions"]
    }
    assert versions["packaging"] == "25.0"
    assert versions["torch"] == "2.9.1"
    # The traps of fixtures/README.md, and a machine without a GPU.
    assert sorted(codes(document)) == [
        "cuda-library-without-headers",
        "cuda-library-without-headers",
        "cuda-several-versions",
        "gpu-none",
        "python-several-interpreters",
        "python-several-versions",
    ]
    assert document["verdict"] == "works with warnings"


def test_an_environment_that_is_not_active_is_no_drift(nixenv: Nixenv, environ: Environ) -> None:
    """In a shell where nobody asked for it, nothing has drifted."""
    assert "environment-not-active" in codes(inspected(nixenv, environ))
    assert "environment-drift" not in codes(inspected(nixenv, environ))


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("PYTHONPATH", {"environment-drift", "python-user-site-leak"}),
        ("CUDA_HOME", {"environment-not-active"}),
    ],
)
def test_whether_an_environment_is_active_is_one_question(
    lost: str, told: set[str], nixenv: Nixenv, active: Environ, sglang: SglangClosure
) -> None:
    """What is said of active shells is not said beside that this is none, and the other way round.

    Of PYTHONPATH an entry is gone in both cases: that alone makes no shell an active one.
    """
    given = {name: active[name] for name in active if name not in (lost, "PYTHONNOUSERSITE")}
    if "PYTHONPATH" in given:
        given["PYTHONPATH"] = given["PYTHONPATH"].partition(":")[2]
    user_site = Path(given["HOME"], f".local/lib/python{sglang.python_minor}/site-packages/own")
    user_site.mkdir(parents=True)
    asked = {"environment-drift", "environment-not-active", "python-user-site-leak"}
    assert asked.intersection(codes(inspected(nixenv, given))) == told


def test_a_remedy_asks_for_what_was_looked_at(nixenv: Nixenv, environ: Environ) -> None:
    """With the options that inspect was given: another environment would not cure this one."""
    arguments = ("--layout", "linked", "--profile", "python-cuda", "--python")
    version = inspected(nixenv, environ)["inventory"]["interpreter"]["version"]
    document = inspected(nixenv, environ, "sglang", *arguments, version)
    (found,) = (f for f in document["findings"] if f["code"] == "environment-not-active")
    assert found["remedy"] == (
        f'`eval "$(nixenv export sglang --profile python-cuda --python {version} --layout linked)"`'
    )


def test_warnings_alone_pass_the_check(nixenv: Nixenv, active: Environ) -> None:
    """A probe that fails for them would restart a server that works."""
    assert inspected(nixenv, active)["verdict"] == "works with warnings"
    assert nixenv("inspect", "--check", environ=active).returncode == 0


def test_the_root_needs_all_of_its_closure(
    nixenv: Nixenv, active: Environ, sglang: SglangClosure
) -> None:
    """Its size is the sum of all; each other one is smaller."""
    members = inspected(nixenv, active)["members"]
    whole = {member["path"]: member["closure_size"] for member in members}
    assert whole[sglang.root] == sum(member["nar_size"] for member in members)
    assert max(size for path, size in whole.items() if path != sglang.root) < whole[sglang.root]


def test_a_clean_closure_has_nothing_but_the_missing_gpu(
    nixenv: Nixenv, environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """600 store paths without a trap, in an active environment."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    store = PrivateStore.create(tmp_path / "store")
    root = load_synthetic_closure(store, 600, python=Path(sys.executable).resolve())
    given = {**environ, **store.environ}
    export = nixenv("export", "--root", root, "--shell", "json", environ=given).stdout
    values = json.loads(export)["variables"]
    given |= {name: value for name, value in values.items() if value is not None}
    document = inspected(nixenv, given, "--root", root)
    assert codes(document) == ["gpu-none"]
    assert document["verdict"] == "works"
    assert nixenv("inspect", "--check", "--root", root, environ=given).returncode == 0


# Where the road stops --------------------------------------------------------------------------


def test_what_nix_does_not_give_is_a_finding(nixenv: Nixenv, environ: Environ) -> None:
    """A report all the same, with the machine; --check fails."""
    given = {**environ, "NIX_BIN": "", "PATH": f"{environ['FLOX_ENV']}/bin", "FLOX_ENV": "/none"}
    document = inspected(nixenv, given)
    assert codes(document)[0] == "nix-missing"
    assert document["verdict"] == "broken"
    assert document["next_step"]
    assert (document["source"], document["inventory"], document["members"]) == (None, None, [])
    assert document["machine"] is not None
    assert nixenv("inspect", "--check", environ=given).returncode == 1
    for question in (("torch",), ("--why", "torch")):
        asked = nixenv("inspect", *question, environ=given)
        assert (asked.returncode, asked.stdout) == (4, "")
        assert "no nix-store" in asked.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "evidence"),
    [
        (("--python", "3.9"), "python-not-found", "python3-"),
        (("--cuda", "11.8"), "cuda-not-found", "cuda_nvcc-12.8.93"),
    ],
)
def test_what_cannot_be_sorted_is_a_finding(
    arguments: tuple[str, ...], code: str, evidence: str, nixenv: Nixenv, environ: Environ
) -> None:
    """The reason that export gives, and what was found out until then."""
    document = inspected(nixenv, environ, *arguments)
    (found,) = (f for f in document["findings"] if f["code"] == code)
    assert found["severity"] == "error"
    assert evidence in "".join(found["evidence"])
    assert document["verdict"] == "broken"
    assert len(document["members"]) > 50


def test_two_pythons_and_no_hint(nixenv: Nixenv, sglang: SglangClosure, environ: Environ) -> None:
    """They are listed; to choose one cures it."""
    document = inspected(nixenv, environ, "--root", sglang.two_pythons)
    assert codes(document)[0] == "python-ambiguous"
    cured = inspected(
        nixenv, environ, "--root", sglang.two_pythons, "--python", sglang.python_minor
    )
    assert "python-ambiguous" not in codes(cured)


def test_a_value_that_is_too_long(nixenv: Nixenv, environ: Environ) -> None:
    """Which export refuses, and a replay of the same machine as well."""
    given = {**environ, "CPATH": f"/{'x' * 131_060}"}
    assert "value-too-long" in codes(inspected(nixenv, given))


# The questions ---------------------------------------------------------------------------------


def test_one_name_is_a_program_or_a_thing(nixenv: Nixenv, environ: Environ) -> None:
    """What PATH finds in the store is the program; two are a program and a thing in it."""
    assert nixenv("inspect", "sglang").stdout.startswith("sglang: works with warnings\n")
    zoomed = nixenv("inspect", "packaging").stdout
    assert "distribution packaging" in zoomed
    assert nixenv("inspect", "sglang", "packaging").stdout == zoomed
    assert "distribution sglang" in nixenv("inspect", "sglang", "sglang").stdout
    missing = nixenv("inspect", "pakaging", environ=environ)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "did you mean packaging" in missing.stderr


def test_an_active_environment_has_its_programs_on_path(nixenv: Nixenv, active: Environ) -> None:
    """They are things of the closure, not programs whose environment somebody wants."""
    for name in ("nvcc", "ninja", "python3"):
        done = nixenv("inspect", name, environ=active)
        assert done.returncode == 0
        assert not done.stdout.startswith(f"{name}: ")
        assert f"program {name}" in done.stdout


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ((), ["-qR", "--dump-db", "--version"]),
        (("sglang",), ["-qR", "--dump-db", "--version"]),
        (("packaging",), ["-qR", "--dump-db"]),
        (("nvcc",), ["-qR", "--dump-db"]),
        (("--why", "torch"), ["-qR", "--dump-db"]),
        # Whether it is a thing of SGLang's closure shows in that.
        (("other",), ["-qR", "-qR", "--dump-db", "--version"]),
        (("other", "vllm"), ["-qR", "--dump-db"]),
    ],
)
def test_how_often_nix_is_asked(
    question: tuple[str, ...],
    asked: list[str],
    nixenv: Nixenv,
    active: Environ,
    sglang: SglangClosure,
    tmp_path: Path,
) -> None:
    """Once for the closure and once for its sizes, whichever of its things is asked about.

    A report tells Nix's version as well.
    """
    log, directory = tmp_path / "asked", tmp_path / "bin"
    directory.mkdir()
    real = shutil.which("nix-store")
    wrapper = directory / "nix-store"
    wrapper.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    (directory / "other").symlink_to(f"{sglang.joined}/bin/vllm")
    given = {**active, "PATH": f"{directory}:{active['PATH']}"}
    done = nixenv("inspect", *question, environ=given)
    assert (done.returncode, done.stderr) == (0, "")
    assert log.read_text().split() == asked


def test_what_leaks_in_is_told_of_what_it_hides(
    nixenv: Nixenv, active: Environ, tmp_path: Path
) -> None:
    """Python would find another numpy first, whatever the closure has."""
    (tmp_path / "numpy.py").write_text("")
    leaked = {**active, "PYTHONPATH": f"{tmp_path}:{active['PYTHONPATH']}"}
    zoomed = nixenv("inspect", "numpy", environ=leaked).stdout.splitlines()
    assert zoomed[0].startswith("warning python-path-leak: ")
    assert zoomed[1].strip() == f"{tmp_path}: has numpy"
    assert "python-path-leak" in codes(inspected(nixenv, leaked, "numpy"))
    assert "python-path-leak" not in codes(inspected(nixenv, active, "numpy"))
    assert "PYTHONPATH" in inspected(nixenv, leaked)["next_step"]


def test_what_makes_the_rest_doubtful_is_the_next_step(
    nixenv: Nixenv, active: Environ, sglang: SglangClosure
) -> None:
    """A store object that is gone, and none of what it would have brought."""
    torch = next(path for name, path in sglang.objects.items() if "-torch-" in name)
    away = Path(f"{torch}.away")
    os.rename(torch, away)
    try:
        document = inspected(nixenv, active)
        zoomed = inspected(nixenv, active, "torch")
    finally:
        os.rename(away, torch)
    assert codes(document)[0] == "store-object-missing"
    assert not {"python-requirement-unmet", "python-path-leak"} & set(codes(document))
    assert "cuda-library-without-headers" in codes(document)  # which torch has no part in
    assert "repair" in document["next_step"]
    assert "store-object-missing" in codes(zoomed)


@pytest.mark.parametrize("part", ["cuda_cccl", "cuda_nvcc-12.8.93", "python3-3"])
def test_what_is_gone_is_missed_once(
    part: str, nixenv: Nixenv, active: Environ, sglang: SglangClosure
) -> None:
    """Not again as a header, a compiler or an interpreter that something else should bring."""
    names = [name for name in sglang.objects if part in name and not name.endswith("-env")]
    lost = [Path(sglang.objects[name]) for name in names]
    for path in lost:
        path.rename(f"{path}.away")
    try:
        document = inspected(nixenv, active)
        zoomed = nixenv("inspect", "nv/target", environ=active)
        refused = nixenv("export", environ=active)
    finally:
        for path in lost:
            Path(f"{path}.away").rename(path)
    told = [f["code"] for f in document["findings"] if f["severity"] != "note"]
    assert told[0] == "store-object-missing"
    assert not [c for c in told if c.endswith(("-missing", "-not-found"))][1:]
    assert "error store-object-missing" in zoomed.stdout.splitlines()[0]
    assert "env NIX_REMOTE=local nix-store --repair-path" in refused.stderr
    assert all(str(path) in refused.stderr for path in lost)


def test_only_the_servers_own_port_is_bound(
    nixenv: Nixenv, active: Environ, tmp_path: Path
) -> None:
    """One that the program talks to is somebody else's, and so is the host of that."""
    profile = tmp_path / "own.toml"
    others = 'A_HOST = "other.invalid"\nA_PORT = "1"'
    profile.write_text(f'binary = "sglang"\n[defaults]\n{others}\nSGLANG_PORT = "1x"\n')
    del active["SGLANG_PORT"]
    found = inspected(nixenv, active, "--profile", str(profile))["findings"]
    (port,) = [finding for finding in found if finding["code"].startswith("port-")]
    assert port["code"] == "port-invalid"
    assert "SGLANG_PORT" in port["summary"]


def test_a_finding_is_shown_alone(nixenv: Nixenv, environ: Environ) -> None:
    """By its code."""
    done = nixenv("inspect", "environment-not-active", environ=environ)
    assert done.stdout.startswith("note environment-not-active: ")
    assert done.stdout.count("\n  next: ") == 1


def test_the_report_is_named_for_what_was_looked_at(
    nixenv: Nixenv, sglang: SglangClosure, environ: Environ
) -> None:
    """The program of a built-in profile, where the root has one; else the root itself."""
    for program, root in (("sglang", sglang.root), ("vllm", sglang.joined)):
        assert nixenv("inspect", "--root", root, environ=environ).stdout.startswith(f"{program}: ")
    other = nixenv("inspect", "--root", sglang.cpu, environ=environ).stdout
    assert other.startswith(f"{Path(sglang.cpu).name.partition('-')[2]}: ")


def test_who_reads_no_further_is_told_nothing(environ: Environ) -> None:
    """`inspect | head` is no error."""
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "nixenv", "inspect", "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_difference_of_two_environments(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Such as $FLOX_ENV of before and after: the program in them is compared."""
    document = json.loads(
        nixenv("inspect", "--diff", sglang.flox_env, sglang.joined, "--json").stdout
    )
    assert document["roots"] == [sglang.root, sglang.joined]


def test_a_name_where_there_is_no_program(nixenv: Nixenv, environ: Environ) -> None:
    """It may have been meant as one."""
    done = nixenv("inspect", "comfyui", environ={**environ, "PATH": "/nowhere"})
    assert (done.returncode, done.stdout) == (3, "")
    assert "comfyui" in done.stderr


@pytest.mark.parametrize("layout", ["store", "linked"])
def test_a_snapshot_shows_what_its_sender_saw(
    layout: str, nixenv: Nixenv, environ: Environ, tmp_path: Path
) -> None:
    """With the sender's profile, layout and cache directory; another one can be asked for."""
    profile = tmp_path / "own.toml"
    profile.write_text('binary = "sglang"\n[cache]\nMINE = "mine"\n')
    given = ("--profile", str(profile), "--layout", layout)
    variables = json.loads(nixenv("export", *given, "--shell", "json").stdout)["variables"]
    there = {**environ, **{name: held for name, held in variables.items() if held is not None}}
    Path(there["MINE"]).mkdir(parents=True)
    nixenv("export", *given, environ=there)  # builds the farms
    live = inspected(nixenv, there, *given)
    file = str(tmp_path / "snapshot.json")
    assert nixenv("snapshot", "-o", file, *given, environ=there).returncode == 0
    profile.unlink()
    here = {"PATH": SEARCH_PATH, "HOME": str(tmp_path / "elsewhere")}
    replayed = inspected(nixenv, here, "--from", file)
    of_farms = [code for code in codes(live) if code.startswith("farm-")]
    assert [*of_farms, *codes(replayed)] == codes(live)
    for key in ("variables", "layout", "profile", "verdict"):
        assert replayed[key] == live[key]
    assert "environment-not-active" in codes(
        inspected(nixenv, here, "--from", file, "--cache-dir", "/elsewhere", "--layout", "linked")
    )


def test_a_snapshot_means_the_same_whatever_its_file_is_called(
    nixenv: Nixenv, environ: Environ, tmp_path: Path
) -> None:
    """Whether there was a Nix, and whether it could work, is recorded in it."""
    files = [str(tmp_path / name) for name in ("requisites.txt", "snapshot.json")]
    without_nix = {**environ, "NIX_BIN": "", "PATH": f"{environ['FLOX_ENV']}/bin"}
    (tmp_path / "nix-store").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "nix-store").chmod(0o755)
    broken_nix = {**environ, "PATH": f"{tmp_path}:{environ['PATH']}"}
    for given, told in (
        (environ, set()),
        (without_nix, {"nix-missing"}),
        (broken_nix, {"nix-failed"}),
    ):
        nixenv("snapshot", "-o", files[0], environ=given)
        shutil.copy(*files)
        live = inspected(nixenv, given)
        assert {"nix-missing", "nix-failed"}.intersection(codes(live)) == told
        for file in files:
            replayed = inspected(nixenv, environ, "--from", file)
            assert (replayed["verdict"], codes(replayed)) == (live["verdict"], codes(live))


def test_questions_of_a_snapshot(nixenv: Nixenv, tmp_path: Path) -> None:
    """NAME and --why are answered as they are live."""
    file = tmp_path / "snapshot.json"
    nixenv("snapshot", "-o", str(file))
    for question in (("packaging",), ("--why", "packaging"), ("nv/target", "--json")):
        live = nixenv("inspect", *question)
        assert live.returncode == 0
        assert nixenv("inspect", *question, "--from", str(file)).stdout == live.stdout
    assert "nothing to do" not in nixenv("inspect", "sglang", "--from", str(file)).stderr


def test_why(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """The chain leads from the root to it, by references that Nix knows."""
    document = json.loads(nixenv("inspect", "--why", "packaging-20.9", "--json").stdout)
    target = next(p for n, p in sglang.objects.items() if n.endswith("packaging-20.9"))
    explained = {e["path"]: e for e in document["explanations"]}[target]
    assert (explained["chain"][0], explained["chain"][-1]) == (sglang.root, target)
    for referrer, reference in itertools.pairwise(explained["chain"]):
        assert reference in sglang.store.run("nix-store", "-q", "--references", referrer).split()
    told = sglang.store.run("nix-store", "-q", "--referrers", target).split()
    assert set(explained["referrers"]) == set(told) & set(sglang.objects.values())


def test_the_difference_of_two_roots_and_of_a_snapshot(
    nixenv: Nixenv, sglang: SglangClosure, tmp_path: Path
) -> None:
    """Store paths and snapshots' files are told apart; the same closure differs in nothing."""
    file = tmp_path / "snapshot.json"
    nixenv("snapshot", "-o", str(file))
    document = json.loads(nixenv("inspect", "--diff", str(file), sglang.joined, "--json").stdout)
    assert document["roots"] == [sglang.root, sglang.joined]
    added = {d["name"]: (d["before"], d["after"]) for d in document["distributions"]}
    assert added["vllm"] == ([], ["0.12.0"])
    assert added["sglang"] == (["0.5.9"], [])
    same = json.loads(nixenv("inspect", "--diff", str(file), sglang.root, "--json").stdout)
    assert (same["distributions"], same["components"], same["others"]) == ([], [], [])


@pytest.mark.parametrize(
    "arguments",
    [
        ("torch", "--why", "torch"),
        ("--why", "torch", "--html", "x"),
        ("sglang", "--diff", "a", "b"),
        ("--root", "/x", "--diff", "a", "b"),
        ("one", "two", "three"),
        ("--json", "--html", "x"),
        ("--diff", "a", "b", "--html", "x"),
        ("--diff", "a", "b", "--check"),
    ],
)
def test_two_questions_are_one_too_many(arguments: tuple[str, ...], nixenv: Nixenv) -> None:
    """Usage, and nothing on stdout."""
    done = nixenv("inspect", *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_page_is_written_whole_or_not_at_all(nixenv: Nixenv, tmp_path: Path) -> None:
    """stdout stays free; a directory that is not there costs nothing."""
    file = tmp_path / "report.html"
    done = nixenv("inspect", "--html", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert str(file) in done.stderr
    assert file.read_text().startswith("<!doctype html>")
    assert nixenv("inspect", "--html", "-").stdout.startswith("<!doctype html>")
    refused = nixenv("inspect", "--html", str(tmp_path / "no" / "file"))
    assert (refused.returncode, refused.stdout) == (1, "")


def test_colours_are_for_terminals(environ: Environ) -> None:
    """And not with NO_COLOR; the bar of a quick look is never seen."""
    command = [sys.executable, "-I", "-m", "nixenv", "inspect"]

    def on_terminal(environ: Environ) -> str:
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, env=environ, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while chunk := os.read(ours, 65536):
                    shown += chunk
        os.close(ours)
        assert process.returncode == 0
        return shown.decode()

    assert "\x1b[1;33mworks with warnings" in on_terminal({**environ, "TERM": "xterm"})
    assert "\x1b" not in on_terminal({**environ, "TERM": "xterm", "NO_COLOR": "1"})


def test_the_report_names_its_occasion(nixenv: Nixenv) -> None:
    """Machine, time, versions and command; in text, JSON and on the page."""
    host = socket.gethostname()
    made = json.loads(nixenv("inspect", "--json").stdout)["made"]
    assert made["host"] == host
    assert made["command"] == "nixenv inspect --json"
    assert all(made[key] for key in ("time", "nixenv", "nix"))
    for options in ([], ["--html", "-"]):
        told = nixenv("inspect", *options).stdout
        assert f" on {host}, nixenv {made['nixenv']}, Nix {made['nix']}" in told


def test_a_report_without_the_machine(nixenv: Nixenv, environ: dict[str, str]) -> None:
    """Neither its name is there, nor what was seen of it, nor what it would be judged by."""
    broken = {**environ, "PYTHONHOME": "/machines/python"}
    for options in (["--json"], ["--all"], ["--html", "-"]):
        told = nixenv("inspect", "--no-machine", *options, environ=broken).stdout
        assert f" on {socket.gethostname()}" not in told
        assert "/machines/python" not in told
    document = json.loads(nixenv("inspect", "--no-machine", "--json", environ=broken).stdout)
    assert (document["machine"], document["made"]["host"]) == (None, "")
    assert "cuda-library-without-headers" in [found["code"] for found in document["findings"]]


def test_a_report_of_a_snapshot_names_both_occasions(nixenv: Nixenv, tmp_path: Path) -> None:
    """When and where it was taken, and when the report was made."""
    file = str(tmp_path / "snapshot.json")
    assert nixenv("snapshot", "-o", file).returncode == 0
    document = json.loads(nixenv("inspect", "--from", file, "--json").stdout)
    assert document["recorded"]["command"] == f"nixenv snapshot -o {file}"
    assert document["recorded"]["nix"]
    assert document["made"]["nix"] == ""
    assert "of a snapshot of 20" in nixenv("inspect", "--from", file).stdout
