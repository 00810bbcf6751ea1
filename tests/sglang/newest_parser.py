"""The argument parser of the newest SGLang, out of its wheel: run as a script.

Its modules of arguments are executed whole and unchanged. What else they import of sglang, and so
torch and a GPU, is replaced by names that do nothing; a few small functions of ``srt/utils`` are
taken from there, since the parser calls them.

    newest_parser.py    read argument vectors as JSON from stdin; write flags and results as JSON
"""

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import io
import json
import re
import sys
import types
from pathlib import Path

# What is executed, and the packages that it is in, whose own __init__ is not.
REAL = (
    "sglang.srt.server_args",
    *(f"sglang.srt.arg_groups.{name}" for name in ("arg_utils", "argparse_actions", "choices")),
    *(f"sglang.srt.arg_groups.{name}" for name in ("field_order", "fields")),
    "sglang.srt.environ",
    "sglang.srt.function_call.parser_names",
    "sglang.srt.lora.lora_registry",
    "sglang.srt.model_executor.cuda_graph_config",
    "sglang.srt.parser.reasoning_parser_names",
    "sglang.kernels.ops.kv_canary.consts",
)
PACKAGES = {name.rsplit(".", depth)[0] for name in REAL for depth in range(1, name.count(".") + 1)}
REPLACED = ("sglang", "numpy", "psutil", "torch", "transformers", "triton")
COMMON = "sglang.srt.utils.common"
FUNCTIONS = ("human_readable_int", "json_list_type", "nullable_str")
CONSTANTS = ("LORA_TARGET_ALL_MODULES", "SUPPORTED_LORA_TARGET_MODULES")


class Nothing:
    """Stands for a name that the parser has no use for."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take anything."""


class StandIn(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Nothing,), {})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-ins for all that is not executed."""

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Replace a module, or leave it to others."""
        if fullname.startswith(REAL) or fullname.partition(".")[0] not in REPLACED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make it."""
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is in it."""


def load_common(source: str) -> types.ModuleType:
    """Make a stand-in for the module of utilities that has the parser's own ingredients."""
    module = StandIn(COMMON)
    vars(module).update(argparse=argparse, json=json, orjson=json, re=re)
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            node.returns = None
            exec(compile(ast.Module([node], []), COMMON, "exec"), vars(module))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in CONSTANTS:
            setattr(module, ast.unparse(node.targets[0]), ast.literal_eval(node.value))
    return module


def make_parser() -> argparse.ArgumentParser:
    """Give the parser as ``launch_server`` makes it."""
    (root,) = (Path(entry) for entry in sys.path if Path(entry, "sglang/srt").is_dir())
    for name in PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules[name] = package
    sys.meta_path.insert(0, Finder())
    common = (root / "sglang/srt/utils/common.py").read_text(encoding="utf-8")
    sys.modules[COMMON] = load_common(common)
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str]) -> object:
    """Give what the parser makes of an argument vector, or its exit status."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return vars(parser.parse_args(argv))
    except SystemExit as end:
        return end.code


def main() -> None:
    """Describe all flags, and parse what stdin has."""
    parser = make_parser()
    flags = {
        flag: getattr(action.type, "__name__", None)
        for action in parser._actions
        for flag in action.option_strings
    }
    parsed = [parse(parser, argv) for argv in json.load(sys.stdin)]
    json.dump({"flags": flags, "parsed": parsed}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
