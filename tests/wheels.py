"""Wheels that tests need, fetched once: complete or not at all, each checked by its hash."""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "wheels"


def fetch(requirements: Path, unpack: Callable[[Path, Path], None]) -> Path:
    """Download the wheels that a file lists, and unpack them; or find them in the cache.

    Args:
        requirements: The file, with hashes.
        unpack: Called with the directory of the wheels, and the one to fill.
    """
    place = CACHE / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as scratch:
            wheels, unpacked = Path(scratch, "wheels"), Path(scratch, "unpacked")
            command = (
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
                *("--requirement", str(requirements), "--dest", str(wheels)),
            )
            subprocess.run(command, check=True)
            unpacked.mkdir()
            unpack(wheels, unpacked)
            try:
                unpacked.rename(place)
            except OSError:
                assert place.is_dir(), "another process was first, and left it complete"
    return place
