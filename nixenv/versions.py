"""How Python's and CUDA's minor versions are written."""

import re

MINOR_VERSION = re.compile(r"\d{1,4}\.\d{1,4}")
"""``X.Y``, to be matched whole."""

PYTHON_VERSION = re.compile(r"\d{1,4}\.\d{1,4}t?")
"""``X.Y`` of a Python, or ``X.Yt`` of a free-threaded build, to be matched whole."""

VERSIONED_PYTHON = re.compile(r"python(?P<version>\d{1,4}\.\d{1,4}t?)")
"""``pythonX.Y``, to be matched whole: an interpreter's file, and its directory in ``lib``."""
