"""Parts of the real sglang 0.5.9 and 0.5.23, from their wheels on PyPI, without what they import.

A module such as ``srt/server_args.py`` is executed whole and unchanged; what it imports from the
rest of sglang (and so torch, triton, a GPU) is replaced. Of the replaced names its parser uses a
handful, and those are taken from the wheel too: constants, two small functions and the keys of
two tables. All others fail as soon as anything is done with them.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from unittest import mock

from fixtures.wheels import fetch

WHEELS = Path(__file__).with_name("wheels")

# Where the parser's own ingredients are: module, and how it is read there.
CONSTANTS = {
    "sglang.srt.utils.common": ("LORA_TARGET_ALL_MODULES", "SUPPORTED_LORA_TARGET_MODULES")
}
FUNCTIONS = {"sglang.srt.utils.common": ("json_list_type", "nullable_str")}
TABLES = {
    "sglang.srt.function_call.function_call_parser": ("FunctionCallParser", "ToolCallParserEnum"),
    "sglang.srt.parser.reasoning_parser": ("ReasoningParser", "DetectorMap"),
}


class Unavailable:
    """Stands for a name that a module should have no use for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)  # typing looks for some
        raise AssertionError(f"the module uses {self._name}.{attribute}")

    def __call__(self, *_: object, **__: object) -> object:
        raise AssertionError(f"the module calls {self._name}")


def fetch_wheel() -> Path:
    """Download the wheel, its hash checked by pip, or find it in the cache.

    A failure to fetch fails the test, everywhere: what would be skipped is the proof.
    """
    place = fetch(WHEELS / "sglang-0.5.9.txt", _keep)
    (wheel,) = place.glob("*.whl")
    return wheel


def newest_modules() -> Path:
    """The directory with the modules of SGLang 0.5.23, and of what its parser imports."""
    return fetch(WHEELS / "sglang-0.5.23.txt", _unpack_modules)


def parse_with_newest(*vectors: list[str]) -> tuple[dict[str, str | None], list[object]]:
    """Let the parser of SGLang 0.5.23 parse argument vectors.

    Returns:
        Its flags, with the names of the functions that read their values; and for each vector the
        values by name, or the exit status.
    """
    done = subprocess.run(
        [sys.executable, "-S", str(Path(__file__).with_name("newest_parser.py"))],
        env={"PYTHONPATH": str(newest_modules()), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(vectors),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["flags"], answer["parsed"]


def _keep(wheels: Path, directory: Path) -> None:
    shutil.copytree(wheels, directory, dirs_exist_ok=True)


def _unpack_modules(wheels: Path, directory: Path) -> None:
    """Of SGLang the modules alone: the wheel has 100 MB of compiled code."""
    for wheel in wheels.iterdir():
        is_sglang = wheel.name.startswith("sglang")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            archive.extractall(directory, [n for n in names if not is_sglang or n.endswith(".py")])


def read_module(name: str) -> str:
    """Give a module's source as it is in the wheel."""
    with zipfile.ZipFile(fetch_wheel()) as archive:
        return archive.read(name.replace(".", "/") + ".py").decode()


def load_function(module: str, name: str, **uses: object) -> object:
    """Execute one function of a module by itself, with what it uses."""
    (function,) = (
        node
        for node in ast.parse(read_module(module)).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    function.returns = None  # its annotations may name what is not there
    namespace = dict(uses)
    exec(compile(ast.Module([function], []), f"{module}.{name}", "exec"), namespace)
    return namespace[name]


def load_module(name: str, **uses: object) -> ModuleType:
    """Execute a module whole, with stand-ins for what it imports from sglang.

    Args:
        name: The module.
        uses: What it is given instead of a stand-in, by its name.
    """
    source = read_module(name)
    stand_ins: dict[str, ModuleType] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sglang"):
            module = stand_ins.setdefault(node.module or "", ModuleType(node.module or ""))
            for alias in node.names:
                stand_in = uses.get(alias.name) or _stand_in(module.__name__, alias.name)
                setattr(module, alias.name, stand_in)
    loaded = ModuleType(name)
    # dataclasses looks its module up there, too.
    with mock.patch.dict(sys.modules, {**stand_ins, name: loaded}):
        exec(compile(source, name, "exec"), vars(loaded))
    return loaded


def make_parser(server_args: ModuleType) -> argparse.ArgumentParser:
    """Give the parser as ``prepare_server_args`` makes it."""
    parser = argparse.ArgumentParser()
    server_args.ServerArgs.add_cli_args(parser)
    return parser


def _stand_in(module: str, name: str) -> object:
    if name in CONSTANTS.get(module, ()):
        return _literal(module, name)
    if name in FUNCTIONS.get(module, ()):
        return load_function(module, name, argparse=argparse, json=json, orjson=json)
    if module in TABLES and name == TABLES[module][0]:
        table = TABLES[module][1]
        return type(name, (), {table: dict.fromkeys(_keys(module, name, table))})
    return Unavailable(name)


def _literal(module: str, name: str) -> object:
    for node in ast.parse(read_module(module)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{module} has no constant {name}")


def _keys(module: str, class_name: str, table: str) -> list[str]:
    for node in ast.walk(ast.parse(read_module(module))):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) == table:
                    assert isinstance(field.value, ast.Dict)
                    return [ast.literal_eval(key) for key in field.value.keys if key is not None]
    raise AssertionError(f"{module}.{class_name} has no table {table}")
