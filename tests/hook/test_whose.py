"""Other users of the machine: what they put into a shared cache directory is never used."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hook.scene import Environ, activate, activation_file, environment_after
from tests.machine import NEEDS_ROOT
from tests.real_shells import require_tool

pytestmark = NEEDS_ROOT

ATTACKER = 65534


@pytest.fixture
def shared(environ: Environ) -> Iterator[Path]:
    """A directory as /tmp is, with FLOX_ENV_CACHE set to it: everybody may write there."""
    with tempfile.TemporaryDirectory(prefix="nixenv-shared-") as directory:
        path = Path(directory)
        path.chmod(0o1777)
        environ["FLOX_ENV_CACHE"] = directory
        yield path


def as_attacker(script: str, *arguments: str) -> None:
    """Run a shell script as another user of this machine."""
    identity = (f"--reuid={ATTACKER}", f"--regid={ATTACKER}", "--clear-groups")
    argv = [require_tool("setpriv"), *identity, "sh", "-euc", script, "sh", *arguments]
    subprocess.run(argv, check=True, cwd="/", env={"PATH": "/usr/bin:/bin"}, umask=0)


def plant(source: Path, target: Path) -> None:
    """Let the attacker have a copy of something in the shared directory."""
    way = Path(tempfile.mkdtemp(prefix="nixenv-way-"))
    try:
        shutil.copytree(source, way / "copy", symlinks=True)
        for place, _, files in os.walk(way):
            Path(place).chmod(0o755)
            for file in files:
                if not os.path.islink(f"{place}/{file}"):
                    Path(place, file).chmod(0o644)
        as_attacker('cp -R -P "$1" "$2"', str(way / "copy"), str(target))
    finally:
        shutil.rmtree(way)


def runs_foreign_code(environ: Environ, mark: Path) -> bool:
    """Say whether a first `python` in the activated environment runs what was planted."""
    done = activate(environ, after="python3 -c pass >&2; env -0 >&3")
    assert done.returncode == 0, done.stderr
    return mark.exists()


def test_another_users_farm_is_not_used(environ: Environ, shared: Path, tmp_path: Path) -> None:
    """It has the right name, the right record and a .pth file: the victim builds its own."""
    environ["NIXENV_LAYOUT"] = "linked"
    whole = environment_after(activate({**environ, "FLOX_ENV_CACHE": str(tmp_path / "cache")}))
    site = next(Path(whole["VIRTUAL_ENV"]).glob("lib/python*/site-packages"))
    mark = shared / "pwned"
    (site / "evil.pth").write_text(f"import os; open({str(mark)!r}, 'w')\n")
    assert runs_foreign_code({**environ, "FLOX_ENV_CACHE": str(tmp_path / "cache")}, mark)
    mark.unlink()
    plant(tmp_path / "cache/nixenv", shared / "nixenv")
    record = next((shared / "nixenv/linked").glob("python*/nixenv-farm.json"))
    as_attacker('sed -i "s|$1|$2|" "$3"', str(tmp_path / "cache"), str(shared), str(record))
    for _ in ("cold", "warm"):
        assert not runs_foreign_code(environ, mark)
    assert environment_after(activate(environ))["VIRTUAL_ENV"].startswith(f"{shared}/nixenv-0/")


def test_another_users_activation_file_is_not_evaluated(
    environ: Environ, shared: Path, calls: Callable[[], int]
) -> None:
    """Nor is anything kept beside it; the victim's own is kept, and used, in its own directory."""
    activate(environ)
    file = activation_file(environ)
    spoiled = file.read_text().replace("\0end\0", "\ntouch pwned\0end\0")
    shutil.rmtree(shared / "nixenv")
    plant_text(spoiled, shared / "nixenv" / file.name)
    for number in (2, 2):
        assert activate(environ, before=f"cd {shared}").returncode == 0
        assert calls() == number
    assert not (shared / "pwned").exists()
    assert (shared / "nixenv-0").stat().st_mode & 0o777 == 0o700


def plant_text(text: str, target: Path) -> None:
    """Let the attacker write a file, in a directory that everybody may write."""
    script = 'mkdir "$(dirname "$2")"; printf %s "$1" | tr "\\1" "\\0" >"$2"'
    as_attacker(script, text.replace("\0", "\1"), str(target))


@pytest.mark.parametrize("made", ["directory", "open directory", "link", "file"])
def test_another_users_compilers_cache_is_not_used(
    made: str, environ: Environ, shared: Path
) -> None:
    """Compiled kernels are code: TRITON_CACHE_DIR is a directory of the victim's own."""
    scripts = {
        "directory": 'mkdir "$1"',
        "open directory": 'mkdir -m 777 "$1"',
        "link": 'mkdir "$1-target"; ln -s "$1-target" "$1"',
        "file": ': >"$1"',
    }
    as_attacker(scripts[made], str(shared / "triton"))
    for _ in ("cold", "warm"):
        done = activate(environ)
        assert done.returncode == 0, done.stderr
        found = environment_after(done)
        assert found["TRITON_CACHE_DIR"] == f"{shared}/triton-0"
        assert found["TORCH_EXTENSIONS_DIR"] == f"{shared}/torch-extensions"
    status = (shared / "triton-0").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o700)


def test_a_cache_that_was_replaced_since_is_not_used(
    environ: Environ, shared: Path, calls: Callable[[], int]
) -> None:
    """Where others may rename what is not theirs, the warm hook sees that it is not ours now."""
    shared.chmod(0o777)
    activate(environ)
    as_attacker('mv "$1" "$1-before"; mkdir -m 777 "$1"', str(shared / "triton"))
    done = activate(environ)
    assert environment_after(done)["TRITON_CACHE_DIR"] == f"{shared}/triton-0"
    assert calls() == 2


def test_where_both_names_are_taken_nothing_is_set(environ: Environ, shared: Path) -> None:
    """The message names the directory, and how to choose one of one's own."""
    as_attacker('mkdir "$1" "$1-0"', str(shared / "triton"))
    done = activate(environ, after="echo ${CUDA_HOME-unset} >&3")
    assert (done.returncode, done.stdout) == (1, "unset\n")
    assert f"{shared}/triton belongs to user {ATTACKER}" in done.stderr
    assert "FLOX_ENV_CACHE or --cache-dir" in done.stderr


def test_a_directory_of_ones_own_that_others_can_write_is_left_alone(
    environ: Environ, tmp_path: Path
) -> None:
    """It may be meant for them; nixenv's own goes beside it."""
    cache = tmp_path / "cache"
    (cache / "nixenv").mkdir(parents=True)
    (cache / "nixenv").chmod(0o770)
    for _ in ("cold", "warm"):
        assert activate(environ).returncode == 0
    assert list((cache / "nixenv").iterdir()) == []
    assert len(list((cache / "nixenv-0").glob("activation-*"))) == 1
