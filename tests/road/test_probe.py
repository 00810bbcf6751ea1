"""What the probe notes of CUDA, on real files; the rest of it is proved on closures of real Nix."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from nixenv.road.cuda_files import CudaWheels, Torch
from nixenv.road.probe import StoreObject, look_further, probe_closure, probe_head
from nixenv.road.query import Closure, Origin, query_closure
from nixenv.storepath import StorePath

HASH = "ygd3s9zm1pf77n3q3ac63v58www5scbc"


def look(store: Path, name: str, files: Mapping[str, str]) -> StoreObject:
    """Write a store object and look at it."""
    path = store / f"{HASH}-{name}"
    for file, text in files.items():
        place = path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return look_again(path)


def look_again(path: Path) -> StoreObject:
    store_path = StorePath(str(path))
    probe = probe_closure(Closure(store_path, (store_path,), Origin.NIX, "test"), None)
    assert probe.faults == ()
    (found,) = probe.objects
    return found


def test_what_nvccs_files_say(tmp_path: Path) -> None:
    """Its compiler, the store paths that it names, and its tools; not itself."""
    other = f"{tmp_path}/{HASH}-cuda13.0-cuda_cccl-13.0.85"
    gcc = f"{tmp_path}/{HASH}-gcc-wrapper-14.3.0"
    home = f"{tmp_path}/{HASH}-cuda_nvcc-13.0.88"
    profile = f'INCLUDES += "-I{other}/include" "-I{home}/include"\ncompiler-bindir = {gcc}/bin\n'
    files = {"bin/nvcc": "\x7fELF", "bin/ptxas": "", "bin/nvcc.profile": profile, "bin/README": ""}
    found = look(tmp_path, "cuda_nvcc-13.0.88", files)
    assert found.programs == ("nvcc", "ptxas")
    assert found.host_compiler == f"{gcc}/bin"
    assert found.mentions == (other, gcc)


def test_what_nvcc_of_2026_says(tmp_path: Path) -> None:
    """It is a script, and its own crt is a link to cuda_crt."""
    crt = tmp_path / f"{HASH}-cuda13.0-cuda_crt-13.0.88/include/crt"
    crt.mkdir(parents=True)
    gcc = f"{tmp_path}/{HASH}-gcc-wrapper-15.2.0"
    script = f'#!/bin/sh\nexport NVCC_CCBIN="${{NVCC_CCBIN:-{gcc}/bin/c++}}"\n'
    found = look(tmp_path, "cuda13.0-cuda_nvcc-13.0.88", {"bin/nvcc": script, "include/x.h": ""})
    Path(found.path, "include/crt").symlink_to(crt)
    found = look_again(Path(found.path))
    assert found.host_compiler == f"{gcc}/bin/c++"
    assert found.mentions == (gcc, str(crt.parents[1]))


def test_the_headers_that_nvcc_includes(tmp_path: Path) -> None:
    """And which gcc they accept; CUDA 13's cccl directory is one more to look in."""
    config = "#if __GNUC__ > 15\n#error -- unsupported GNU version!\n"
    files = {"include/crt/host_config.h": config, "include/cccl/cuda_runtime.h": ""}
    found = look(tmp_path, "cuda-merged-13.0", files)
    assert found.headers == ("cuda_runtime.h", "crt/host_config.h")
    assert found.newest_gcc == 15
    assert found.include_dirs == (f"{found.path}/include", f"{found.path}/include/cccl")


def test_a_link_back_is_no_second_include_directory(tmp_path: Path) -> None:
    """include/cccl -> . of nixpkgs since 2026, and a link to itself."""
    found = look(tmp_path, "cuda_cccl-13.0.85", {"include/nv/target": ""})
    link = Path(found.path, "include/cccl")
    for target in (".", "cccl"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert look_again(Path(found.path)).include_dirs == (f"{found.path}/include",)


@pytest.mark.parametrize("kind", ["pipe", "directory", "dangling"])
@pytest.mark.parametrize("file", ["include/crt/host_config.h", "bin/nvcc.profile"])
def test_what_is_no_file_is_not_waited_for(file: str, kind: str, tmp_path: Path) -> None:
    """Nothing hangs, and nothing is raised."""
    found = look(tmp_path, "cuda_nvcc-12.8.93", {"bin/nvcc": "", "include/x.h": ""})
    place = Path(found.path, file)
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("nowhere")
    assert look_again(Path(found.path)) == found


@pytest.mark.parametrize(
    ("name", "libraries", "cudart"),
    [
        ("lib", ("libcudart.so.12",), "lib"),
        ("lib64", ("libcudart.so",), "lib64"),
        ("lib", ("libcudart_static.a", "libcublas.so"), None),
    ],
)
def test_where_libcudart_is(
    name: str, libraries: tuple[str, ...], cudart: str | None, tmp_path: Path
) -> None:
    """The shared one, of whatever version."""
    found = look(tmp_path, "x", {f"{name}/{library}": "" for library in libraries})
    assert found.cudart == (cudart and f"{found.path}/{cudart}")


def test_the_compilers(tmp_path: Path) -> None:
    """gcc, clang and those for another machine; what only begins like one is none."""
    names = ("gcc", "g++", "clang++", "aarch64-unknown-linux-gnu-g++", "gcc-ar", "c++filt", "cpp")
    found = look(tmp_path, "wrapper", {f"bin/{name}": "" for name in names})
    assert found.programs == ("aarch64-unknown-linux-gnu-g++", "clang++", "g++", "gcc")


SITE = "lib/python3.12/site-packages"


@pytest.mark.parametrize(
    ("text", "torch"),
    [
        ("cuda: Optional[str] = '12.8'\n", Torch("12.8")),
        ("cuda: Optional[str] = None\n", Torch(None)),
        ("\xff\0", Torch(None)),
    ],
)
def test_what_torch_was_built_for(text: str, torch: Torch, tmp_path: Path) -> None:
    """A torch for the CPU is one all the same: it is the one that is imported."""
    found = look(tmp_path, "python3.12-torch-2.9.1", {f"{SITE}/torch/version.py": text})
    assert found.torch == torch


def test_the_part_of_cuda_in_a_site_packages(tmp_path: Path) -> None:
    """nvidia/cu13 is laid out as a toolkit; cuda_nvcc of CUDA 12's wheels is not."""
    files = {
        f"{SITE}/nvidia/cu13/bin/nvcc": "",
        f"{SITE}/nvidia/cu13/bin/ptxas": "",
        f"{SITE}/nvidia/cu13/nvvm/bin/cicc": "",
        f"{SITE}/nvidia/cu13/include/cuda_runtime.h": "",
        f"{SITE}/nvidia/cu13/lib/libcudart.so.13": "",
        f"{SITE}/nvidia/cuda_nvcc/bin/ptxas": "",
        f"{SITE}/nvidia_cuda_nvcc-13.0.88.dist-info/METADATA": "",
    }
    found = look(tmp_path, "nvidia-cuda-nvcc-13.0.88", files)
    site = f"{found.path}/{SITE}"
    home = f"{site}/nvidia/cu13"
    assert found.wheels == (
        CudaWheels(
            home,
            site,
            version="13.0",
            programs=("nvcc", "ptxas", "cicc"),
            include_dirs=(f"{home}/include",),
            library_dirs=(f"{home}/lib",),
            headers=("cuda_runtime.h",),
            cudart=f"{home}/lib",
        ),
    )
    assert found.torch is None


def test_the_fixtures_nvcc_tells_its_limit(sglang: SglangClosure) -> None:
    """The real header of CUDA 12.8 takes gcc 14, as NVIDIA's documentation says."""
    nvcc = look_again(Path(sglang.objects["cuda12.8-cuda_nvcc-12.8.93"]))
    assert nvcc.newest_gcc == 14
    decoy = look_again(Path(sglang.objects["cuda13.0-cuda_cudart-13.0.48"]))
    assert decoy.newest_gcc is None


@pytest.mark.parametrize("last", ["bin/python3.12 run.py", "{python} run.py", "{python}", ".."])
def test_a_launcher_means_nothing_in_the_directory_of_who_asks(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is for whoever runs the program; ours may be anybody's project."""
    project = tmp_path / "project"
    for file in ("bin/python3.12", "modules/json.py", "lib/python3.12/os.py"):
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).touch()
    listed = "site.addsitedir(p, k), ['modules'], site._init_pathinfo()"
    (project / "run.py").write_text(f"functools.reduce(lambda k, p: {listed});\n")
    python = tmp_path / "store" / f"{HASH}-python3-3.12.12/bin/python3.12"
    python.parent.mkdir(parents=True)
    python.touch()
    command = last.format(python=python)
    root = StorePath(f"{tmp_path}/store/{HASH}-prog-1")
    Path(root, "bin").mkdir(parents=True)
    Path(root, "bin/prog").write_text(
        f"#!/bin/sh\nexport NIX_PYTHONPATH=.:modules\nexport PYTHONPATH=./modules\nexec {command}\n"
    )
    monkeypatch.chdir(project)
    launcher = probe_closure(Closure(root, (root,), Origin.NIX, "test"), "prog").launcher
    assert launcher is not None
    assert launcher.places == ()
    assert launcher.interpreter in (None, str(python))


def test_what_was_looked_at_before_is_not_looked_at_again(
    sglang: SglangClosure, environ: dict[str, str]
) -> None:
    """However much of it there was time for; what is not in the closure counts for nothing."""
    closure = query_closure(StorePath(sglang.root), sglang.store.store_dir, environ)
    outside = StorePath(f"{sglang.store.store_dir}/{HASH}-gone")
    paths = (outside, *sorted(closure.paths))
    whole = probe_closure(closure, "sglang")
    for rounds in (0, 1, 3, len(paths)):
        head = probe_head(closure.root, "sglang")
        known = set(head.notes)
        look_further(head, paths, map(bool, [*[True] * rounds, False]).__next__)
        assert set(head.notes) == known | {*paths[: 8 * rounds]}
        assert probe_closure(closure, "sglang", head=head) == whole
