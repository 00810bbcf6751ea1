"""Parts of the real sglang 0.5.9, from its wheel on PyPI, without what they import.

A module such as ``srt/server_args.py`` is executed whole and unchanged; what it imports from the
rest of sglang (and so torch, triton, a GPU) is replaced. Of the replaced names its parser uses a
handful, and those are taken from the wheel too: constants, two small functions and the keys of
two tables. All others fail as soon as anything is done with them.
"""

import argparse
import ast
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from unittest import mock

REQUIREMENTS = Path(__file__).with_name("wheels.txt")
CACHE = Path(__file__).parents[2] / ".cache" / "wheels"

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
    """Stands for a name that the parser should have no use for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        raise AssertionError(f"the argument parser uses {self._name}.{attribute}")

    def __call__(self, *_: object, **__: object) -> object:
        raise AssertionError(f"the argument parser calls {self._name}")


def fetch_wheel() -> Path:
    """Download the wheel, its hash checked by pip, or find it in the cache.

    A failure to fetch fails the test, everywhere: what would be skipped is the proof.
    """
    place = CACHE / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as scratch:
            wheels = Path(scratch, "wheels")
            command = (
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
                *("--requirement", str(REQUIREMENTS), "--dest", str(wheels)),
            )
            subprocess.run(command, check=True)
            try:
                wheels.rename(place)
            except OSError:
                assert place.is_dir(), "another process was first, and left it complete"
    (wheel,) = place.glob("*.whl")
    return wheel


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


def load_module(name: str) -> ModuleType:
    """Execute a module whole, with stand-ins for what it imports from sglang."""
    source = read_module(name)
    stand_ins: dict[str, ModuleType] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sglang"):
            module = stand_ins.setdefault(node.module or "", ModuleType(node.module or ""))
            for alias in node.names:
                setattr(module, alias.name, _stand_in(module.__name__, alias.name))
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
