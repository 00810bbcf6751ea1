"""The launcher: the chain of wrapper scripts and binaries from a program's file to its interpreter.

nixpkgs, Flox and people start Python in many ways. Each step is a format of its own, with a small
reader of its own; `chain` goes from one to the next.
"""

from nixenv.road.launcher.chain import Kind, Launcher, Step, read_launcher
from nixenv.road.launcher.end import Look, Place
from nixenv.road.launcher.script import parse_path_lines

__all__ = ["Kind", "Launcher", "Look", "Place", "Step", "parse_path_lines", "read_launcher"]
