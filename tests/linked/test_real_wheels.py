"""Layout `linked` with 120 real distributions from PyPI, one store object each."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.private_store import PrivateStore
from nixenv.linked.farm_record import find_problems
from nixenv.linked.inspection import read_conflicts
from tests.linked.real_wheels import (
    TELL_MODULES,
    RealClosure,
    find_modules,
    make_real_closure,
)
from tests.linked.scene import Activated, activate

# Imports the modules named on its command line and says where each is from.
_IMPORT = """\
import importlib, json, sys
modules = {name: importlib.import_module(name) for name in sys.argv[1:]}
print(json.dumps({name: module.__file__ for name, module in modules.items()}))
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealClosure:
    return make_real_closure(PrivateStore.create(tmp_path_factory.mktemp("real")))


@pytest.fixture(scope="module")
def linked(real: RealClosure, tmp_path_factory: pytest.TempPathFactory) -> Activated:
    return activate(real.store, real.root, tmp_path_factory.mktemp("cache"))


def test_each_module_of_each_distribution_is_imported(real: RealClosure, linked: Activated) -> None:
    """Each distribution in a process of its own: none helps another."""
    assert len(real.site_packages) >= 60
    groups = [list(find_modules(directory)) for directory in real.site_packages]

    def import_all(modules: list[str]) -> dict[str, str]:
        found: dict[str, str] = json.loads(linked.run("python", "-c", _IMPORT, *modules))
        return found

    with ThreadPoolExecutor(4) as pool:
        files = [item for found in pool.map(import_all, groups) for item in found.items()]
    for name, file in files:
        assert file.startswith(f"{linked.virtualenv}/"), name
    imported = {name for name, _ in files}
    assert imported >= {
        *("numpy", "scipy", "pandas", "PIL", "lxml", "grpc", "pydantic", "cryptography"),
        *("google.auth", "google.cloud.storage", "google.protobuf", "google.rpc.code_pb2"),
        *("azure.core", "azure.identity", "azure.storage.blob", "zope.interface"),
        *("backports.tarfile", "backports.zstd", "nvidia.nvtx", "nvidia.cuda_runtime"),
    }


# Of twenty distributions: extension modules, packages, single modules.
MODULES = (
    *("numpy", "scipy", "pandas", "PIL", "lxml", "pydantic", "pydantic_core", "cryptography"),
    *("aiohttp", "yarl", "multidict", "requests", "urllib3", "certifi", "packaging", "yaml"),
    *("jinja2", "markupsafe", "idna", "typing_extensions"),
)


def test_the_program_and_python_m_see_the_same_modules(real: RealClosure, tmp_path: Path) -> None:
    """From the same files in layout store, of the same versions in layout linked."""
    program = f"{real.root}/bin/everything"
    bare = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    alone = subprocess.run(
        [program, *MODULES], env=bare, capture_output=True, text=True, check=True
    )
    own = json.loads(alone.stdout)
    assert len(own) == 20
    assert all(file.startswith(f"{real.store.store_dir}/") for file, _ in own.values())
    for layout in ("store", "linked"):
        active = activate(real.store, real.root, tmp_path, "everything", layout=layout)
        found = json.loads(active.run("python3", "-c", TELL_MODULES, *MODULES))
        assert json.loads(active.run(program, *MODULES)) == own
        if layout == "store":
            assert found == own
            continue
        assert {name: version for name, (_, version) in found.items()} == {
            name: version for name, (_, version) in own.items()
        }
        # Typed as a command, it is the program's own launcher.
        assert json.loads(active.run("everything", *MODULES)) == own


def test_what_layout_store_cannot_import(real: RealClosure, tmp_path: Path) -> None:
    """A package with an `__init__.py` in each wheel: on PYTHONPATH the first hides the rest."""
    store = activate(real.store, real.root, tmp_path, layout="store")
    done = subprocess.run(
        ["python3", "-c", "import nvidia.nvtx, nvidia.cuda_runtime"],
        env=dict(store.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError" in done.stderr


def test_libraries_beside_extensions_are_found(linked: Activated) -> None:
    """Through $ORIGIN, which the loader takes from the path by which it opened the extension."""
    code = (
        "import numpy, scipy.linalg, PIL.Image, pandas\n"
        "maps = open('/proc/self/maps').read()\n"
        "print(*{line.split()[-1] for line in maps.splitlines() if '.libs/' in line}, sep='\\n')"
    )
    loaded = linked.python(code).splitlines()
    assert any("numpy.libs/" in file for file in loaded)
    assert any("scipy.libs/" in file for file in loaded)


def test_the_metadata_is_whole(real: RealClosure, linked: Activated) -> None:
    """Every distribution once, all that each requires, and every file of each."""
    import sys

    pip = (sys.executable, "-m", "pip", "--python", str(linked.virtualenv / "bin/python"))
    assert "No broken requirements" in linked.run(*pip, "check")
    code = (
        "from importlib.metadata import distributions\n"
        "found = [d for d in distributions()]\n"
        "missing = [str(f) for d in found for f in d.files or () if '..' not in f.parts\n"
        "           and '.data/' not in str(f) and not f.locate().exists()]\n"
        "print(len(found), len({d.name for d in found}), missing)"
    )
    # And what the fixture's interpreter refers to: the tool that built it.
    expected = len(real.site_packages) + len({"build"})
    assert linked.python(code) == f"{expected} {expected} []"


def test_the_farm_is_small_and_whole(linked: Activated) -> None:
    """Directories are linked, not copied, and what was disputed is on record."""
    farm = linked.virtualenv
    assert find_problems(str(farm)) == ()
    site = next(farm.glob("lib/python*/site-packages"))
    assert (site / "numpy").is_symlink()
    assert (site / "google/auth").is_symlink()
    assert not (site / "google").is_symlink()
    for conflict in read_conflicts(str(farm)):
        assert conflict.path.startswith(("lib/", "bin/"))


def test_part_of_numpys_own_tests(linked: Activated, tmp_path: Path) -> None:
    """They look at `__file__`, at neighbours, at compiled modules and at the interpreter."""
    said = linked.run(
        *("python", "-m", "pytest", "--pyargs", "-q", "-p", "no:cacheprovider"),
        *("-c", "/dev/null", f"--rootdir={tmp_path}"),  # not this project's settings
        *("numpy._core.tests.test_dtype", "numpy.linalg.tests.test_linalg"),
        "numpy.tests.test_public_api",
    )
    assert " passed" in said


def test_console_scripts_run(linked: Activated) -> None:
    """With the modules of the farm and nothing else of the shell."""
    assert linked.run("f2py", "-v").strip()
    assert linked.run("pytest", "--version").startswith("pytest ")
    assert linked.run("hf", "version").strip()
