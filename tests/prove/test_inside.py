"""What is tried inside the closure's own interpreter, called in this one."""

import subprocess
from pathlib import Path

import pytest

from nixenv.prove import inside
from tests.real_shells import require_tool

DRIVER = "int cuInit(unsigned f) { return 0; } int cuDeviceGetCount(int *n) { *n = 2; return 0; }"


def test_the_driver_of_a_nixos_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No loader looks into its directory unasked: it is loaded by its path."""
    library = tmp_path / "libcuda.so.1"
    monkeypatch.setattr(inside, "NIXOS_DRIVER", str(library))
    with pytest.raises(OSError, match="cannot open"):
        inside.initialise_driver()
    subprocess.run(
        [require_tool("gcc"), "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)],
        input=DRIVER,
        text=True,
        check=True,
    )
    told = inside.initialise_driver()
    assert told == {"status": 0, "devices": 2, "libcuda": [str(library)]}
