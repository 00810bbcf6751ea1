"""``make mutants``: change the pure modules in small ways, and see whether a test notices.

mutmut makes the changes and runs, for each, the tests that reach the changed function. Which
modules and which tests, stands in pyproject.toml. A change of prose is left out: of what an error
says to a person, tests state the words that matter. All changes take hours, so a sample is drawn by
a seed::

    python -m tests.mutation [--sample 400] [--seed 1] [--module road/cuda] [--at-least 90]

What was not noticed is printed as a difference, to be judged: some changes change nothing.
"""

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

TREE = Path(".cache/mutants")
# mutmut's exit codes: a test failed, and no test reaches the function. Others are time-outs.
NOTICED, MISSED, UNREACHED = 1, 0, 33


class Mutant(NamedTuple):
    """A change that mutmut has made.

    Attributes:
        name: mutmut's name of it.
        module: The file, such as ``road/cuda``.
        difference: The lines that differ.
    """

    name: str
    module: str
    difference: str


def copy_tree() -> None:
    """Copy what git knows, so that nothing of mutmut's comes into the working tree."""
    shutil.rmtree(TREE, ignore_errors=True)
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(os.path.isfile, names.split("\0")):
        place = TREE / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, place)


def generate() -> None:
    """Have mutmut make all changes, without running anything yet."""
    script = (
        "import mutmut.__main__ as m; m.set_mutant_under_test('mutant_generation'); "
        "m.makedirs('mutants'); m.copy_src_dir(); m.copy_also_copy_files(); "
        "m.setup_source_paths(); m.create_mutants(2)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=TREE, check=True, stdout=subprocess.DEVNULL)


def list_mutants() -> Iterator[Mutant]:
    """Give the changes that are no mere prose, and of what does not run at import alone."""
    for file in sorted((TREE / "mutants/nixenv").rglob("*.meta")):
        names = json.loads(file.read_text())["exit_code_by_key"]
        source = file.with_suffix("")
        tree = list(ast.walk(ast.parse(source.read_text() if names else "")))
        functions = {node.name: node for node in tree if isinstance(node, ast.FunctionDef)}
        classes = [node for node in tree if isinstance(node, ast.ClassDef)]
        decorators = {ast.unparse(name) for node in classes for name in node.decorator_list}
        module = source.relative_to(TREE / "mutants/nixenv").with_suffix("").as_posix()
        for name in names:
            short = name.rpartition(".")[2]
            function = short.rpartition("__mutmut_")[0]
            original = functions[f"{function}__mutmut_orig"]
            if function.removeprefix("x_") in decorators or function.endswith("_texts"):
                continue
            if not _is_prose(original, functions[short]):
                yield Mutant(name, module, _difference(original, functions[short]))


def _is_prose(original: ast.AST, changed: ast.AST) -> bool:
    """Say whether two functions differ in nothing but a text with blanks in it."""
    before, after = list(ast.walk(original)), list(ast.walk(changed))
    if len(before) != len(after):
        return False
    differing = [
        (one, other)
        for one, other in zip(before, after, strict=True)
        if isinstance(one, ast.Constant) and ast.dump(one) != ast.dump(other)
    ]
    is_text = all(isinstance(one.value, str) and " " in one.value.strip() for one, _ in differing)
    return bool(differing) and is_text


def _difference(original: ast.AST, changed: ast.AST) -> str:
    before, after = (ast.unparse(node).splitlines()[1:] for node in (original, changed))
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return "\n".join(f"    {line}" for line in lines if line[:2] not in ("--", "++", "@@"))


def run(mutants: list[Mutant], children: int) -> Mapping[str, int]:
    """Have mutmut try these; give its exit codes by their names."""
    names = [mutant.name for mutant in mutants]
    with (TREE / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "mutmut", "run", f"--max-children={children}", *names],
            cwd=TREE,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        sys.exit(f"mutmut failed; its last words are in {TREE}/log")
    codes: dict[str, int] = {}
    for file in (TREE / "mutants/nixenv").rglob("*.meta"):
        codes |= json.loads(file.read_text())["exit_code_by_key"]
    return codes


def report(mutants: list[Mutant], codes: Mapping[str, int]) -> float:
    """Print what was not noticed, and the share that was, by module; give the share of all."""
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for mutant in mutants:
        counts[mutant.module][codes[mutant.name]] += 1
        if codes[mutant.name] in (MISSED, UNREACHED):
            print(f"{mutant.name.rpartition('.')[2]} in {mutant.module}\n{mutant.difference}")
    total: Counter[int] = sum(counts.values(), Counter())
    for module, found in sorted(counts.items()):
        print(f"{module:32}{_share(found):7.1f} % of {found.total()}")
    print(
        f"noticed {_share(total):.1f} % of {total.total()}: "
        f"{total[MISSED]} missed, {total[UNREACHED]} reached by no test"
    )
    return _share(total)


def _share(found: Counter[int]) -> float:
    return 100 * (1 - (found[MISSED] + found[UNREACHED]) / max(1, found.total()))


def main() -> int:
    """Draw a sample, try it, and report; 1 where less was noticed than should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--sample", type=int, default=400, help="how many changes; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", default="", help="only modules with this in their path")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--at-least", type=float, default=0.0, help="the share, in percent")
    arguments = parser.parse_args()
    copy_tree()
    generate()
    mutants = [mutant for mutant in list_mutants() if arguments.module in mutant.module]
    if 0 < arguments.sample < len(mutants):
        mutants = random.Random(arguments.seed).sample(mutants, arguments.sample)
    print(f"{len(mutants)} changes, seed {arguments.seed}", flush=True)
    return 1 if report(mutants, run(mutants, arguments.children)) < arguments.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
