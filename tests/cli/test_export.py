"""`nixenv export` on the closure that real Nix built: the main job, and each trap in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from tests.conftest import Nixenv
from tests.real_shells import EVAL, LANGUAGE, SHELLS, SOURCE, evaluate

CXX_SOURCE = """\
#include <cuda.h>
#include <cuda_runtime.h>
#include <nv/target>
int main() {
  int devices = 0;
  NV_IF_TARGET(NV_IS_HOST, (devices = 1;))
  return cuInit(0) + cudaGetDeviceCount(&devices) + devices;
}
"""


def variables(nixenv: Nixenv, *arguments: str) -> dict[str, str | None]:
    done = nixenv("export", "--shell", "json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)["variables"]
    return found


def entries(value: str | None) -> list[str]:
    return (value or "").split(":")


def modules(nixenv: Nixenv, *arguments: str) -> list[str]:
    """The store names of the site-packages on PYTHONPATH, in order."""
    paths = entries(variables(nixenv, *arguments)["PYTHONPATH"])
    found = [path for path in paths if path.endswith("/site-packages")]
    return [path.split("/")[-4].partition("-")[2] for path in found]


def test_the_program_imports_its_own_versions(
    nixenv: Nixenv, sglang: SglangClosure, environ: dict[str, str], tmp_path: Path
) -> None:
    """`pythonX.Y -c 'import sglang'` works, all parts come from the store, the right packaging."""
    after = evaluate(EVAL["bash"], nixenv("export").stdout, environ, tmp_path)
    python = f"python{sglang.python_minor}"
    done = subprocess.run(
        [python, "-m", "sglang.check_env"], env=after, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["packaging"]["version"] == "25.0"
    assert {found[f"acme_ns.{part}"]["version"] for part in ("one", "two", "three")} == {
        "1.1.0",
        "2.2.0",
        "3.3.0",
    }
    # Of cutlass the directory is named by a .pth file, which PYTHONPATH does not process.
    assert [name for name, module in found.items() if module is None] == []
    for name, module in found.items():
        assert module is None or module["file"].startswith(f"{sglang.store.store_dir}/"), name


def test_a_cuda_program_compiles_and_links_with_nothing_else(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """g++ finds the real headers and libraries through CPATH and LIBRARY_PATH alone."""
    after = evaluate(EVAL["bash"], nixenv("export").stdout, environ, tmp_path)
    source = tmp_path / "program.cc"
    source.write_text(CXX_SOURCE)
    subprocess.run(
        ["g++", source, "-o", tmp_path / "program", "-lcudart", "-lcuda"],
        env={name: after[name] for name in ("PATH", "CPATH", "LIBRARY_PATH")},
        check=True,
    )
    dynamic = subprocess.run(
        ["readelf", "-d", tmp_path / "program"], capture_output=True, text=True, check=True
    )
    assert "libcudart.so.12" in dynamic.stdout
    assert "libcuda.so.1" in dynamic.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_ends_up_with_the_same_environment(
    shell: str, nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """The text in each shell's language makes what `json` calls the final values."""
    before = {**environ, "CPATH": ":/usr/include::/opt/include:/usr/include", "CC": "/usr/bin/cc"}
    before["PYTHONHOME"] = "/elsewhere"
    text = nixenv("export", "--shell", LANGUAGE[shell], environ=before)
    assert text.returncode == 0, text.stderr
    found = evaluate(SOURCE[shell], text.stdout, before, tmp_path)
    final = json.loads(nixenv("export", "--shell", "json", environ=before).stdout)["variables"]
    expected = {**before, **final}
    assert found == {
        name: value
        for name, value in expected.items()
        if value is not None and name not in ("HOME", "LANG")
    }
    assert evaluate(SOURCE[shell], text.stdout, found, tmp_path) == found


def test_the_interpreter_is_the_wrappers(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Not -env, not -minimal, not 3.14, though all come first or look newer."""
    paths = entries(variables(nixenv)["PATH"])
    assert paths[0] == f"{sglang.objects[f'python3-{sglang.python_version}']}/bin"


def test_the_programs_own_order_comes_first(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """packaging 25.0 wins over 20.9, which Nix lists before it."""
    found = modules(nixenv)
    script = Path(sglang.root, "bin/.sglang-wrapped").read_text()
    own = re.findall(r"'[^']*/[0-9a-z]{32}-([^/']+)/lib/python", script.split("\n")[1])
    assert found[: len(own)] == own
    names = list(sglang.objects)
    wrong, right = (f"python{sglang.python_minor}-packaging-{v}" for v in ("20.9", "25.0"))
    assert names.index(wrong) < names.index(right)
    assert found.index(right) < found.index(wrong)


def test_all_that_the_walk_found_is_there_once(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Every site-packages of the version in the closure, no other version's, and a path line."""
    tail = f"lib/python{sglang.python_minor}/site-packages"
    walked = [f"{path}/{tail}" for path in sglang.objects.values() if Path(path, tail).is_dir()]
    cutlass = sglang.objects[f"python{sglang.python_minor}-nvidia-cutlass-dsl-4.3.4"]
    line = f"{cutlass}/{tail}/nvidia_cutlass_dsl/python_packages"
    found = entries(variables(nixenv)["PYTHONPATH"])
    assert sorted(found) == sorted((*walked, line))
    assert found.index(line) == found.index(f"{cutlass}/{tail}") + 1


def test_without_a_wrapper_the_propagated_inputs_are_walked(
    nixenv: Nixenv, sglang: SglangClosure
) -> None:
    """It gives what nixpkgs wrote into the wrapper, without the interpreter that all propagate."""
    own = modules(nixenv)[:16]
    walked = modules(nixenv, "--root", sglang.unwrapped)[:16]
    assert walked == own


def test_a_with_packages_environment_is_a_root(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Its own site-packages come first, and its script's shebang names the interpreter: itself."""
    found = variables(nixenv, "--root", sglang.with_packages)
    assert entries(found["PYTHONPATH"])[0].startswith(f"{sglang.with_packages}/lib/")
    assert entries(found["PATH"])[0] == f"{sglang.with_packages}/bin"


def test_cuda_home_has_the_compiler(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Not the -dev output, which Nix lists first and whose name matches as well."""
    home = variables(nixenv)["CUDA_HOME"]
    assert home == sglang.objects["cuda12.8-cuda_nvcc-12.8.93"]
    assert os.access(f"{home}/bin/nvcc", os.X_OK)


def test_members_of_the_toolkit(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Marked or named, of version 12.8; lib64 is no second directory; stubs last, 13.0 nowhere."""
    found = variables(nixenv)
    names = [path.replace(sglang.store.store_dir, "")[34:] for path in entries(found["CPATH"])]
    assert sorted(names) == [
        "cuda12.8-cuda_cccl-12.8.90/include",
        "cuda12.8-cuda_cudart-12.8.90-dev/include",
        "cuda12.8-cuda_nvcc-12.8.93-dev/include",
        "cuda12.8-cuda_nvcc-12.8.93/include",
        "cuda_profiler_api-12.8.90/include",
    ]
    names = [
        path.replace(sglang.store.store_dir, "")[34:] for path in entries(found["LIBRARY_PATH"])
    ]
    stubs = [name for name in names if "stubs" in name]
    assert sorted(names[: -len(stubs)]) == [
        "cuda12.8-cuda_cccl-12.8.90/lib",
        "cuda12.8-cuda_cudart-12.8.90-lib/lib",
        "cuda12.8-libcublas-12.8.4.1-lib/lib",
        "cuda_nvrtc-12.8.93-lib/lib",
    ]
    assert "cuda12.8-cuda_cudart-12.8.90-stubs/lib/stubs" in stubs
    assert names[-len(stubs) :] == stubs


def test_the_host_compiler_is_the_one_that_nvcc_names(
    nixenv: Nixenv, sglang: SglangClosure
) -> None:
    """Not the older wrapper that is in the closure as well; and what the user set stays."""
    wrapper = sglang.objects["gcc-wrapper-14.3.0"]
    assert variables(nixenv)["CC"] == f"{wrapper}/bin/gcc"
    assert variables(nixenv)["CXX"] == f"{wrapper}/bin/g++"


def test_a_joined_toolkit_is_the_cuda_home(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """cuda-merged holds everything under one root."""
    done = nixenv("export", "--shell", "json", "--root", sglang.joined, "--profile", "vllm")
    home = json.loads(done.stdout)["variables"]["CUDA_HOME"]
    assert home.endswith("-cuda-merged-12.8")


def test_a_closure_without_cuda_is_fine(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """hf gets its Python, and the CUDA variables are not touched."""
    found = variables(nixenv, "--root", sglang.cpu, "--profile", "python-cuda")
    assert found["PYTHONPATH"]
    assert not {"CUDA_HOME", "CPATH", "LIBRARY_PATH"} & found.keys()


def test_nix_is_asked_exactly_once(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path, sglang: SglangClosure
) -> None:
    """One process, with these arguments."""
    calls = tmp_path / "calls"
    counting = tmp_path / "bin"
    counting.mkdir()
    real = Path(environ["NIX_BIN"]).parent / "nix-store"
    script = counting / "nix-store"
    script.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\nexec "{real}" "$@"\n')
    script.chmod(0o755)
    environ["PATH"] = f"{counting}:{environ['PATH']}"
    assert nixenv("export").returncode == 0
    assert calls.read_text() == f"-qR {sglang.root}\n"


def test_nix_is_found_beside_nix_bin(
    nixenv: Nixenv, environ: dict[str, str], sglang: SglangClosure
) -> None:
    """In a Flox hook nix-store is not on PATH; NIX_BIN names its neighbour."""
    environ["PATH"] = f"{sglang.flox_env}/bin"
    assert nixenv("export").returncode == 0


def test_without_nix_the_recorded_requisites_serve(
    nixenv: Nixenv, environ: dict[str, str], sglang: SglangClosure
) -> None:
    """In a container requisites.txt has no order, but the wrapper has: the same modules win."""
    live = modules(nixenv)
    environ["PATH"] = f"{sglang.flox_env}/bin"
    del environ["NIX_BIN"]
    recorded = modules(nixenv)
    assert recorded[:16] == live[:16]
    assert "requisites.txt" in nixenv("inspect").stdout


@pytest.mark.parametrize("lines", ["echo cannot open the database >&2; exit 1", "exec /nowhere"])
def test_where_nix_cannot_work_the_recorded_requisites_serve(
    lines: str, nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """With a warning, and with Nix's own words; inspect has both as a finding."""
    live = modules(nixenv)
    (tmp_path / "nix-store").write_text(f"#!/bin/sh\n{lines}\n")
    (tmp_path / "nix-store").chmod(0o755)
    environ["PATH"] = f"{tmp_path}:{environ['PATH']}"
    assert modules(nixenv)[:16] == live[:16]
    done = nixenv("export")
    assert "warning: Nix is there and cannot list the closure: " in done.stderr
    assert f"{environ['FLOX_ENV']}/requisites.txt was taken" in done.stderr
    assert ("cannot open the database\n" in done.stderr) == ("database" in lines)
    findings = json.loads(nixenv("inspect", "--json").stdout)["findings"]
    (found,) = (found for found in findings if found["code"].startswith("nix-"))
    assert (found["code"], found["severity"]) == ("nix-failed", "warning")


def test_nix_that_cannot_work_where_the_record_is_of_another_environment(
    nixenv: Nixenv, environ: dict[str, str], sglang: SglangClosure, tmp_path: Path
) -> None:
    """Then Nix's failure is the error."""
    (tmp_path / "requisites.txt").write_text(f"{sglang.cpu}\n")
    (tmp_path / "nix-store").write_text("#!/bin/sh\necho no >&2; exit 1\n")
    (tmp_path / "nix-store").chmod(0o755)
    environ.update(PATH=f"{tmp_path}:{environ['PATH']}", FLOX_ENV=str(tmp_path))
    done = nixenv("export")
    assert (done.returncode, done.stdout) == (4, "")
    assert "failed (exit status 1); it said:\n    no\n" in done.stderr


def test_what_nix_says_on_success_is_passed_on(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """A warning of nix-store is no error, and is not swallowed either."""
    real = Path(environ["NIX_BIN"]).parent / "nix-store"
    noisy = tmp_path / "nix-store"
    noisy.write_text(f'#!/bin/sh\necho "warning: unknown setting" >&2\nexec "{real}" "$@"\n')
    noisy.chmod(0o755)
    environ["PATH"] = f"{tmp_path}:{environ['PATH']}"
    done = nixenv("export")
    assert done.returncode == 0
    assert "warning: unknown setting\n" in done.stderr
    assert "warning" not in done.stdout


def test_a_value_of_the_user_wins(nixenv: Nixenv, environ: dict[str, str]) -> None:
    """SGLANG_PORT=8080 flox activate."""
    environ["SGLANG_PORT"] = "8080"
    environ["CC"] = "/usr/bin/cc"
    found = variables(nixenv)
    assert (found["SGLANG_PORT"], found["CC"], found["SGLANG_HOST"]) == (
        "8080",
        "/usr/bin/cc",
        "0.0.0.0",
    )


def link_environment(project: Path, environment: str) -> Path:
    """Link an environment where Flox has those of a project."""
    run = project / ".flox/run"
    run.mkdir(parents=True)
    (run / "here.dev").symlink_to(environment)
    return run / "here.dev"


def test_a_profile_of_a_cloned_directory_is_not_read(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """`flox activate -r` makes the current directory the project: its nixenv.toml must be named."""
    file = tmp_path / "nixenv.toml"
    file.write_text('binary = "sglang"\n[defaults]\nMINE = "1"\n')
    environ["FLOX_ENV_PROJECT"] = str(tmp_path)
    assert "MINE" not in variables(nixenv)
    assert variables(nixenv, "--profile", str(file))["MINE"] == "1"


def test_the_projects_profile_is_taken(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """nixenv.toml in $FLOX_ENV_PROJECT goes before the built-in ones, --profile before it."""
    (tmp_path / "nixenv.toml").write_text('binary = "sglang"\n[defaults]\nMINE = "1"\n')
    environ["FLOX_ENV_PROJECT"] = str(tmp_path)
    environ["FLOX_ENV"] = str(link_environment(tmp_path, environ["FLOX_ENV"]))
    assert variables(nixenv)["MINE"] == "1"
    assert variables(nixenv, "sglang")["MINE"] == "1"
    assert "MINE" not in variables(nixenv, "--profile", "sglang")


def test_the_built_in_profile_is_that_of_the_program(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """`export sglang` takes sglang's; the root of another program gets python-cuda."""
    assert "SGLANG_PORT" in variables(nixenv, "sglang")
    found = variables(nixenv, "./other/bin/hf", "--root", sglang.cpu)
    assert "SGLANG_PORT" not in found
    assert "TRITON_CACHE_DIR" in found


def test_an_activated_environment_does_not_reach_nixenv_itself(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """Its PYTHONPATH holds a `packaging` that is only a name; the console script has its own."""
    after = evaluate(EVAL["bash"], nixenv("export").stdout, environ, tmp_path)
    script = Path(sys.executable).parent / "nixenv"
    done = subprocess.run(
        [script, "inspect", "--json"], env={**environ, **after}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
