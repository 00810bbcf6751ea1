"""What the resulting environment costs the program: start-up and imports, in both layouts."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Command
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure

# Of the synthetic closure's store paths, about this share are Python distributions.
_PYTHON_SHARE = 0.45


def imports(base: Path, directories: int) -> list[Command]:
    """List what is timed with about `directories` site-packages directories."""
    store = PrivateStore.create(base / f"imports-{directories}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.executable).resolve()
    size = round(directories / _PYTHON_SHARE)
    root = load_synthetic_closure(store, size, python_version=version, python=python)
    commands = []
    for layout in ("store", "linked"):
        environ = {**store.environ, "PATH": os.environ["PATH"], "HOME": str(base)}
        export = ("export", "--root", root, "--shell", "json", "--layout", layout)
        command = (sys.executable, "-I", "-m", "nixenv", *export, "--cache-dir", f"{base}/{size}")
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
        final = json.loads(done.stdout)["variables"]
        environ.update({name: value for name, value in final.items() if value is not None})
        interpreter = f"{final['PATH'].partition(':')[0]}/python{version}"
        everything = f"import {', '.join(_modules(root, version))}"
        for name, code in {"start": "pass", "import all": everything}.items():
            argv = (interpreter, "-B", "-c", code)
            commands.append(Command(f"{name}, {layout}", argv, environ))
    return commands


def _modules(root: str, version: str) -> list[str]:
    """Name the top-level modules of the program, by its wrapper's list."""
    script = Path(root, "bin/.sglang-wrapped").read_text()
    tail = f"/lib/python{version}/site-packages"
    directories = [Path(part) for part in script.split("'") if part.endswith(tail)]
    found = {entry.name for path in directories for entry in path.iterdir() if entry.is_dir()}
    return sorted(name for name in found if name.isidentifier())
