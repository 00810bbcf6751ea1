"""The checks of variables, directories, ports and CPU: on plain data, and followed in real bash."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from nixenv import Default, Environment, Prepend, Set, Unset, resolve
from nixenv.evidence.caches import DirectoryState
from nixenv.evidence.machine import ForeignFile, Machine, PortState, probe_machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.environment import check_environment
from nixenv.request import Selection, gather, plan
from nixenv.road.plan import VARIABLE_LIMIT
from nixenv.road.record import ActivationRecord
from nixenv.storepath import store_name
from tests.conftest import Nixenv
from tests.inspect.diagnosis.faults import codes, inspect
from tests.inspect.diagnosis.remedies import command_in

STORE = "/nix/store"
NAME = "python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9"
LONG = VARIABLE_LIMIT * 3 // 4

PLAN = Environment(
    (
        Unset("PYTHONHOME"),
        Set("PYTHONPATH", f"{STORE}/a/site:{STORE}/b/site"),
        Set("PYTHONNOUSERSITE", "1"),
        Prepend("PATH", (f"{STORE}/python/bin",)),
        Set("CUDA_HOME", f"{STORE}/nvcc"),
        Prepend("CPATH", (f"{STORE}/cudart/include",)),
        Prepend("LIBRARY_PATH", (f"{STORE}/cudart/lib",)),
        Default("TRITON_CACHE_DIR", "/cache/triton"),
        Default("TVM_FFI_CACHE_DIR", "/cache/tvm"),
        Default("SGLANG_PORT", "30000"),
    )
)
LINKED = Environment(
    (
        Unset("PYTHONHOME"),
        Unset("PYTHONPATH"),
        Set("VIRTUAL_ENV", "/cache/farm"),
        Prepend("PATH", ("/cache/farm/bin",)),
    )
)
PLAIN = {"PATH": "/usr/bin:/bin"}


def activated(environ: Mapping[str, str], environment: Environment = PLAN) -> dict[str, str]:
    changed = {**environ, **resolve(environment, environ)}
    return {name: value for name, value in changed.items() if value is not None}


ACTIVE = activated(PLAIN)


def check(
    environ: Mapping[str, str] = ACTIVE,
    environment: Environment = PLAN,
    **seen: object,
) -> list[Finding]:
    machine = Machine("x86_64", variables=environ, **seen)  # type: ignore[arg-type]
    return list(check_environment(resolve(environment, environ), machine, STORE, NAME))


def only(findings: list[Finding], code: str, severity: Severity) -> Finding:
    assert [(found.code, found.severity) for found in findings] == [(code, severity)]
    return findings[0]


# Active or not, and drift ------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [PLAN, LINKED])
def test_an_active_environment(environment: Environment) -> None:
    """Nothing to know is nothing said, whatever else the shell has on its paths."""
    active = activated({**PLAIN, "CPATH": "/opt/x/include"}, environment)
    assert check(active, environment) == []
    active["PATH"] = f"/home/user/bin:{active['PATH']}:/snap/bin:"
    assert check(active, environment) == []


@pytest.mark.parametrize("environ", [{}, PLAIN, {"PYTHONPATH": "/x", "CUDA_HOME": "/usr/local"}])
def test_an_environment_that_is_not_active(environ: dict[str, str]) -> None:
    """It is said once, and not variable by variable; the remedy activates it."""
    found = only(check(environ), "environment-not-active", Severity.NOTE)
    assert found.remedy == '`eval "$(nixenv export)"`'
    assert f"CUDA_HOME is {environ.get('CUDA_HOME', 'unset')}" in found.evidence
    assert f"CUDA_HOME should be {STORE}/nvcc" in found.evidence
    assert check(activated(environ)) == []


def test_an_environment_of_which_only_the_path_is_ours() -> None:
    """As of a program without modules and without CUDA."""
    environment = Environment((Unset("PYTHONPATH"), Prepend("PATH", (f"{STORE}/python/bin",))))
    found = only(check(PLAIN, environment), "environment-not-active", Severity.NOTE)
    assert found.evidence == (f"PATH lacks {STORE}/python/bin",)
    assert check(activated(PLAIN, environment), environment) == []


def test_nothing_is_known_of_the_environment() -> None:
    """Where it could not be planned, nothing is said of it."""
    assert check(PLAIN, Environment(())) == []


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (
            {"CUDA_HOME": "/usr/local/cuda"},
            ("CUDA_HOME is /usr/local/cuda", f"CUDA_HOME should be {STORE}/nvcc"),
        ),
        ({"CUDA_HOME": None}, ("CUDA_HOME is unset", f"CUDA_HOME should be {STORE}/nvcc")),
        ({"PATH": "/usr/bin"}, (f"PATH lacks {STORE}/python/bin",)),
        ({"CPATH": f"/x:{STORE}/other"}, (f"CPATH lacks {STORE}/cudart/include",)),
        ({"PYTHONPATH": f"{STORE}/b/site"}, (f"PYTHONPATH lacks {STORE}/a/site",)),
        (
            {"PYTHONPATH": f"{STORE}/b/site:{STORE}/a/site"},
            ("PYTHONPATH has its entries in another order",),
        ),
        (
            {"PYTHONPATH": None},
            (
                "PYTHONPATH is unset",
                f"PYTHONPATH should be {STORE}/a/site and 1 more entries",
            ),
        ),
        ({"SGLANG_PORT": None}, ("SGLANG_PORT is unset", "SGLANG_PORT should be 30000")),
    ],
)
def test_drift(change: dict[str, str | None], evidence: tuple[str, ...]) -> None:
    """What differs, and how; the remedy sets it again."""
    environ = {name: value for name, value in {**ACTIVE, **change}.items() if value is not None}
    found = only(check(environ), "environment-drift", Severity.WARNING)
    assert found.evidence == evidence
    assert next(iter(change)) in found.summary
    assert found.remedy == '`eval "$(nixenv export)"`'
    assert check(activated(environ)) == []


def test_a_variable_that_should_be_unset() -> None:
    """It drifts, too; what Python is led astray by is judged with Python."""
    environment = Environment((*PLAN.operations, Unset("TRITON_HOME")))
    found = only(
        check({**ACTIVE, "TRITON_HOME": "/x"}, environment), "environment-drift", Severity.WARNING
    )
    assert found.evidence == ("TRITON_HOME is /x", "TRITON_HOME should be unset")
    for leak in ({"PYTHONHOME": "/x"}, {"PYTHONPATH": f"/x:{ACTIVE['PYTHONPATH']}"}):
        assert check({**ACTIVE, **leak}) == []


def test_a_value_that_the_user_set() -> None:
    """It wins, so it is as it should be."""
    assert check({**ACTIVE, "SGLANG_PORT": "8080", "TRITON_CACHE_DIR": "/fast"}) == []


def test_long_lists_are_not_shown_whole() -> None:
    """A few entries, and how many more."""
    environment = Environment(
        (Set("CUDA_HOME", "/c"), Prepend("CPATH", tuple(f"/i{n}" for n in range(50))))
    )
    found = only(
        check({"CUDA_HOME": "/c", "CPATH": "/x"}, environment),
        "environment-drift",
        Severity.WARNING,
    )
    assert found.evidence == (*(f"CPATH lacks /i{n}" for n in range(5)), "CPATH lacks 45 more")


VALUES = st.text(alphabet=st.sampled_from("/abc:;é\udcff\n ")).filter(lambda text: "\0" not in text)


@given(st.dictionaries(st.sampled_from([*ACTIVE, "PYTHONHOME", "LD_LIBRARY_PATH"]), VALUES))
def test_no_values_are_too_odd(change: dict[str, str]) -> None:
    """Whatever they are, activating leaves nothing to say of them."""
    environ = activated({**ACTIVE, **change})
    files = tuple(
        ForeignFile(name, entry, "x")
        for name in ("CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH")
        for entry in environ.get(name, "").split(":")
    )
    check({**ACTIVE, **change}, foreign_files=files)
    assert check(environ) == []


# What comes from elsewhere -----------------------------------------------------------------------


def foreign(variable: str, entry: str, name: str) -> tuple[ForeignFile, ...]:
    return (ForeignFile(variable, entry, name),)


@pytest.mark.parametrize(
    ("variable", "name"), [("CPATH", "cuda_runtime.h"), ("LIBRARY_PATH", "libcudart.so")]
)
def test_directories_of_the_machine_before_the_closures(variable: str, name: str) -> None:
    """They win, and that is a warning; behind the closure's they fill its gaps, which is a note."""
    entry = "/usr/local/cuda/x"
    files = foreign(variable, entry, name)
    before = {**ACTIVE, variable: f"{entry}:{ACTIVE[variable]}"}
    found = only(
        check(before, foreign_files=files), "environment-foreign-entries", Severity.WARNING
    )
    assert found.evidence == (f"{entry}/{name}",)
    assert check(follow(found.remedy, before)) == []
    after = {**ACTIVE, variable: f"{ACTIVE[variable]}:{entry}"}
    found = only(check(after, foreign_files=files), "environment-foreign-entries", Severity.NOTE)
    assert check(follow(found.remedy, after)) == []


def test_what_the_closure_lacks_may_be_added() -> None:
    """A directory with nothing but that is there on purpose."""
    environ = {**ACTIVE, "CPATH": f"/home/u/cuda:{ACTIVE['CPATH']}"}
    files = foreign("CPATH", "/home/u/cuda", "cublasLt.h")
    machine = Machine("x86_64", variables=environ, foreign_files=files)
    wanted = resolve(PLAN, environ)
    for held, told in ((("cublasLt.h",), 1), (("cuda_runtime.h",), 0)):
        found = check_environment(wanted, machine, STORE, NAME, closure_files=held)
        assert [f.code for f in found] == ["environment-foreign-entries"] * told


def test_directories_of_the_machine_in_a_shell_that_is_not_active() -> None:
    """Activation puts the closure's in front: a note."""
    environ = {**PLAIN, "CPATH": "/usr/local/cuda/include"}
    files = foreign("CPATH", "/usr/local/cuda/include", "cuda_runtime.h")
    found = check(environ, foreign_files=files)
    assert [(finding.code, finding.severity) for finding in found] == [
        ("environment-not-active", Severity.NOTE),
        ("environment-foreign-entries", Severity.NOTE),
    ]


def test_libraries_of_the_machine_at_run_time() -> None:
    """They come before those that the closure's programs name; the remedy keeps the rest."""
    environ = {**ACTIVE, "LD_LIBRARY_PATH": "/usr/lib/wsl/lib:/opt/conda/lib"}
    files = foreign("LD_LIBRARY_PATH", "/opt/conda/lib", "libstdc++.so.6")
    found = only(
        check(environ, foreign_files=files), "environment-foreign-entries", Severity.WARNING
    )
    assert found.evidence == ("/opt/conda/lib/libstdc++.so.6",)
    assert found.remedy == "`export LD_LIBRARY_PATH=/usr/lib/wsl/lib`"
    alone = {**ACTIVE, "LD_LIBRARY_PATH": "/opt/conda/lib"}
    assert check(alone, foreign_files=files)[0].remedy == "`unset LD_LIBRARY_PATH`"


# Sizes -------------------------------------------------------------------------------------------


def test_a_value_near_the_limit() -> None:
    """In bytes, name included, as Linux counts; what is over it stops the export instead."""
    long = "é" * (LONG // 2)
    found = only(
        check(activated({**PLAIN, "CPATH": f"/{long}"})), "value-near-limit", Severity.WARNING
    )
    assert found.remedy == '`unset CPATH; eval "$(nixenv export)"`'
    assert check(activated({**PLAIN, "CPATH": f"/{long[:-100]}"})) == []
    variables = {"CPATH": "x" * VARIABLE_LIMIT}
    machine = Machine("x86_64", variables=variables)
    assert list(check_environment(variables, machine, STORE, NAME)) == []


def test_a_value_that_the_closure_makes_long() -> None:
    """Layout linked does without it."""
    entries = [
        f"{STORE}/{number:032}-python3.12-x/lib/python3.12/site-packages" for number in range(1200)
    ]
    environment = Environment((Set("PYTHONPATH", ":".join(entries)),))
    found = only(
        check(activated({}, environment), environment), "value-near-limit", Severity.WARNING
    )
    assert found.remedy == 'in a new shell, `eval "$(nixenv export --layout linked)"`'
    assert found.evidence[0].startswith("PYTHONPATH: 1200 entries")


@pytest.mark.parametrize(
    ("name", "words"), [("PATH", "take entries off PATH"), ("SGLANG_MODEL", "a shorter value")]
)
def test_a_value_that_the_user_makes_long(name: str, words: str) -> None:
    """It is the user's to shorten."""
    environment = Environment((Default(name, "x"),))
    environ = {**PLAIN, name: f"/{'x' * LONG}"}
    assert words in only(check(environ, environment), "value-near-limit", Severity.WARNING).remedy


# Directories, ports, CPU -------------------------------------------------------------------------


def test_caches_that_cannot_be_written() -> None:
    """One finding for all of them, with the system's words for each."""
    states = (
        DirectoryState("TRITON_CACHE_DIR", "/cache/triton", "Read-only file system"),
        DirectoryState("SGLANG_CACHE_DIR", "/cache/sglang", ""),
        DirectoryState("TVM_FFI_CACHE_DIR", "/cache/tvm", "Permission denied"),
    )
    found = only(check(directories=states), "cache-directory-unwritable", Severity.ERROR)
    assert found.evidence == (
        "TRITON_CACHE_DIR=/cache/triton: Read-only file system",
        "TVM_FFI_CACHE_DIR=/cache/tvm: Permission denied",
    )
    assert "2 caches" in found.summary
    assert "TRITON_CACHE_DIR" in check(directories=states[:1])[0].summary


def test_a_port_that_is_taken() -> None:
    """Who listens and the next free port, where they are known."""
    state = PortState(
        "SGLANG_PORT", 30000, "in use", taken=True, holder="python (pid 7)", free=30002
    )
    found = only(check(ports=(state,)), "port-in-use", Severity.WARNING)
    assert found.evidence == ("who listens: python (pid 7)",)
    assert found.remedy == "`export SGLANG_PORT=30002`"
    unknown = PortState("SGLANG_PORT", 30000, "in use", taken=True)
    found = only(check(ports=(unknown,)), "port-in-use", Severity.WARNING)
    assert "cannot be told" in found.evidence[0]


def test_a_port_that_cannot_be_had() -> None:
    """Another port where that is the fault, another host where it is the host."""
    privileged = PortState("SGLANG_PORT", 80, "Permission denied", free=1024)
    found = only(check(ports=(privileged,)), "port-unavailable", Severity.ERROR)
    assert found.remedy == "`export SGLANG_PORT=1024`"
    elsewhere = PortState("SGLANG_PORT", 80, "Cannot assign requested address")
    assert "host" in check(ports=(elsewhere,))[0].remedy


@pytest.mark.parametrize(
    ("avx2", "name", "says"),
    [
        (True, NAME, False),
        (None, NAME, False),
        (False, NAME, True),
        (False, NAME.replace("avx2", "cpu"), False),
        (False, NAME.replace("avx2", "noavx2x"), False),
        (False, "sglang-0.5.9", False),
    ],
)
def test_a_cpu_without_avx2(avx2: bool | None, name: str, *, says: bool) -> None:
    """Only where the package's name asks for it, and the CPU is known to have none."""
    machine = Machine("x86_64", avx2=avx2, variables=ACTIVE)
    found = list(check_environment(resolve(PLAN, ACTIVE), machine, STORE, name))
    assert [finding.code for finding in found] == (["cpu-no-avx2"] if says else [])


# Followed on the fixture closure -----------------------------------------------------------------


def look(environ: Mapping[str, str]) -> list[Finding]:
    """Judge the real environment of the fixture closure, with nothing but the machine's own."""
    material = gather(Selection(), environ)
    inventory, environment, _ = plan(material, Selection(), environ)
    assert inventory.interpreter is not None
    variables = resolve(environment, environ)
    values = {name: value or "" for name, value in variables.items()}
    machine = probe_machine(
        environ,
        names=tuple(variables),
        python=inventory.interpreter.version,
        directories={name: values[name] for name in material.profile.cache},
        ports={"SGLANG_PORT": values["SGLANG_PORT"]},
    )
    root = material.root.path
    store_dir = environ["NIX_STORE_DIR"]
    return list(check_environment(variables, machine, store_dir, store_name(root)))


def follow(remedy: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables after a remedy, run in a real bash."""
    done = subprocess.run(
        [
            "/bin/bash",
            "--norc",
            "--noprofile",
            "-e",
            "-c",
            f"{command_in(remedy)}\nexec /usr/bin/env -0",
        ],
        env=dict(environ),
        capture_output=True,
        check=True,
    )
    pairs = (os.fsdecode(item).split("=", 1) for item in done.stdout.rstrip(b"\0").split(b"\0"))
    return {name: value for name, value in dict(pairs).items() if name not in ("_", "SHLVL", "PWD")}


@pytest.fixture
def active(nixenv_on_path: dict[str, str]) -> dict[str, str]:
    """The environment of a shell in which the fixture's environment was activated."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    environ = {**nixenv_on_path, "SGLANG_PORT": str(port)}
    return follow('`eval "$(nixenv export)"`', environ)


def test_activation_cures_inactivity(
    nixenv_on_path: dict[str, str], active: dict[str, str]
) -> None:
    """The remedy is the one command that it names."""
    before = {**nixenv_on_path, "SGLANG_PORT": active["SGLANG_PORT"]}
    found = only(look(before), "environment-not-active", Severity.NOTE)
    assert look(follow(found.remedy, before)) == []
    assert look(active) == []


def test_activation_cures_drift(active: dict[str, str]) -> None:
    """All of it at once."""
    del active["PYTHONNOUSERSITE"], active["TRITON_CACHE_DIR"]
    active |= {"CUDA_HOME": "/usr/local/cuda", "LIBRARY_PATH": "/usr/lib"}
    found = [finding for finding in look(active) if finding.code == "environment-drift"]
    assert len(found) == 1
    codes = [finding.code for finding in look(follow(found[0].remedy, active))]
    assert "environment-drift" not in codes


def test_foreign_headers_and_libraries_are_cured(active: dict[str, str], tmp_path: Path) -> None:
    """Each remedy takes its own away, and nothing of the closure's."""
    for directory, name in (("include", "cuda_runtime.h"), ("lib", "libcudart.so.12")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / name).write_text("")
    active["CPATH"] = f"{tmp_path}/include:{active['CPATH']}:{tmp_path}/kept"
    active["LD_LIBRARY_PATH"] = f"/nowhere:{tmp_path}/lib"
    found = look(active)
    assert [finding.code for finding in found] == ["environment-foreign-entries"] * 2
    assert [finding.severity for finding in found] == [Severity.WARNING] * 2
    for finding in found:
        active = follow(finding.remedy, active)
    assert look(active) == []
    assert active["LD_LIBRARY_PATH"] == "/nowhere"
    assert active["CPATH"].endswith(f":{tmp_path}/kept")


def test_caches_in_the_way_of_a_file_are_cured(active: dict[str, str], tmp_path: Path) -> None:
    """The remedy moves them to where everything can be written, also for root."""
    (tmp_path / "file").write_text("")
    active |= {"TRITON_CACHE_DIR": f"{tmp_path}/file/triton", "SGLANG_CACHE_DIR": "/proc/sglang"}
    found = only(look(active), "cache-directory-unwritable", Severity.ERROR)
    cured = follow(found.remedy, active)
    assert look(cured) == []
    directory = Path(cured["TRITON_CACHE_DIR"])
    assert directory.is_dir()
    for made in sorted(directory.parent.rglob("*"), reverse=True):
        made.rmdir()
    directory.parent.rmdir()


def test_a_taken_port_is_cured(active: dict[str, str]) -> None:
    """By the next one that is free."""
    with socket.create_server(("127.0.0.1", int(active["SGLANG_PORT"]))):
        found = only(look(active), "port-in-use", Severity.WARNING)
        assert str(os.getpid()) in found.evidence[0]
        assert look(follow(found.remedy, active)) == []


def test_a_port_that_is_none_is_cured(active: dict[str, str]) -> None:
    """The profile's own port takes its place."""
    found = only(look({**active, "SGLANG_PORT": "http"}), "port-invalid", Severity.ERROR)
    cured = follow(found.remedy, {**active, "SGLANG_PORT": "http"})
    assert cured["SGLANG_PORT"] == "30000"
    assert "port-invalid" not in [finding.code for finding in look(cured)]


# One activation after another ---------------------------------------------------------------------

FORMER = NAME.replace("0.5.9", "0.5.8")


def former(name: str, environment: str = "/flox/env") -> ActivationRecord:
    return ActivationRecord(
        f"{STORE}/{'a' * 32}-{name}", "sglang", "", environment, "", "", {}, {}, {}
    )


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        (former(FORMER), "environment-outdated"),
        (former(NAME), "environment-outdated"),
        (former("vllm-0.11.0"), "environment-not-active"),
        (former(FORMER, "/other/env"), "environment-not-active"),
    ],
)
def test_what_was_activated_before(earlier: ActivationRecord, code: str) -> None:
    """The program's former self in this environment, or another program: never a leak."""
    machine = Machine("x86_64", variables={"FLOX_ENV": "/flox/env"})
    (finding,) = check_environment({"CUDA_HOME": "/c"}, machine, STORE, NAME, earlier=earlier)
    assert (finding.code, finding.evidence[0]) == (code, f"active: {earlier.root}")
    assert command_in(finding.remedy) == 'eval "$(nixenv export)"'


def test_a_program_that_was_replaced_is_found_and_cured(
    nixenv_on_path: dict[str, str], sglang: SglangClosure
) -> None:
    """The link that PATH finds leads elsewhere than when the shell was activated; nothing leaks."""
    replaced = f'mkdir -p ~/bin && ln -s {sglang.unwrapped}/bin/* ~/bin/ && PATH=~/bin:"$PATH"'
    path = f"{sglang.unwrapped}/bin:{nixenv_on_path['PATH']}"
    new = codes(inspect({**nixenv_on_path, "PATH": path}))
    found = codes(inspect(nixenv_on_path, replaced))
    assert sorted(found) == sorted([*new, "environment-outdated"])
    left = codes(inspect(nixenv_on_path, replaced, 'eval "$(nixenv export)"'))
    assert sorted(left) == sorted(new)


def test_a_value_of_the_users_own(nixenv: Nixenv, environ: dict[str, str]) -> None:
    """It is shown as theirs, with what ours would be; also in JSON and on the page."""
    mine = {**environ, "SGLANG_PORT": "8080"}
    assert (
        "SGLANG_PORT=8080  (yours; ours would be 30000)" in nixenv("inspect", environ=mine).stdout
    )
    told = json.loads(nixenv("inspect", "--json", environ=mine).stdout)["overridden"]
    assert told["SGLANG_PORT"] == "30000"
    page = nixenv("inspect", "--html", "-", environ=mine).stdout
    assert "yours; ours would be <code>30000</code>" in page
    assert "ours would be" not in nixenv("inspect").stdout


def test_a_default_that_an_activation_has_set_is_not_the_users(
    nixenv_on_path: dict[str, str],
) -> None:
    """Its value is ours, of this activation or of one with other options."""
    with_cache = 'eval "$(nixenv export --cache-dir ~/elsewhere)"'
    assert "environment-drift" not in codes(inspect(nixenv_on_path, with_cache))
