"""`nixenv export --layout linked` and `nixenv inspect --layout linked`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from nixenv import Default, Prepend, Set, Unset, plan_environment
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms
from nixenv.road.profile import Profile
from tests.conftest import Nixenv
from tests.linked.scene import activate, plan_farms
from tests.real_shells import EVAL, LANGUAGE, SEARCH_PATH, SHELLS, evaluate

Planned = tuple[Inventory, Farms]


def test_the_plan_points_into_the_farms(planned: Planned) -> None:
    """And leaves CPATH and PYTHONNOUSERSITE alone."""
    inventory, farms = planned
    profile = Profile("p", path=("nvcc", "ninja", "host-compiler"), compiler=True)
    assert farms.toolkit is not None
    assert farms.virtualenv is not None
    assert inventory.ninja is not None
    assert inventory.host_compiler is not None
    assert [*plan_environment(inventory, profile, "/cache", farms)] == [
        Unset("PYTHONHOME"),
        Unset("PYTHONPATH"),
        Set("VIRTUAL_ENV", farms.virtualenv),
        Prepend(
            "PATH",
            (
                f"{farms.virtualenv}/bin",
                f"{farms.toolkit}/bin",
                f"{inventory.ninja.path}/bin",
                f"{inventory.host_compiler.path}/bin",
            ),
        ),
        Set("CUDA_HOME", farms.toolkit),
        Set("CUDA_PATH", farms.toolkit),
        Prepend("LIBRARY_PATH", (f"{farms.toolkit}/lib", f"{farms.toolkit}/lib/stubs")),
        Default("CC", f"{inventory.host_compiler.path}/bin/gcc"),
        Default("CXX", f"{inventory.host_compiler.path}/bin/g++"),
    ]


def test_a_closure_without_cuda_has_no_toolkit_root(sglang: SglangClosure, tmp_path: Path) -> None:
    """One farm, and CUDA_HOME left alone."""
    activated = activate(sglang.store, sglang.cpu, tmp_path)
    assert "CUDA_HOME" not in activated.environ
    (farm,) = (p for p in (tmp_path / "nixenv/linked").iterdir() if p.is_dir())
    assert farm == activated.virtualenv
    assert (
        activated.python("import huggingface_hub; print(huggingface_hub.__version__)") == "0.36.0"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_runs_the_program_in_it(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path, shell: str
) -> None:
    """The same text serves again and changes nothing."""
    done = nixenv("export", "--layout", "linked", "--shell", LANGUAGE[shell])
    assert done.returncode == 0, done.stderr
    once = evaluate(EVAL[shell], done.stdout, environ, tmp_path)
    assert evaluate(EVAL[shell], done.stdout, once, tmp_path) == once
    assert "PYTHONPATH" not in once
    ran = subprocess.run(
        ["python3", "-c", "import cutlass, sys; print(sys.prefix)"],
        env={**once, "PATH": once["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == once["VIRTUAL_ENV"]


def test_from_layout_store_to_linked_in_one_shell(
    nixenv: Nixenv, environ: dict[str, str], tmp_path: Path
) -> None:
    """What was on PYTHONPATH is off it."""
    store = evaluate(EVAL["bash"], nixenv("export").stdout, environ, tmp_path)
    text = nixenv("export", "--layout", "linked", environ=store).stdout
    linked = evaluate(EVAL["bash"], text, store, tmp_path)
    assert "PYTHONPATH" not in linked
    assert linked["PATH"].startswith(f"{linked['VIRTUAL_ENV']}/bin:{linked['CUDA_HOME']}/bin:")


def test_a_snapshot_replays_where_its_store_objects_are(
    nixenv: Nixenv, sglang: SglangClosure, tmp_path: Path
) -> None:
    """And is refused where they are not, since links need something to lead to."""
    file = tmp_path / "snapshot.json"
    assert nixenv("snapshot", "--root", sglang.root, "-o", str(file)).returncode == 0
    assert nixenv("export", "--from", str(file), "--layout", "linked").returncode == 0
    file.write_text(file.read_text().replace(sglang.store.store_dir, "/another/store"))
    done = nixenv("export", "--from", str(file), "--layout", "linked")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "store objects that are not on disk" in done.stderr


def test_inspect_knows_the_layout(nixenv: Nixenv) -> None:
    """It builds nothing, and tells of no other versions, which are left out here."""

    def codes(*arguments: str) -> set[str]:
        document = json.loads(nixenv("inspect", "--json", *arguments).stdout)
        return {finding["code"] for finding in document["findings"]}

    assert "python-several-versions" in codes()
    before = codes("--layout", "linked")
    assert "farm-missing" in before
    assert "python-several-versions" not in before
    nixenv("export", "--layout", "linked")
    assert not {code for code in codes("--layout", "linked") if code.startswith("farm-")}


def test_a_closure_too_large_for_pythonpath(tmp_path: Path) -> None:
    """Layout store refuses and names this one, which takes 10,000 store paths."""
    store = PrivateStore.create(tmp_path / "nix")
    root = load_synthetic_closure(store, 10_000)
    environ = {**store.environ, "PATH": SEARCH_PATH, "HOME": str(tmp_path)}
    argv = (sys.executable, "-I", "-m", "nixenv", "export", "--root", root, "--shell", "json")
    refused = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "--layout linked" in refused.stderr
    done = subprocess.run(
        [*argv, "--layout", "linked"], env=environ, capture_output=True, text=True, check=True
    )
    virtualenv = Path(json.loads(done.stdout)["variables"]["VIRTUAL_ENV"])
    distributions = list(virtualenv.glob("lib/python3.12/site-packages/*.dist-info"))
    assert len(distributions) > 4_000


def test_the_farms_lie_below_the_cache_directory(sglang: SglangClosure, tmp_path: Path) -> None:
    """The one of --cache-dir, whatever it is called."""
    _, farms = plan_farms(sglang, sglang.root, tmp_path / "a b")
    assert farms.virtualenv is not None
    assert Path(farms.virtualenv).parent == tmp_path / "a b/nixenv/linked"
