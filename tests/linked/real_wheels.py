"""A private store of real distributions from PyPI, one store object each.

`python -m tests.linked.real_wheels DIR` makes one by hand.
"""

import csv
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from attrs import frozen

from fixtures.closure import build_sglang_closure
from fixtures.private_store import PrivateStore, StoreRecord

REQUIREMENTS = Path(__file__).with_name("real_wheels.txt")
CACHE = Path(__file__).parents[2] / ".cache" / "wheels-real"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TELL_MODULES = """\
import importlib, json, sys
from importlib.metadata import packages_distributions, version
names = packages_distributions()
found = {name: importlib.import_module(name) for name in sys.argv[1:]}
print(json.dumps({n: [m.__file__, version(names[n.split(".")[0]][0])] for n, m in found.items()}))
"""
"""Imports the modules named on its command line; says where each is from, and its version."""

_HASH_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

# Where the parts of a wheel's .data directory belong; its headers are of no use here.
_DATA = {
    "purelib": f"lib/python{PYTHON}/site-packages",
    "platlib": f"lib/python{PYTHON}/site-packages",
    "scripts": "bin",
    "data": ".",
}


@frozen
class RealClosure:
    """A program that needs all of the distributions.

    Attributes:
        store: Where it is.
        root: Its store path.
        site_packages: Those of the distributions.
    """

    store: PrivateStore
    root: str
    site_packages: tuple[str, ...]


def fetch_wheels() -> Path:
    """Download the wheels for this interpreter, or find them in the cache.

    They appear there complete or not at all. A failure to fetch them fails the test: what would be
    skipped is the proof.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    place = CACHE / f"{digest}-{PYTHON}"
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as scratch:
            wheels = Path(scratch, "wheels")
            command = (
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
                *("--requirement", str(REQUIREMENTS), "--dest", str(wheels)),
            )
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            try:
                wheels.rename(place)
            except OSError:
                # Another process was first: what it put there is the same.
                assert place.is_dir()
    return place


def make_real_closure(store: PrivateStore) -> RealClosure:
    """Unpack each wheel into a store object of its own and register a root that needs all."""
    interpreter = build_sglang_closure(store)
    python = interpreter.objects[f"python3-{interpreter.python_version}"]
    objects = [_unpack(wheel, Path(store.store_dir)) for wheel in sorted(fetch_wheels().iterdir())]
    root = _store_object(Path(store.store_dir), f"python{PYTHON}-everything-1.0")
    (root / "nix-support").mkdir(parents=True)
    propagated = [str(path) for path in objects]
    (root / "nix-support/propagated-build-inputs").write_text(" ".join([*propagated, python]))
    site_packages = tuple(f"{path}/lib/python{PYTHON}/site-packages" for path in propagated)
    _write_program(root / "bin", python, site_packages)
    store.load(
        [
            *(StoreRecord(path, (python,)) for path in propagated),
            StoreRecord(str(root), (*propagated, python)),
        ]
    )
    return RealClosure(store, str(root), site_packages)


def _write_program(directory: Path, python: str, site_packages: Iterable[str]) -> None:
    """Write the program `everything`, wrapped as nixpkgs does it: it says what modules it sees."""
    directory.mkdir()
    items = ", ".join(f"'{path}'" for path in site_packages)
    hidden = directory / ".everything-wrapped"
    hidden.write_text(
        f"#!{python}/bin/python{PYTHON}\n"
        "import sys;import site;import functools;sys.argv[0]='everything';functools.reduce(lambda "
        f"k, p: site.addsitedir(p, k), [{items}], site._init_pathinfo());\n{TELL_MODULES}"
    )
    program = directory / "everything"
    program.write_text(
        f'#! /bin/bash -e\nexport PYTHONNOUSERSITE=\'true\'\nexec -a "$0" "{hidden}"  "$@" \n'
    )
    for file in (hidden, program):
        file.chmod(0o755)


def find_modules(site_packages: str) -> Iterator[str]:
    """Name the outermost modules of a distribution: in a namespace, the public ones below it."""
    (record,) = Path(site_packages).glob("*.dist-info/RECORD")
    with record.open(newline="") as stream:
        files = [PurePosixPath(row[0]) for row in csv.reader(stream) if row]
    packages = {file.parent for file in files if file.name == "__init__.py"}
    namespaces = {path for path in packages if _is_namespace(Path(site_packages, path))}
    regular = packages - namespaces
    single = {file.with_name(file.name.partition(".")[0]) for file in files if _is_module(file)}
    for module in sorted(regular | single):
        public = not any(part.startswith("_") for part in module.parts[1:])
        if public and regular.isdisjoint(module.parents):
            yield ".".join(module.parts)


def _is_module(file: PurePosixPath) -> bool:
    names = (*file.parts[:-1], file.name.partition(".")[0])
    return file.name.endswith((".py", ".so")) and all(name.isidentifier() for name in names)


def _is_namespace(package: Path) -> bool:
    """Whether an `__init__.py` is there only so that others may add to the package."""
    text = (package / "__init__.py").read_text()
    return "extend_path" in text or (not text and package.name == "nvidia")


def _unpack(wheel: Path, store_dir: Path) -> Path:
    name, version = wheel.name.split("-")[:2]
    path = _store_object(store_dir, f"python{PYTHON}-{name}-{version}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(path / _DATA["purelib"])
    for part in list((path / _DATA["purelib"]).glob("*.data/*")):
        if part.name in _DATA:
            _move(part, path / _DATA[part.name])
    return path


def _move(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir() and (target / entry.name).is_dir():
            _move(entry, target / entry.name)
        else:
            entry.rename(target / entry.name)


def _store_object(store_dir: Path, name: str) -> Path:
    digest = hashlib.sha256(name.encode()).digest()
    encoded = "".join(_HASH_ALPHABET[byte % 32] for byte in digest)
    return store_dir / f"{encoded}-{name}"


def main(arguments: Iterable[str]) -> None:
    """Make a store by hand."""
    (directory,) = arguments
    closure = make_real_closure(PrivateStore.create(Path(directory)))
    result = {"environ": closure.store.environ, "root": closure.root}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
