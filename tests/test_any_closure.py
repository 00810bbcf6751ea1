"""What `snapshot` writes, `--from` reads: of any closure, whatever its files hold."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import probe_distributions
from nixenv.evidence.toolkit_files import probe_toolkit_files
from nixenv.road.probe import probe_closure
from nixenv.road.query import Closure, Origin
from nixenv.snapshot import Snapshot, dump_snapshot, parse_snapshot
from nixenv.storepath import StorePath
from tests.real_shells import SEARCH_PATH

ROOT, PYTHON, CUDA = (
    f"{letter * 32}-{name}"
    for letter, name in (("a", "prog-1"), ("b", "python3-3.12.1"), ("c", "cuda12.8-cuda_nvcc-12.8"))
)
SITE = "lib/python3.12/site-packages"

# Where they are in a store object, and what is odd about them: {store} is the store directory.
PLACES = st.sampled_from(
    [
        *("bin/prog", "bin/.prog-wrapped", "bin/python3.12", "bin/nvcc", "bin/nvcc.profile"),
        *("nix-support/propagated-build-inputs", "nix-support/include-in-cudatoolkit-root"),
        *(f"{SITE}/a.pth", f"{SITE}/a-1.dist-info/METADATA", f"{SITE}/a-1.dist-info/RECORD"),
        *(f"{SITE}/a-1.dist-info/WHEEL", f"{SITE}/torch/version.py", f"{SITE}/nvidia/cu13/lib/x"),
        *("include/crt/host_config.h", "include/cuda_runtime.h", "lib/libcudart.so", "lib/stubs/x"),
        *("pyvenv.cfg", f"{SITE}/\udcff\n.py", f"{SITE}/nvidia_cuda_nvcc-13.0.1.dist-info/x"),
        *("nvvm/bin/cicc", f"{SITE}/nvidia/cu13/bin/nvcc", "lib64/libx.so"),
    ]
)
LINKS = st.sampled_from(["lib", "lib64", "include", "include/cccl", "lib/stubs", SITE, "bin"])
LINES = st.sampled_from(
    [
        *(
            "#!/bin/sh",
            f"#!{{store}}/{PYTHON}/bin/python3.12 -s",
            f"{{store}}/{PYTHON}",
            "\0",
            "\udcff",
        ),
        *(
            f'exec "{{store}}/{PYTHON}/bin/python3.12" "$@"',
            "export PYTHONPATH='{store}/x/../y/.:a'",
        ),
        *("export A='\0b'", "export NIX_PYTHONPATH='/outside:.'", "PATH={store}/x//y:$PATH"),
        *(
            "Name: caf\u00e9\udcff",
            "Version: 1\0",
            "Requires-Dist: x",
            "Tag: a-b-c",
            "cuda = '12.8'",
        ),
        *(
            "compiler-bindir = {store}/x/../bin\0",
            "#if __GNUC__ > 14",
            "..",
            "/",
            "inner/../.",
            "./a",
        ),
        *("home = {store}/x/../y", "import site; site.addsitedir('{store}/x/..')", "#error --"),
        f'exec -a "$0" "{{store}}/{ROOT}/bin/.prog-wrapped" "$@"',
        "import functools;functools.reduce(lambda k, p: site.addsitedir(p, k), ['{store}/./y'], 1)",
    ]
)
FILES = st.dictionaries(PLACES, st.lists(LINES, max_size=6).map("\n".join), max_size=8)
OBJECTS = st.fixed_dictionaries(
    {
        name: st.tuples(
            FILES,
            st.dictionaries(
                LINKS,
                st.sampled_from(["/usr/share/doc", "..", f"../{CUDA}/lib", "nowhere", "."]),
                max_size=2,
            ),
        )
        for name in (PYTHON, CUDA, ROOT)
    }
)


def make(place: Path, store: str, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    place.mkdir(parents=True)

    def put(path: str, write: Callable[[Path], object]) -> None:
        file = place / path
        try:
            # Nothing is written through a link that leads out.
            if Path(os.path.realpath(file.parent)).is_relative_to(place) and not file.is_symlink():
                file.parent.mkdir(parents=True, exist_ok=True)
                write(file)
        except OSError:
            pass  # a link or a file is in its place

    # The innermost first: what is behind a link is another's.
    for path, target in sorted(links.items(), reverse=True):
        put(path, lambda file, target=target: file.symlink_to(target))  # type: ignore[misc]
    for path, text in files.items():
        data = os.fsencode(text.replace("{store}", store))
        put(path, lambda file, data=data: (file.write_bytes(data), file.chmod(0o755)))  # type: ignore[misc]


@settings(deadline=None)
@given(OBJECTS)
def test_any_closure_is_read_back(
    objects: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]],
) -> None:
    """The very notes, and so the very environment."""
    with tempfile.TemporaryDirectory() as base:
        store = f"{os.path.realpath(base)}/store"
        for name, (files, links) in objects.items():
            make(Path(store, name), store, files, links)
        paths = tuple(StorePath(f"{store}/{name}") for name in objects)
        probe = probe_closure(Closure(paths[-1], paths, Origin.NIX, "snapshot f"), "prog")
        contents = Contents(probe_distributions(probe), probe_toolkit_files(probe), None)
    closure = Closure(paths[-1], paths, Origin.NIX, "snapshot f")
    snapshot = Snapshot("prog", closure, probe, contents)
    assert parse_snapshot(dump_snapshot(snapshot), "f") == snapshot
    for found in probe.objects:
        for directory in (*found.library_dirs, *found.include_dirs, *found.stub_dirs):
            assert directory.startswith(f"{store}/")


def test_a_store_behind_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nix knows it by the link (NIX_IGNORE_SYMLINK_STORE), and so does whoever asks for it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("NIX_IGNORE_SYMLINK_STORE", "1")
    store = PrivateStore.create(tmp_path / "real")
    object.__setattr__(store, "base", tmp_path / "link")
    root = load_synthetic_closure(store, 60, python=Path(sys.executable).resolve())
    environ = {
        **store.environ,
        "NIX_IGNORE_SYMLINK_STORE": "1",
        "PATH": f"{root}/bin:{SEARCH_PATH}",
        "HOME": str(tmp_path),
    }

    def nixenv(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "nixenv", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    # As nixpkgs has it: lib64 is a link to lib.
    cudart = next(Path(store.store_dir).glob("*-cuda_cudart-12.8.90-lib"))
    (cudart / "lib64").symlink_to(f"{cudart.resolve()}/lib")
    live = nixenv("export")
    assert f"{tmp_path}/real" not in live
    file = tmp_path / "snapshot.json"
    nixenv("snapshot", "-o", str(file))
    assert nixenv("export", "--from", str(file)) == live
    shutil.rmtree(tmp_path / "real")


def test_a_directory_behind_a_link_out_of_the_store(tmp_path: Path) -> None:
    """It is no part of the closure: it is not exported."""
    store = PrivateStore.create(tmp_path / "nix")
    root = load_synthetic_closure(store, 60, python=Path(sys.executable).resolve())
    cudart = next(Path(store.store_dir).glob("*-cuda_cudart-12.8.90-lib"))
    shutil.move(cudart / "lib", tmp_path / "outside")
    (cudart / "lib").symlink_to(tmp_path / "outside")
    environ = {**store.environ, "PATH": f"{root}/bin:{SEARCH_PATH}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "nixenv", "export"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cuda_cudart-12.8.90-dev/include" in done.stdout
    assert "/outside" not in done.stdout
