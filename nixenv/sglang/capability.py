"""Whether the machine's GPUs can run the default model: it is in FP8, which came with Ada.

The names are the driver's own, from ``/proc``: nvidia-smi may take seconds, and the line for the
prompt is not to wait for it. nvidia-smi's answer is for `nixenv inspect`.
"""

import glob
import os
import re

from nixenv.sglang.defaults import read_defaults

NEEDED = "8.9"
"""The compute capability that the default model needs: that of the first GPUs with FP8."""

ALTERNATIVE = "SGLANG_MODEL=Qwen/Qwen3-4B SGLANG_DTYPE=half"
"""What runs on each GPU before that, a T4 included; docs/operating-sglang.md has larger ones."""

# GPUs of the generations from Kepler to Ampere, as the driver names them. What came later, such as
# L4, RTX 6000 Ada or H100, is called otherwise.
_BEFORE_FP8 = re.compile(
    r"\b(?:[KMP]\d{1,3}\w*|GTX|TITAN|Quadro|T4G?|T[1-9]0{2,3}|V100\w*|RTX [23]0\d\d|RTX A\d+"
    r"|A2|A10[GM]?|A16|A30\w?|A40|A[18]00\w*)\b"
)


def find_gpus_without_fp8(filesystem: str = "/") -> list[str]:
    """Name the GPUs of this machine that are too old for the default model, each name once.

    A file begins with a line such as ``Model:           Tesla T4``.

    Args:
        filesystem: What stands for ``/``.
    """
    names = []
    pattern = os.path.join(glob.escape(filesystem), "proc/driver/nvidia/gpus/*/information")
    for file in sorted(glob.glob(pattern)):
        try:
            with open(file, encoding="ascii", errors="replace") as stream:
                first = stream.read(4096).partition("\n")[0]
        except OSError:
            continue
        label, _, name = first.partition(":")
        if label == "Model" and _BEFORE_FP8.search(name):
            names.append(name.strip())
    return list(dict.fromkeys(names))


def describe_incapable(requested: str, gpus: list[str]) -> str | None:
    """Say that the default model will not run here, None where it will, or where it is another."""
    if requested.partition("@")[0] != read_defaults()["SGLANG_MODEL"] or not gpus:
        return None
    names = " and ".join(gpus)
    return f"needs compute capability {NEEDED}, which {names} has not: {ALTERNATIVE} flox activate"
