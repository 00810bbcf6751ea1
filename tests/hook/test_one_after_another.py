"""One activation after another in one shell: what is set is what the last alone would have set."""

import itertools
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fixtures.closure import SglangClosure, describe_interpreter
from nixenv import Selection
from nixenv.request import export
from nixenv.road.record import parse_record
from nixenv.road.variables import RECORD_VARIABLE
from tests.conftest import Nixenv
from tests.hook.scene import HOOK, Environ, activate, environment_after
from tests.real_shells import EVAL, evaluate

PROGRAMS = Path(__file__).with_name("programs.nix")

# What a user has set: it is there after each activation, behind or instead of what nixenv sets.
USERS = {
    "CPATH": "/mine/include:/other/include",
    "SGLANG_PORT": "8080",
    "TRITON_CACHE_DIR": "/mine/triton",
    "MINE": "it's mine",
}


@pytest.fixture(scope="module")
def programs(sglang: SglangClosure) -> str:
    """An environment with the three programs."""
    return sglang.store.build(PROGRAMS, describe_interpreter(Path(sys.executable)))


@pytest.fixture
def three(environ: Environ, programs: str) -> Environ:
    """With the three programs on PATH."""
    first, _, rest = environ["PATH"].partition(":")
    return {**environ, "PATH": f"{first}:{programs}/bin:{rest}"}


class Step(NamedTuple):
    """An activation by command: what is asked for, and in which shell."""

    program: str
    layout: str
    profile: str
    shell: str


def take(step: Step, environ: Mapping[str, str], directory: Path) -> Environ:
    """Activate as `eval "$(nixenv export …)"` does, in a real shell."""
    selection = Selection(binary=step.program, layout=step.layout, profile=step.profile)
    text, _ = export(selection, step.shell, environ)
    found = evaluate(EVAL[step.shell], text, dict(environ), directory)
    return {**{name: environ[name] for name in ("HOME", "LANG")}, **found}


LAYOUTS = st.sampled_from(["store", "linked"])
SHELLS = st.sampled_from(["bash", "zsh"])
WITH_CUDA = st.sampled_from(["sglang", "proga", "progb"])
STEPS = st.builds(
    Step, WITH_CUDA, LAYOUTS, st.sampled_from(["sglang", "vllm", "python-cuda"]), SHELLS
) | st.builds(Step, st.just("progc"), LAYOUTS, st.just("python-cuda"), SHELLS)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=2, max_size=4), mine=st.sets(st.sampled_from(sorted(USERS))))
@example(
    steps=[Step("proga", "store", "sglang", "bash"), Step("progc", "linked", "python-cuda", "zsh")],
    mine={"CPATH"},
)
@example(
    steps=[Step("progb", "linked", "vllm", "zsh"), Step("proga", "store", "sglang", "bash")],
    mine=set(),
)
def test_any_sequence_ends_in_the_environment_of_the_last(
    three: Environ, tmp_path: Path, steps: list[Step], mine: set[str]
) -> None:
    """Plus what the user had set: programs, layouts, profiles and shells in any order."""
    before = {**three, **{name: USERS[name] for name in mine}}
    found: Environ = before
    for step in steps:
        found = take(step, found, tmp_path)
    assert found == take(steps[-1], before, tmp_path)


def profile_of(program: str, directory: Path) -> str:
    file = directory / f"{program}.toml"
    file.write_text(
        f'binary = "{program}"\npath = ["nvcc", "host-compiler"]\ncompiler = true\n'
        f'[cache]\nTRITON_CACHE_DIR = "{program}-triton"\n[defaults]\n{program.upper()} = "1"\n'
    )
    return shlex.quote(str(file))


@pytest.mark.parametrize("layout", ["store", "linked"])
def test_the_hook_leaves_nothing_of_the_program_before(
    layout: str, three: Environ, tmp_path: Path
) -> None:
    """CUDA 12.8, CUDA 13.0 and none, in every order; kept texts are used where they are right."""
    three["NIXENV_LAYOUT"] = layout
    source = f"source {shlex.quote(str(HOOK))} || exit"
    alone = {}
    for program in ("proga", "progb", "progc"):
        file = profile_of(program, tmp_path)
        done = activate({**three, **USERS}, before=f"NIXENV_PROFILE={file}")
        assert (done.returncode, done.stderr) == (0, "")
        alone[program] = environment_after(done)
    for order in itertools.permutations(alone):
        *earlier, last = (f"NIXENV_PROFILE={profile_of(program, tmp_path)}" for program in order)
        before = "; ".join((*(f"{setting}; {source}" for setting in earlier), last))
        done = activate({**three, **USERS}, before=before)
        assert (done.returncode, done.stderr) == (0, "")
        assert environment_after(done) == alone[order[-1]], order


def test_a_kept_text_takes_nothing_back(three: Environ, tmp_path: Path) -> None:
    """What is kept is for a shell without an earlier activation, whoever made it."""
    first, second = (profile_of(program, tmp_path) for program in ("proga", "progc"))
    source = f"source {shlex.quote(str(HOOK))} || exit"
    activate(three, before=f"NIXENV_PROFILE={first}; {source}; NIXENV_PROFILE={second}")
    own = {"CUDA_HOME": "/mine", "CC": "mine"}
    found = environment_after(activate({**three, **own}, before=f"NIXENV_PROFILE={second}"))
    assert {name: found[name] for name in own} == own


def test_what_the_user_changed_after_an_activation_is_the_users(
    three: Environ, tmp_path: Path
) -> None:
    """A value that is not as it was set, and entries that the user added, stay."""
    environ = take(Step("proga", "store", "python-cuda", "bash"), three, tmp_path)
    environ["CUDA_HOME"] = "/usr/local/cuda"
    environ["PATH"] = f"/mine/bin:{environ['PATH']}:/last/bin"
    found = take(Step("progc", "store", "python-cuda", "bash"), environ, tmp_path)
    assert found["CUDA_HOME"] == "/usr/local/cuda"
    assert "/mine/bin" in found["PATH"].split(":")
    assert found["PATH"].split(":")[-1] == "/last/bin"
    assert "cuda_nvcc" not in found["PATH"]
    assert "CPATH" not in found


def test_the_interpreter_that_was_put_on_path_is_not_the_program(
    environ: Environ, sglang: SglangClosure, tmp_path: Path
) -> None:
    """`eval "$(nixenv export python3)"` twice: the modules are still there."""
    environ["PATH"] = f"{sglang.with_packages}/bin:{environ['PATH']}"
    python = Step("python3", "store", "python-cuda", "bash")
    once = take(python, environ, tmp_path)
    assert once["PYTHONPATH"]
    assert take(python, once, tmp_path) == once


def test_the_record_of_another_environment_makes_a_hook_cold(
    environ: Environ, calls: Callable[[], int], tmp_path: Path
) -> None:
    """And it keeps nothing, although it may find a text of its own that was kept before."""
    inner = tmp_path / "inner"
    inner.symlink_to(environ["FLOX_ENV"])
    nested = {**environ, "FLOX_ENV": str(inner), "FLOX_ENV_CACHE": str(tmp_path / "inner-cache")}
    outer = environment_after(activate(environ))
    for number in (2, 3):
        found = environment_after(activate({**outer, **nested_only(nested, environ)}))
        assert calls() == number
    assert found["TRITON_CACHE_DIR"] == f"{tmp_path}/inner-cache/triton"
    assert list(Path(nested["FLOX_ENV_CACHE"], "nixenv").glob("activation-*")) == []


def nested_only(nested: Environ, outer: Environ) -> Environ:
    return {name: value for name, value in nested.items() if outer.get(name) != value}


def test_the_settings_of_an_outer_environment_are_not_the_inner_ones(
    environ: Environ, nixenv: Nixenv, tmp_path: Path
) -> None:
    """NIXENV_PROFILE, exported by an outer hook, gives way to the inner project's nixenv.toml."""
    project = tmp_path / "project"
    (project / ".flox/run").mkdir(parents=True)
    inner = project / ".flox/run/inner.dev"
    inner.symlink_to(environ["FLOX_ENV"])
    own = 'binary = "sglang"\n[defaults]\nINNER = "1"\n'
    (project / "nixenv.toml").write_text(own)
    outer = tmp_path / "outer.toml"
    outer.write_text('binary = "sglang"\n[defaults]\nOUTER = "1"\n')
    settings = {"NIXENV_PROFILE": str(outer), "NIXENV_LAYOUT": "linked"}
    around = environment_after(activate({**environ, **settings}))
    assert around["OUTER"] == "1"
    flox = {
        "FLOX_ENV": str(inner),
        "FLOX_ENV_PROJECT": str(project),
        "FLOX_ENV_CACHE": str(tmp_path / "inner-cache"),
    }
    found: Mapping[str, str] = {**around, **flox}
    for _ in ("first", "service"):
        found = environment_after(activate({**found}))
        assert (found.get("INNER"), found.get("OUTER")) == ("1", None)
        assert "VIRTUAL_ENV" not in found
        assert found["NIXENV_PROFILE"] == str(outer)
    commanded = nixenv("export", "--shell", "dotenv", environ={**around, **flox})
    assert "INNER=1\n" in commanded.stdout
    # Said for the inner one, it counts.
    said = activate({**around, **flox}, before=f"export NIXENV_PROFILE={project}/nixenv.toml")
    assert environment_after(said)["INNER"] == "1"
    (project / "nixenv.toml").unlink()
    assert environment_after(activate({**around, **flox}))["OUTER"] == "1"


@pytest.mark.parametrize(
    "record",
    [
        "$(touch ran)",
        "'; touch ran; '",
        "1 root:/x profile:$(touch ran) python:/p environment: A`touch`=1-00000000",
        "1 " + "x" * 100_000,
        "2 root:/x",
    ],
    ids=["substitution", "quote", "names", "long", "version"],
)
def test_a_hostile_record_runs_nothing(record: str, environ: Environ, tmp_path: Path) -> None:
    """It is data; one that is not ours is as none, but then nothing is kept."""
    environ[RECORD_VARIABLE] = record
    done = activate(environ, before=f"cd {shlex.quote(str(tmp_path))}")
    assert (done.returncode, done.stderr) == (0, "")
    assert environment_after(done)["CUDA_HOME"]
    assert not (tmp_path / "ran").exists()
    assert list(Path(environ["FLOX_ENV_CACHE"], "nixenv").glob("activation-*")) == []


def test_the_record_is_small_and_tells_the_interpreter(environ: Environ) -> None:
    """Some kilobytes in each environment; who starts the program's Python reads it there."""
    found = environment_after(activate(environ))
    assert len(found[RECORD_VARIABLE]) < 4096
    record = parse_record(found[RECORD_VARIABLE])
    assert os.access(record.python, os.X_OK)
    told = (record.profile, record.environment, record.cache)
    assert told == ("sglang", environ["FLOX_ENV"], environ["FLOX_ENV_CACHE"])
