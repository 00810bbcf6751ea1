"""How Python's and CUDA's minor versions are written."""

import re

MINOR_VERSION = re.compile(r"\d{1,4}\.\d{1,4}")
"""``X.Y``, to be matched whole."""
