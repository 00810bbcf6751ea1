"""How Python's and CUDA's minor versions are written."""

import re

MINOR_VERSION = re.compile(r"\d+\.\d+")
"""``X.Y``, to be matched whole."""
