"""The shape of the project, held by walking the imports."""

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import nixenv
from nixenv.hook.sight import HEAD

PACKAGE = Path(nixenv.__file__).parent

# The house from the top down: arrows go down this list only (docs/architecture.md).
HOUSE = (
    *("__main__", "entry"),
    *("cli", "hook", "prove", "inspect", "sglang"),
    *("request", "stations", "snapshot", "evidence", "linked", "shells", "road"),
    # The words that all use.
    *(
        "commandline",
        "console",
        "process",
        "kernel",
        "ports",
        "directories",
        "files",
        "places",
        "errors",
        "findings",
    ),
    *("storepath", "versions", "text", "plain", "typed"),
)
# Within the road: a station imports an earlier one, never a later one.
STATIONS = (
    *("root", "nix", "query", "launcher", "disk", "modules", "nvcc", "prefix", "cuda_files"),
    *("probe", "choice", "python", "redistributables", "cuda_parts", "cuda", "host_compiler"),
    *("on_top", "classify", "variables", "names", "profile_table", "built_in", "profile"),
    *("farms", "named", "plan", "record"),
)


# Those of them that look at the disk, or ask Nix.
IMPURE_STATIONS = {
    *("root", "nix", "query", "launcher", "disk", "modules"),
    *("prefix", "cuda_files", "probe", "on_top", "profile"),
}


# What the road does without, where Python lets it (`nixenv.typed`).
TYPING = {"typing"} if sys.version_info < (3, 14) else set()


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "nixenv"


CORE = {
    module_name(file): ast.parse(file.read_text())
    for file in sorted(PACKAGE.rglob("*.py"))
    if file != PACKAGE / "__init__.py"
}


def imported(tree: ast.AST) -> set[str]:
    """All modules that a tree imports, wherever in it, for running or for types."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def arrows() -> set[tuple[str, str]]:
    """Who imports whom, of our own modules."""
    return {
        (module, name.removeprefix("nixenv."))
        for module, tree in CORE.items()
        for name in imported(tree)
        if name.removeprefix("nixenv.") in CORE and name != f"nixenv.{module}"
    }


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_has_its_room() -> None:
    """A new one at the top of the house is put into the list above, where it is a decision."""
    assert {room(module) for module in CORE} == set(HOUSE)
    assert {module.split(".")[1] for module in CORE if module.startswith("road.")} == set(STATIONS)


def test_no_arrow_goes_up() -> None:
    """From room to room down the house, and in the road from station to earlier station."""
    up = {
        (module, other)
        for module, other in arrows()
        if room(module) != room(other) and HOUSE.index(room(module)) > HOUSE.index(room(other))
    }
    assert not up
    back = {
        (module, other)
        for module, other in arrows()
        if room(module) == room(other) == "road" and "." in module and "." in other
        if STATIONS.index(module.split(".")[1]) < STATIONS.index(other.split(".")[1])
    }
    assert not back


def test_no_module_imports_itself_by_way_of_others() -> None:
    """No circle, in any room."""
    graph: dict[str, set[str]] = {}
    for module, other in arrows():
        # A package's own __init__ names its modules; they need not name it.
        if not other.startswith(f"{module}."):
            graph.setdefault(module, set()).add(other)
    tuple(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", sorted(CORE))
def test_every_module_is_on_the_map(module: str) -> None:
    """docs/architecture.md has a line for each."""
    told = (PACKAGE.parent / "docs/architecture.md").read_text()
    path = module.replace(".", "/")
    is_package = (PACKAGE / path).is_dir()
    assert f"`{path}/`" in told if is_package else f"`{path}`" in told


@pytest.mark.parametrize(
    ("thing", "places"),
    [
        ("subprocess", set()),
        ("selectors", set()),
        ("click", {"cli", "sglang", "commandline"}),
        ("rich", {"inspect"}),
        ("cattrs", {"plain", "snapshot"}),
        ("packaging", {"road.python", "inspect"}),
    ],
)
def test_a_library_is_used_in_its_place_only(thing: str, places: set[str]) -> None:
    """Nobody starts a process but by the one runner, only the command line has click, and so on."""
    users = {
        module if room(module) in ("road", "evidence") else room(module)
        for module, tree in CORE.items()
        if any(name == thing or name.startswith(f"{thing}.") for name in imported(tree))
    }
    assert users == places


@pytest.mark.parametrize(
    "module",
    [
        *(module for module in CORE if room(module) in {"road", "hook", "shells"}),
        *("console", "errors", "files", "findings", "places", "process", "request", "stations"),
        *("storepath", "text", "versions"),
    ],
)
def test_the_road_imports_typing_for_type_checkers_alone(module: str) -> None:
    """All else that it wants of typing is in nixenv.typed."""
    at_import = [node for node in CORE[module].body if isinstance(node, ast.ImportFrom)]
    assert "typing" not in {node.module for node in at_import}


def attributes(tree: ast.AST) -> set[str]:
    """All dotted names that a tree reads, such as os.path and os.path.join."""
    names = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {name for name in names if name.replace(".", "").replace("_", "").isalnum()}


def test_no_process_is_started_by_other_means() -> None:
    """Only the entry points replace themselves; all else goes through the one runner."""
    starters = ("os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.popen", "os.system")
    users = {
        module
        for module, tree in CORE.items()
        if any(name.startswith(starters) for name in attributes(tree))
    }
    assert users == {"cli.run", "entry", "process", "sglang.serve"}


@pytest.mark.parametrize(
    "thing", ["os.environ", "os.getenv", "sys.stdout", "sys.stderr", "sys.exit", "os.system"]
)
def test_the_process_belongs_to_the_command_line(thing: str) -> None:
    """The library takes the environment as an argument and never exits or prints."""
    users = {
        room(module)
        for module, tree in CORE.items()
        # A program of its own, which another interpreter runs.
        if thing in attributes(tree) and module != "prove.inside"
    }
    assert users <= {"hook", "cli", "commandline", "console", "entry", "sglang"}


# The stations that see only values: nothing of the disk, and no way to start anything.
@pytest.mark.parametrize(
    "module",
    [
        *(f"road.{station}" for station in STATIONS if station not in IMPURE_STATIONS),
        *(
            f"inspect.{module}"
            for module in ("report", "components", "lookup", "why", "subject", "judgement")
        ),
        *("inspect.comparison", "linked.tree", "shells"),
        *(
            module
            for module in CORE
            if module.startswith(
                ("road.launcher", "shells.", "inspect.diagnosis.", "inspect.views.")
            )
        ),
    ],
)
def test_the_pure_stations_touch_nothing(module: str) -> None:
    """classify, plan and render open no file and look at no directory."""
    used = {name for name in attributes(CORE[module]) if name.startswith("os.")}
    pure = {"join", "dirname", "basename", "normpath"}
    allowed = {"os.pathsep", "os.pathsep.join", "os.path", "os.fsencode", "os.fsdecode"}
    assert used <= allowed | {f"os.path.{name}" for name in pure}
    assert not {"pathlib", "os.environ", "os.listdir"} & imported(CORE[module])
    names = {node.id for node in ast.walk(CORE[module]) if isinstance(node, ast.Name)}
    assert not names & {"open", "exec", "eval", "compile", "__import__"}


def activation_argv(cache: Path, layout: str = "") -> list[str]:
    """What the hook starts, with nothing but the cache directory and the layout said."""
    return ["nixenv", "activate", "activation-x", str(cache), sys.executable, layout, "", ""]


def loaded_when_nix_starts(environ: Mapping[str, str], tmp_path: Path) -> set[str]:
    """What is imported before Nix is asked: nothing else runs at that time."""
    code = (
        "import os, sys\nreal = os.posix_spawn\n"
        "def spawn(*arguments, **options):\n"
        "    print(*sys.modules, file=sys.stderr)\n    return real(*arguments, **options)\n"
        f"os.posix_spawn = spawn\nsys.argv = {activation_argv(tmp_path)!r}\n"
        "from nixenv import entry\nentry.nixenv()"
    )
    return set(run_python(code, environ).stderr.split())


def test_nix_is_asked_before_the_stations_are_imported(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """It works while they are: what comes before is what each first activation waits for."""
    loaded = loaded_when_nix_starts(environ, tmp_path)
    assert {module for module in loaded if module.split(".")[0] == "nixenv"} == {
        "nixenv",
        "nixenv.hook",
        "nixenv.hook.activate",
        "nixenv.hook.sight",
        "nixenv.road",
        "nixenv.road.query",
        "nixenv.console",
        "nixenv.entry",
        "nixenv.files",
        "nixenv.errors",
        "nixenv.road.nix",
        "nixenv.places",
        "nixenv.process",
        "nixenv.road.profile",
        "nixenv.request",
        "nixenv.road.root",
        "nixenv.road.variables",
        "nixenv.storepath",
        "nixenv.typed",
        "nixenv.versions",
        "nixenv.road.built_in",
    }
    heavy = {"attr", "attrs", "click", "inspect", "dataclasses", "tomllib", *TYPING}
    heavy |= {"subprocess", "selectors", "threading"}
    assert loaded & heavy == set()


def run_python(code: str, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )


def loaded_in_the_end(environ: Mapping[str, str], cache: Path, layout: str = "") -> set[str]:
    code = (
        "import os, sys\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        f"sys.argv = {activation_argv(cache, layout)!r}\n"
        "from nixenv import entry\nentry.nixenv()"
    )
    return set(run_python(code, environ).stderr.split())


def test_an_activation_loads_what_it_needs_and_no_more(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """The import graph of the road that every first activation waits for."""
    loaded = loaded_in_the_end(environ, tmp_path)
    assert {module for module in loaded if module.split(".")[0] == "nixenv"} == {
        "nixenv",
        "nixenv.hook",
        "nixenv.hook.activate",
        "nixenv.hook.activation",
        "nixenv.hook.sight",
        "nixenv.road",
        "nixenv.road.query",
        "nixenv.console",
        "nixenv.road.choice",
        "nixenv.road.cuda_files",
        "nixenv.road.prefix",
        "nixenv.road.named",
        "nixenv.road.names",
        "nixenv.road.redistributables",
        "nixenv.road.cuda_parts",
        "nixenv.road.nvcc",
        "nixenv.road.host_compiler",
        "nixenv.road.cuda",
        "nixenv.entry",
        "nixenv.road.plan",
        "nixenv.errors",
        "nixenv.files",
        "nixenv.findings",
        "nixenv.road.classify",
        "nixenv.road.nix",
        "nixenv.places",
        "nixenv.process",
        "nixenv.road.probe",
        "nixenv.road.profile",
        "nixenv.road.built_in",
        "nixenv.road.python",
        "nixenv.request",
        "nixenv.road.record",
        "nixenv.road.root",
        "nixenv.road.variables",
        "nixenv.shells",
        "nixenv.stations",
        "nixenv.shells.kept",
        "nixenv.shells.posix",
        "nixenv.text",
        "nixenv.storepath",
        "nixenv.typed",
        "nixenv.versions",
        "nixenv.road.disk",
        "nixenv.road.modules",
        "nixenv.road.on_top",
        "nixenv.road.launcher",
        "nixenv.road.launcher.chain",
        "nixenv.road.launcher.end",
        "nixenv.road.launcher.recipe",
        "nixenv.road.launcher.script",
        "nixenv.road.launcher.shell",
        "nixenv.road.launcher.state",
        "nixenv.road.launcher.syntax",
        "nixenv.road.launcher.words",
    }
    heavy = {"attr", "attrs", "cattrs", "click", "rich", "packaging", "json", "inspect"}
    heavy |= {"pathlib", "tempfile", "shlex", "shutil", "email", "tomllib", *TYPING}
    assert loaded & heavy == set()


def test_what_builds_farms_is_loaded_where_they_are_to_be_built(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Most first activations find them whole: of the same closure, by an earlier one."""
    builders = {"nixenv.linked.build", "nixenv.linked.farm", "attrs", "importlib.metadata"}
    assert builders <= loaded_in_the_end(environ, tmp_path, "linked")
    later = loaded_in_the_end(environ, tmp_path, "linked")
    assert later & {*builders, *TYPING, "email", "pathlib"} == set()


def test_the_hook_reads_this_format() -> None:
    """Bash cannot ask for it without starting Python. The version stands elsewhere, once."""
    hook = (PACKAGE.parent / "hooks/on-activate.bash").read_text()
    assert f'__nixenv_key="{HEAD}\n' in hook
    assert nixenv.__version__ not in hook
