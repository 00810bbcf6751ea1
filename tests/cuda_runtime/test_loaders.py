"""What packages load at run time, where the machine has a CUDA of its own at all usual places."""

import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import frozen

from fixtures.closure import SglangClosure
from fixtures.jit import JitPrograms
from fixtures.wheels import fetch, fetch_wheels
from tests.cuda_runtime import loaders
from tests.linked.scene import Activated, activate
from tests.machine import overlaying

WHEELS = Path(__file__).with_name("wheels.txt")
WANTED = ("flashinfer/jit/__init__.py", "cuda/pathfinder/")

USUAL = "usr/local/cuda"
LIBRARIES = f"usr/lib/{platform.machine()}-linux-gnu"


@frozen
class Loaded:
    """What came of loading.

    Attributes:
        gave: What each loader gave: a path, or None.
        mapped: The files of CUDA's that the process had mapped in the end.
    """

    gave: Mapping[str, str | None]
    mapped: tuple[str, ...]


@frozen
class Machine:
    """A machine with CUDA 12.8 at the usual places; only commands with these beginnings see it.

    Attributes:
        everywhere: Below /usr/local/cuda, among the machine's libraries, in /etc/ld.so.cache.
        beyond_the_loader: Below /usr/local/cuda alone. The loader of a Nix store knows neither of
            the other two; the fixtures' Python has the machine's loader.
    """

    everywhere: tuple[str, ...]
    beyond_the_loader: tuple[str, ...]

    def load(self, environ: Mapping[str, str], *names: str, by_loader: bool = True) -> Loaded:
        """Start Python in an environment and let packages load one after another.

        Args:
            environ: The environment.
            names: What is to load.
            by_loader: Whether the loader too finds the machine's CUDA.
        """
        beginning = self.everywhere if by_loader else self.beyond_the_loader
        packages = fetch(WHEELS, _unpack)
        done = subprocess.run(
            [*beginning, "python3", loaders.__file__, str(packages), *names],
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        return Loaded(said["gave"], tuple(said["mapped"]))


def _unpack(wheels: Path, destination: Path) -> None:
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if name.startswith(WANTED)]
            archive.extractall(destination, wanted)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    tree = tmp_path_factory.mktemp("machine")
    runtime = fetch_wheels().runtime / "nvidia/cuda_runtime"
    toolkit = f"{USUAL}/targets/{platform.machine()}-linux/lib"
    for place in (toolkit, f"{USUAL}/lib64", LIBRARIES):
        shutil.copytree(runtime / "lib", tree / place, symlinks=True)
    shutil.copytree(runtime / "include", tree / USUAL / "include")
    usual = (tree / "usr/local", "/usr/local")
    libraries = (tree / LIBRARIES, f"/{LIBRARIES}")
    with_cuda = (_make_cache(tree / "with", overlaying(usual), f"/{toolkit}"), "/etc")
    without = (_make_cache(tree / "without", overlaying(usual)), "/etc")
    return Machine(overlaying(usual, libraries, with_cuda), overlaying(usual, without))


def _make_cache(directory: Path, beginning: tuple[str, ...], *searched: str) -> Path:
    """Make an ld.so.cache without what the machine's own configuration adds to it."""
    directory.mkdir()
    files = ("-f", "/dev/null", "-C", f"{directory}/ld.so.cache")
    subprocess.run([*beginning, "/sbin/ldconfig", "-X", *files, *searched], check=True)
    return directory


def strays(loaded: Loaded, activated: Activated) -> list[str]:
    """Name what was loaded and is not of the store."""
    store = f"{activated.environ['NIX_STORE_DIR']}/"
    return [file for file in loaded.mapped if not file.startswith(store)]


def test_without_an_environment_they_load_the_machines(
    machine: Machine, sglang: SglangClosure, tmp_path: Path
) -> None:
    """Each of them, so what follows can fail."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    active = activate(sglang.store, sglang.root, tmp_path / "cache")
    for name in ("flashinfer", "sgl_kernel", "pathfinder-cudart"):
        loaded = machine.load(bare, name)
        assert strays(loaded, active) == list(loaded.mapped) != [], name


def test_in_layout_linked_the_process_has_the_closures_alone(
    machine: Machine, sglang: SglangClosure, tmp_path: Path
) -> None:
    """flashinfer, then sgl_kernel, then whoever asks cuda.pathfinder: one libcudart, one file."""
    active = activate(sglang.store, sglang.root, tmp_path / "cache")
    loaded = machine.load(active.environ, "flashinfer", "sgl_kernel", "pathfinder-cudart")
    assert strays(loaded, active) == []
    (library,) = loaded.mapped
    assert Path(library).name.startswith("libcudart.so.12")
    assert Path(str(loaded.gave["pathfinder-cudart"])).resolve() == Path(library)


@pytest.mark.parametrize(
    ("name", "by_loader"), [("sgl_kernel", True), ("pathfinder-cudart", False)]
)
def test_in_layout_linked_each_finds_it_by_itself(
    machine: Machine, sglang: SglangClosure, name: str, tmp_path: Path, *, by_loader: bool
) -> None:
    """Through CUDA_HOME and CUDA_PATH; but cuda.pathfinder asks the loader before them."""
    active = activate(sglang.store, sglang.root, tmp_path / "cache")
    loaded = machine.load(active.environ, name, by_loader=by_loader)
    assert len(loaded.mapped) == 1
    assert strays(loaded, active) == []


def test_in_layout_store_flashinfer_loads_the_closures(
    machine: Machine, sglang: SglangClosure, tmp_path: Path
) -> None:
    """Through CUDA_LIB_PATH; and whoever asks cuda.pathfinder later gets the same."""
    active = activate(sglang.store, sglang.root, tmp_path / "cache", layout="store")
    loaded = machine.load(active.environ, "flashinfer", "pathfinder-cudart")
    assert len(loaded.mapped) == 1
    assert strays(loaded, active) == []


def test_in_layout_store_sgl_kernel_takes_the_machines(
    machine: Machine, sglang: SglangClosure, tmp_path: Path
) -> None:
    """CUDA_HOME is nvcc alone: cuda-home-partial says so, and this is why."""
    active = activate(sglang.store, sglang.root, tmp_path / "cache", layout="store")
    loaded = machine.load(active.environ, "sgl_kernel")
    assert strays(loaded, active) == list(loaded.mapped) != []


def test_a_closure_of_another_major_keeps_flashinfer_from_the_machines(
    machine: Machine, jit: JitPrograms, tmp_path: Path
) -> None:
    """flashinfer asks for libcudart.so.12 by name; beside CUDA 13 it is not there."""
    for layout in ("store", "linked"):
        active = activate(jit.store, jit.roots["bindir"], tmp_path / layout, layout=layout)
        assert machine.load(active.environ, "flashinfer").mapped == ()


def test_pathfinder_finds_the_whole_toolkit_in_layout_linked(
    machine: Machine, jit: JitPrograms, tmp_path: Path
) -> None:
    """libcudart, libnvvm and the headers, as numba-cuda, cuda-bindings and CuPy ask for them."""
    active = activate(jit.store, jit.roots["bindir"], tmp_path / "cache")
    names = ("pathfinder-headers", "pathfinder-nvvm", "pathfinder-cudart")
    loaded = machine.load(active.environ, *names, by_loader=False)
    gave = {name: os.path.realpath(str(path)) for name, path in loaded.gave.items()}
    home = active.cuda_home
    assert gave == {
        "pathfinder-headers": f"{home}/include",
        "pathfinder-nvvm": os.path.realpath(home / "nvvm/lib64/libnvvm.so.4"),
        "pathfinder-cudart": os.path.realpath(home / "lib/libcudart.so.13"),
    }
    assert strays(loaded, active) == []


def test_pathfinder_finds_nothing_of_it_in_layout_store(
    machine: Machine, jit: JitPrograms, tmp_path: Path
) -> None:
    """CUDA_PATH is nvcc alone, and its libnvvm is in nvvm/lib: cuda-home-partial says so."""
    active = activate(jit.store, jit.roots["bindir"], tmp_path / "cache", layout="store")
    names = ("pathfinder-headers", "pathfinder-nvvm", "pathfinder-cudart")
    loaded = machine.load(active.environ, *names, by_loader=False)
    assert not any(str(path).startswith(jit.store.store_dir) for path in loaded.gave.values())
