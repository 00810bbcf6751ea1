"""What a profile says, and NIXENV_ROOT: the same by command as by the hook, cold and warm."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from tests.conftest import Nixenv
from tests.hook.scene import HOOK, Environ, activate, environment_after

LAYOUTS = ("store", "linked")

# Each table, and values that have to be worked out.
PROFILE = """\
extends = "vllm"
root = "{flox_env}"
binary = "sglang"
[set]
HELD = "{cuda_home}/x"
JSON = '{"a": ["b", {}]}'
[prepend]
LD_LIBRARY_PATH = "{library_dirs}"
FRONT = "{root}/front:{flox_env}/front"
[append]
BACK = "{root}/back"
[unset]
GONE = true
TVM_FFI_GPU_BACKEND = true
[cache]
OWN_CACHE = "own/deep"
"""
USERS = {
    "HELD": "mine",
    "FRONT": "/mine::/mine",
    "BACK": ":/mine",
    "GONE": "mine",
    "LD_LIBRARY_PATH": "/mine",
    "OWN_CACHE": "/mine",
}


@pytest.fixture
def profiled(environ: Environ, tmp_path: Path) -> Environ:
    """With that profile."""
    file = tmp_path / "own.toml"
    file.write_text(PROFILE)
    environ["NIXENV_PROFILE"] = str(file)
    return environ


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("users", [{}, USERS], ids=["nothing set", "all set"])
def test_what_a_profile_says_is_there_warm_and_once(
    layout: str,
    users: Environ,
    profiled: Environ,
    nixenv: Nixenv,
    calls: Callable[[], int],
    tmp_path: Path,
) -> None:
    """As `nixenv export` has it; the hook asks nixenv once, and twice in a shell is as once."""
    environ = {**profiled, "NIXENV_LAYOUT": layout, **users}
    told = json.loads(nixenv("export", "--shell", "json", environ=environ).stdout)["variables"]
    source = f"source {shlex.quote(str(HOOK))}"
    for before in (":", ":", f"{source}; {source}"):
        done = activate(environ, before=before)
        assert (done.returncode, done.stderr) == (0, "")
        found = environment_after(done)
        assert {name: found.get(name) for name in told} == told
    assert calls() == 1
    assert (found["HELD"], found["JSON"]) == (f"{found['CUDA_HOME']}/x", '{"a": ["b", {}]}')
    root = str(Path(environ["FLOX_ENV"]).resolve())
    mine = ["/mine"] if users else []
    front = (f"{root}/front", f"{environ['FLOX_ENV']}/front", *mine)
    assert found["FRONT"].split(":") == [*dict.fromkeys(front)]
    assert found["BACK"].split(":") == [*mine, f"{root}/back"]
    libraries = found["LD_LIBRARY_PATH"].split(":")
    assert libraries[len(libraries) - len(mine) :] == mine
    assert all(os.path.isdir(path) for path in libraries[: len(libraries) - len(mine)])
    assert not {"GONE", "TVM_FFI_GPU_BACKEND"} & found.keys()
    assert found["OWN_CACHE"] == ("/mine" if users else f"{tmp_path}/cache/own/deep")


def test_another_activation_takes_back_what_a_profile_set(profiled: Environ) -> None:
    """The values, and the entries of lists; what the user has stays."""
    users = {"FRONT": "/mine", "BACK": "/mine"}
    source = f"source {shlex.quote(str(HOOK))}"
    after = f"NIXENV_PROFILE=sglang; {source} || exit; env -0 >&3"
    found = environment_after(activate({**profiled, **users}, after=after))
    assert (found["FRONT"], found["BACK"]) == ("/mine", "/mine")
    assert not {"HELD", "JSON", "LD_LIBRARY_PATH", "OWN_CACHE"} & found.keys()


def test_a_root_in_the_profile_is_noticed_when_it_leads_elsewhere(
    environ: Environ, calls: Callable[[], int], sglang: SglangClosure, tmp_path: Path
) -> None:
    """A link, as `nix build` leaves one: another build is another environment."""
    link, file = tmp_path / "result", tmp_path / "own.toml"
    file.write_text(f'extends = "python-cuda"\nroot = "{link}"\n')
    environ["NIXENV_PROFILE"] = str(file)
    for number, root in enumerate((sglang.root, sglang.cpu), start=1):
        link.unlink(missing_ok=True)
        link.symlink_to(root)
        for _ in ("cold", "warm"):
            found = environment_after(activate(environ))
            assert f"root:{root} " in found["NIXENV_ACTIVATION"]
        assert calls() == number


def test_a_layout_in_the_profile_gives_way_to_the_one_that_is_asked_for(
    environ: Environ, nixenv: Nixenv, tmp_path: Path
) -> None:
    """By option or variable."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "sglang"\nlayout = "linked"\n')
    environ["NIXENV_PROFILE"] = str(file)
    for _ in ("cold", "warm"):
        assert "VIRTUAL_ENV" in environment_after(activate(environ))
    asked = {**environ, "NIXENV_LAYOUT": "store"}
    assert "VIRTUAL_ENV" not in environment_after(activate(asked))
    assert "VIRTUAL_ENV=" not in nixenv("export", "--layout", "store", environ=environ).stdout
    report = json.loads(nixenv("inspect", "--json", environ=environ).stdout)
    assert report["layout"] == "linked"


def test_the_root_that_is_named_in_the_environment_is_every_commands(
    environ: Environ, nixenv: Nixenv, sglang: SglangClosure
) -> None:
    """NIXENV_ROOT, below --root; a snapshot, which has its own, is replayed all the same."""
    environ["NIXENV_ROOT"] = sglang.joined
    exported = nixenv("export", "--shell", "json")
    ran = nixenv("run", "--", "printenv", "NIXENV_ACTIVATION")
    inspected = json.loads(nixenv("inspect", "--json").stdout)
    for text in (exported.stdout, ran.stdout, json.dumps(inspected["root"])):
        assert sglang.joined in text
    assert sglang.root in nixenv("export", "--root", sglang.root).stdout
    recorded = nixenv("snapshot", "--no-machine").stdout
    assert json.loads(recorded)["root"] == sglang.joined
    file = Path(environ["FLOX_ENV_CACHE"]).with_name("recorded.json")
    file.write_text(recorded)
    done = nixenv("export", "--from", str(file))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_root_in_a_flox_environment_that_is_not_active_is_refused(
    environ: Environ, nixenv: Nixenv, tmp_path: Path
) -> None:
    """With what to do; a root that is named does."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "sglang"\nroot = "{flox_env}"\n')
    flox_env = environ.pop("FLOX_ENV")
    environ["NIXENV_PROFILE"] = str(file)
    done = nixenv("export")
    assert (done.returncode, done.stdout) == (2, "")
    assert "FLOX_ENV is not set" in done.stderr
    assert nixenv("export", "--root", flox_env).returncode == 0


def test_a_variable_that_is_left_out_is_told(
    environ: Environ, nixenv: Nixenv, sglang: SglangClosure, tmp_path: Path
) -> None:
    """By the hook each time; where there is no CUDA at all, by inspect alone."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "sglang"\n[set]\nDUMP = "{cuobjdump}"\n')
    environ["NIXENV_PROFILE"] = str(file)
    for _ in ("cold", "warm"):
        done = activate(environ)
        assert "DUMP is not set: there is no {cuobjdump} here" in done.stderr
        assert "DUMP" not in environment_after(done)
    file.write_text('extends = "python-cuda"\n[set]\nDUMP = "{cuobjdump}"\n')
    arguments = ("--root", sglang.cpu)
    assert nixenv("export", *arguments).stderr == ""
    findings = json.loads(nixenv("inspect", "--json", *arguments).stdout)["findings"]
    (told,) = [found for found in findings if found["summary"].startswith("DUMP ")]
    assert (told["code"], told["severity"]) == ("profile-value-left-out", "note")
