"""A closure made of what a machine has: its CUDA toolkit, its PyTorch, and wheels that it lacks.

For machines without Nix and network. The closure is recorded in a requisites.txt, as in a pod.
"""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nixenv.road.query import Closure
from nixenv.storepath import StorePath
from tests.manual_gpu.toolkit_root import (
    PYTHON,
    Splitter,
    Wiring,
    find_toolkit,
    link_or_copy,
    split_toolkit,
)

# What loads CUDA's libraries has to lie in the store itself: such files find each other by their
# own real places.
_COPIED = frozenset({"nvidia", "torch"})


def make_closure(
    base: Path, wheels: Iterable[Path] = (), wiring: Wiring = Wiring.BINDIR
) -> tuple[Closure, dict[str, str]]:
    """Make the closure, and the variables by which nixenv finds it.

    The root is a program `torchrun`, with the machine's modules.

    Args:
        base: An empty directory.
        wheels: Distributions that get a store object each.
        wiring: How nvcc finds what it needs.
    """
    splitter, closure = split_toolkit(find_toolkit(), base / "store", wiring)
    root = Path(closure.root)
    _fill_site_packages(root / f"lib/python{PYTHON}/site-packages")
    (root / "bin").mkdir()
    program = root / "bin/torchrun"
    program.write_text(f"#!{sys.executable}\nfrom torch.distributed.run import main\nmain()\n")
    program.chmod(0o755)
    objects = tuple(StorePath(str(_unpack(wheel, splitter))) for wheel in wheels)
    closure = closure._replace(paths=(*objects, *closure.paths))
    (base / "flox").mkdir()
    (base / "flox/requisites.txt").write_text("".join(f"{path}\n" for path in closure.paths))
    return closure, {
        "NIX_STORE_DIR": str(base / "store"),
        "FLOX_ENV": str(base / "flox"),
        "FLOX_ENV_CACHE": str(base / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _fill_site_packages(site: Path) -> None:
    site.mkdir(parents=True)
    for directory in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
        for entry in Path(directory).iterdir():
            if entry.name in _COPIED:
                shutil.copytree(entry, site / entry.name, copy_function=link_or_copy)
            elif not (site / entry.name).is_symlink() and entry.suffix != ".pth":
                (site / entry.name).symlink_to(entry)


def _unpack(wheel: Path, splitter: Splitter) -> Path:
    name, version = wheel.name.split("-")[:2]
    path = splitter.object(f"python{PYTHON}-{name}-{version}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(path / f"lib/python{PYTHON}/site-packages")
    return path


def run_nixenv(*arguments: str, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run nixenv with the modules of this process, whatever Python's variables are."""
    start = f"import sys; sys.path[:] = {sys.path!r}; from nixenv.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-I", "-c", start, *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
