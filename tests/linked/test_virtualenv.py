"""The virtual environment of links, made from the closure that real Nix built."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from nixenv.linked.farm import ensure_farm
from nixenv.linked.farm_record import find_problems
from nixenv.linked.inspection import read_conflicts
from nixenv.linked.virtualenv import plan_virtualenv
from nixenv.road.classify import Inventory, Program
from nixenv.road.python import Interpreter, Part, SitePackages
from nixenv.storepath import StorePath
from tests.documents import blocks
from tests.linked.scene import Activated, activate

ROOTS = ("root", "unwrapped", "with_packages")

Modules = dict[str, dict[str, str] | None]


def modules(activated: Activated) -> Modules:
    found: Modules = json.loads(activated.run("python3", "-m", "sglang.check_env"))
    return found


@pytest.mark.parametrize("root", ROOTS)
def test_every_import_of_layout_store_works_with_the_same_version(
    sglang: SglangClosure, root: str, tmp_path: Path
) -> None:
    """What a `.pth` file reaches included."""
    path = sglang.roots[root]
    in_store = modules(activate(sglang.store, path, tmp_path, layout="store"))
    linked = activate(sglang.store, path, tmp_path)
    found = modules(linked)
    assert {n for n, m in found.items() if m is None} == set()
    for name, module in in_store.items():
        there = found[name]
        assert there is not None
        assert there["file"].startswith(f"{linked.virtualenv}/lib/"), name
        assert module is not None, name
        assert there["version"] == module["version"], name


def test_another_python_of_the_shell_sees_nothing_of_it(
    sglang: SglangClosure, activated: Activated
) -> None:
    """Neither its modules nor its path change."""
    code = "import sys; print(*sys.path, sep='\\n')"
    other = getattr(sys, "_base_executable", sys.executable)
    bare = subprocess.run(
        [other, "-c", code],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert activated.run(other, "-c", code) == bare.stdout
    assert sglang.store.store_dir not in bare.stdout
    assert "PYTHONPATH" not in activated.environ
    assert "PYTHONNOUSERSITE" not in activated.environ


def test_the_interpreter_is_the_closures_in_a_virtual_environment(
    sglang: SglangClosure, activated: Activated
) -> None:
    """`sys.prefix` is the farm, `sys.base_prefix` the store object."""
    interpreter = sglang.objects[f"python3-{sglang.python_version}"]
    for name in ("python", "python3", f"python{sglang.python_minor}"):
        code = "import sys; print(sys.prefix, sys.base_prefix, sys.version.split()[0])"
        assert activated.run(name, "-c", code).split() == [
            str(activated.virtualenv),
            interpreter,
            sglang.python_version,
        ]


def test_a_namespace_package_of_three_store_objects_is_one_directory(activated: Activated) -> None:
    """With a link to each part."""
    site = activated.python("import sysconfig; print(sysconfig.get_path('purelib'))")
    assert sorted(os.listdir(f"{site}/acme_ns")) == ["one", "three", "two"]
    code = "import acme_ns.one, acme_ns.two, acme_ns.three; print(acme_ns.__path__._path)"
    assert activated.python(code) == str([f"{site}/acme_ns"])


def test_each_distribution_is_there_once(activated: Activated) -> None:
    """Of two versions of packaging, the program's own."""
    code = (
        "from importlib.metadata import distributions\n"
        "print(*sorted(f'{d.name} {d.version}' for d in distributions()), sep='\\n')"
    )
    found = activated.python(code).splitlines()
    names = [line.split()[0] for line in found]
    assert len(names) == len(set(names))
    assert "packaging 25.0" in found
    assert "packaging 20.9" not in found


def test_resources_are_found(activated: Activated) -> None:
    """Through importlib.resources and through __file__."""
    code = (
        "from importlib.resources import files\n"
        "from pathlib import Path\n"
        "import sglang\n"
        "text = files('sglang').joinpath('check_env.py').read_text()\n"
        "assert text == Path(sglang.__file__).with_name('check_env.py').read_text()\n"
        "print(len(text))"
    )
    assert int(activated.python(code)) > 100


def test_console_scripts_run_in_it(activated: Activated) -> None:
    """Found on PATH, run by its own interpreter, for every distribution that declares some."""
    assert shutil.which("sglang", path=activated.environ["PATH"]) == str(
        activated.virtualenv / "bin/sglang"
    )
    assert activated.run("sglang", "version").strip().endswith("0.5.9")
    assert (activated.virtualenv / "bin/hf").exists()


def test_tools_recognise_it(activated: Activated) -> None:
    """`pip list`, `pip check` and `uv pip list` see a virtual environment and what is in it."""
    python = str(activated.virtualenv / "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", python)
    listed = json.loads(activated.run(*pip, "list", "--format", "json"))
    uv = Path(sys.executable).with_name("uv")
    by_uv = json.loads(
        activated.run(str(uv), "pip", "list", "--python", python, "--format", "json", "--offline")
    )
    assert {"name": "transformers", "version": "4.57.6"} in by_uv
    assert {item["name"]: item["version"] for item in by_uv} == {
        item["name"]: item["version"] for item in listed
    }
    assert "No broken requirements" in activated.run(*pip, "check")


def test_pip_refuses_to_install_and_says_why(activated: Activated, tmp_path: Path) -> None:
    """Before it does anything: no index is asked."""
    python = str(activated.virtualenv / "bin/python")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "anything"],
        env=dict(activated.environ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "This environment is externally managed" in done.stderr
    assert "nixenv explain farm-foreign-files" in done.stderr
    assert find_problems(str(activated.virtualenv)) == ()


def test_a_virtual_environment_of_ones_own_goes_on_top(
    activated: Activated, tmp_path: Path
) -> None:
    """As docs/linked.md says: its own modules first, then the program's, `.pth` files included."""
    (text,) = (block for block in blocks("docs/linked.md", "") if "venv" in block)
    make, pip = text.rstrip().rsplit("\n", 1)
    assert "pip install" in pip
    script = make.replace("-m venv", "-m venv --without-pip")
    activated.run("bash", "-c", f"cd {tmp_path}\n{script}")
    top = tmp_path / ".venv"
    site = next(top.glob("lib/python*/site-packages"))
    (site / "packaging").mkdir()
    (site / "packaging/__init__.py").write_text("__version__ = 'mine'\n")
    code = (
        "import cutlass, packaging, transformers as t; print(packaging.__version__, t.__version__)"
    )
    assert activated.run(str(top / "bin/python"), "-c", code).split() == ["mine", "4.57.6"]


# Made-up store objects: what the fixture closure does not have --------------------------------


def make_object(store: Path, name: str, files: dict[str, str]) -> str:
    """Make a store object and give its site-packages directory."""
    site = store / f"{'a' * 32}-{name}" / "lib/python3.12/site-packages"
    for path, text in files.items():
        file = site / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return str(site)


def make_farm(tmp_path: Path, *directories: str, name: str = "farm") -> Path:
    parts = (SitePackages(directory, own=True) for directory in directories)
    return make_farm_of(tmp_path, *parts, name=name)


def make_farm_of(
    tmp_path: Path, *parts: SitePackages, name: str = "farm", program: Program | None = None
) -> Path:
    interpreter = tmp_path / f"{'a' * 32}-python3-3.12.12"
    (interpreter / "bin").mkdir(parents=True, exist_ok=True)
    (interpreter / "bin/python3.12").write_text('#!/bin/sh\necho "python: $*"\n')
    (interpreter / "bin/python3.12").chmod(0o755)
    python = Interpreter(StorePath(str(interpreter)), "3.12", (), ())
    inventory = Inventory(
        root=StorePath("/nix/store/root"),
        interpreter=python,
        site_packages=parts,
        cuda=None,
        host_compiler=None,
        ninja=None,
        program=program,
    )
    farm = tmp_path / name
    ensure_farm(str(farm), lambda: plan_virtualenv(inventory, python, str(farm)))
    assert find_problems(str(farm)) == ()
    return farm


def programs_of(farm: Path) -> list[str]:
    return sorted(path.name for path in (farm / "bin").iterdir() if not path.is_symlink())


def site_of(farm: Path) -> dict[str, str]:
    """Give the links of a farm's site-packages but metadata: path to name of the store object."""
    site = farm / "lib/python3.12/site-packages"
    return {
        str(path.relative_to(site)): path.readlink().relative_to(farm.parent).parts[0][33:]
        for path in sorted(site.rglob("*"))
        if path.is_symlink() and not path.parent.name.endswith("-info")
    }


def metadata_of(farm: Path) -> set[str]:
    return {path.name for path in (farm / "lib/python3.12/site-packages").glob("*-info")}


def test_a_distribution_that_lost_adds_nothing(tmp_path: Path) -> None:
    """A module that the newer version has dropped would otherwise come back."""
    new = {"pkg/__init__.py": "", "pkg-2.dist-info/RECORD": "pkg/__init__.py,,\n"}
    old = {
        "pkg/__init__.py": "",
        "pkg/dropped.py": "",
        "old_pkg.py": "",
        "pkg-1.dist-info/RECORD": "pkg/__init__.py,,\npkg/dropped.py,,\nold_pkg.py,,\n",
        "unclaimed.py": "",
    }
    farm = make_farm(tmp_path, make_object(tmp_path, "new", new), make_object(tmp_path, "old", old))
    assert site_of(farm) == {
        "pkg": "new",
        "unclaimed.py": "old",
    }
    assert metadata_of(farm) == {"pkg-2.dist-info"}


def test_what_a_loser_shares_with_a_winner_of_its_own_directory_stays(tmp_path: Path) -> None:
    """A withPackages environment has many distributions in one directory, some of which lose."""
    first = {"ns/auth/x.py": "", "ns_auth-2.dist-info/RECORD": "ns/auth/x.py,,\n"}
    both = {
        "ns/auth/y.py": "",
        "ns_auth-1.dist-info/RECORD": "ns/auth/y.py,,\n",
        "ns/cloud/z.py": "",
        "ns.cloud-1.egg-info/top_level.txt": "ns\n",
    }
    farm = make_farm(
        tmp_path, make_object(tmp_path, "first", first), make_object(tmp_path, "both", both)
    )
    assert site_of(farm) == {
        "ns/auth": "first",
        "ns/cloud": "both",
    }
    assert metadata_of(farm) == {"ns_auth-2.dist-info", "ns.cloud-1.egg-info"}


def test_packages_that_share_an_init_are_merged(tmp_path: Path) -> None:
    """As most nvidia wheels do; and what differs is on record."""
    one = {"nvidia/__init__.py": "", "nvidia/cudnn/lib/a.so": "", "LICENSE": "one"}
    two = {"nvidia/__init__.py": "", "nvidia/nccl/lib/b.so": "", "LICENSE": "two"}
    farm = make_farm(tmp_path, make_object(tmp_path, "one", one), make_object(tmp_path, "two", two))
    assert site_of(farm) == {
        "LICENSE": "one",
        "nvidia/__init__.py": "one",
        "nvidia/cudnn": "one",
        "nvidia/nccl": "two",
    }
    (conflict,) = read_conflicts(str(farm))
    assert conflict.path == "lib/python3.12/site-packages/LICENSE"


def test_compiled_modules_of_another_store_object_are_not_taken(tmp_path: Path) -> None:
    """In Nix all files have the same time: a .pyc of another file of that size would pass."""
    one = {"ns/a.py": "A = 1\n"}
    two = {"ns/b.py": "", "ns/__pycache__/a.cpython-312.pyc": "stale"}
    farm = make_farm(tmp_path, make_object(tmp_path, "one", one), make_object(tmp_path, "two", two))
    assert site_of(farm) == {"ns/a.py": "one", "ns/b.py": "two"}


ENTRY_POINTS = """\
[console_scripts]
tool = pkg.cli:main
nested = pkg.cli:App.run [extra]
python3 = pkg.cli:main
../escape = pkg.cli:main
broken = pkg.cli
code = pkg:__import__("os").system

[gui_scripts]
window = pkg.gui:main

[pytest11]
plugin = pkg.plugin
"""


def test_console_scripts_are_those_of_pip(tmp_path: Path) -> None:
    """No script replaces the interpreter, leaves bin/, or holds code from the metadata."""
    site = make_object(
        tmp_path, "pkg", {"pkg-1.dist-info/entry_points.txt": ENTRY_POINTS, "pkg/__init__.py": ""}
    )
    other = make_object(
        tmp_path,
        "other",
        {"other-1.dist-info/entry_points.txt": "[console_scripts]\ntool = other:main\n"},
    )
    farm = make_farm(tmp_path, site, other)
    scripts = sorted(path.name for path in (farm / "bin").iterdir() if not path.is_symlink())
    assert scripts == ["nested", "tool", "window"]
    assert (farm / "bin/nested").read_text() == (
        f"#!{farm}/bin/python3.12\n"
        "import sys\n\nfrom pkg.cli import App\n\n"
        'if __name__ == "__main__":\n    sys.exit(App.run())\n'
    )
    assert os.access(farm / "bin/tool", os.X_OK)
    assert {conflict.path for conflict in read_conflicts(str(farm))} == {"bin/python3", "bin/tool"}


@pytest.mark.parametrize("name", ["with space", "x" * 120, "quote'\"$(id)"])
def test_console_scripts_run_from_any_place(tmp_path: Path, name: str) -> None:
    """A `#!` line holds no white space, and on old kernels no more than 127 bytes."""
    site = make_object(
        tmp_path, "pkg", {"pkg-1.dist-info/entry_points.txt": "[console_scripts]\nt = pkg:main\n"}
    )
    script = make_farm(tmp_path, site, name=name) / "bin/t"
    done = subprocess.run(
        [script, "a b"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"python: {script} a b\n"
    compile(script.read_text(), str(script), "exec")


def test_only_the_programs_own_distributions_have_scripts(tmp_path: Path) -> None:
    """One that is merely mentioned would run with the program's modules."""
    scripts = "[console_scripts]\n{0} = {0}:main\n"
    own, mentioned = (
        make_object(tmp_path, name, {f"{name}-1.dist-info/entry_points.txt": scripts.format(name)})
        for name in ("own", "mentioned")
    )
    parts = (SitePackages(own, own=True), SitePackages(mentioned, own=False))
    assert programs_of(make_farm_of(tmp_path, *parts)) == ["own"]


def test_scripts_set_what_the_launcher_sets(tmp_path: Path) -> None:
    """As defaults; and no value is code."""
    site = make_object(
        tmp_path,
        "pkg",
        {
            "pkg-1.dist-info/entry_points.txt": "[console_scripts]\nt = pkg:main\n",
            "pkg/__init__.py": "import os\ndef main(): print(os.environ['A'], os.environ['B'])\n",
        },
    )
    program = Program("t", "/x/bin/t", (("A", 'it\'s "$(id)" \\n'), ("B", "b")))
    farm = make_farm_of(tmp_path, SitePackages(site, own=True), program=program)
    done = subprocess.run(
        [sys.executable, farm / "bin/t"],
        env={"PYTHONPATH": site, "B": "mine"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == 'it\'s "$(id)" \\n mine\n'


def test_a_program_without_a_script_is_a_link_to_its_launcher(tmp_path: Path) -> None:
    """And never in place of an interpreter or a script."""
    site = make_object(
        tmp_path, "pkg", {"pkg-1.dist-info/entry_points.txt": "[console_scripts]\nt = pkg:main\n"}
    )
    target = tmp_path / "launcher"
    target.touch()
    for name, is_link in (("web", True), ("t", False), ("python3", False)):
        program = Program(name, str(target))
        farm = make_farm_of(
            tmp_path, SitePackages(site, own=True), program=program, name=f"farm-{name}"
        )
        file = farm / "bin" / name
        assert (file.is_symlink() and file.readlink() == target) is is_link


def test_path_files_of_one_name_all_count(tmp_path: Path) -> None:
    """And directories of scripts are lines of another one."""
    one = make_object(tmp_path, "one", {"easy.pth": "a\n", "a/x.py": ""})
    two = make_object(tmp_path, "two", {"easy.pth": "b\n", "b/y.py": ""})
    scripts = tmp_path / "share"
    outside = tmp_path / "outside"
    farm = make_farm_of(
        tmp_path,
        SitePackages(str(scripts), own=True, part=Part.PATH),
        SitePackages(one, own=True),
        SitePackages(f"{one}/a", own=True, part=Part.LINE),
        SitePackages(two, own=True),
        SitePackages(str(outside), own=True, part=Part.LINE),
    )
    site = farm / "lib/python3.12/site-packages"
    assert {file.name: file.read_text() for file in site.glob("*.pth")} == {
        "easy.pth": "a\n",
        "easy.2.pth": "b\n",
        "nixenv-paths.pth": f"{scripts}\n{outside}\n",
    }


def test_a_version_that_lost_and_names_no_files_adds_nothing(tmp_path: Path) -> None:
    """Its directory may hold anything; what belongs to another distribution there stays."""
    new = {"pkg/__init__.py": "", "pkg-2.dist-info/RECORD": "pkg/__init__.py,,\n"}
    old = {
        "dropped.py": "",
        "pkg-1.dist-info/METADATA": "",
        "kept/__init__.py": "",
        "kept-1.dist-info/RECORD": "kept/__init__.py,,\n",
    }
    farm = make_farm(tmp_path, make_object(tmp_path, "new", new), make_object(tmp_path, "old", old))
    assert site_of(farm) == {"pkg": "new", "kept": "old"}


def test_share_and_etc_of_the_programs_own_are_merged(tmp_path: Path) -> None:
    """The rest of the closure's are not."""
    files = "../../../share/jupyter/kernels/{0}/kernel.json", "../../../etc/{0}.json"
    one, two, other = (
        make_object(tmp_path, name, {file.format(name): "{}" for file in files})
        for name in ("one", "two", "other")
    )
    farm = make_farm_of(
        tmp_path,
        SitePackages(one, own=True),
        SitePackages(two, own=True),
        SitePackages(other, own=False),
    )
    assert sorted(path.name for path in (farm / "share/jupyter/kernels").iterdir()) == [
        "one",
        "two",
    ]
    assert sorted(path.name for path in (farm / "etc").iterdir()) == ["one.json", "two.json"]
