"""What was chosen from a closure, and why: who shows a choice repeats the chooser's reasons."""

from enum import StrEnum

from nixenv.storepath import StorePath
from nixenv.typed import NamedTuple


class Reason(StrEnum):
    """What a choice rests on. Code compares the members; their values are for people."""

    ASKED_FOR = "asked for"
    ONLY_VERSION = "the only version in the closure"
    # Python
    ROOT_HAS_MODULES = "the root holds site-packages of that version"
    LAUNCHER_HAS_VERSION = "the program's launcher ends at that version"
    LAUNCHER = "the program's launcher ends there"
    LAUNCHER_ENVIRONMENT = "the program's launcher runs in that environment"
    ROOT_HAS_INTERPRETER = "the root's own interpreter has that version"
    ROOT_INTERPRETER = "it is the root's own interpreter"
    ONLY_INTERPRETER = "the only one of that version"
    PLAIN_INTERPRETER = "the plain interpreter of that version"
    # CUDA
    BUILT_FOR = "torch was built for it"
    ROOT_HAS_VERSION = "the root's name has that version"
    NEAREST_WHOLE = "the nearest whole one to what the program was built for"
    HIGHEST_WHOLE = "the highest whole one: nvcc and the headers that it includes"
    HIGHEST_VERSION = "the highest version that has an nvcc"
    DISTRIBUTIONS = "Python distributions make it up"
    JOINED_TOOLKIT = "a joined toolkit, which is a whole CUDA_HOME"
    NVCC_OF_VERSION = "the highest nvcc of that version"
    TOLD_BY_USER = "its name tells no version, so the one that was asked for is believed"
    # Beside the toolkit
    NVCC_NAMES_IT = "nvcc's own files name it"
    NEWEST_ACCEPTED_GCC = "the newest gcc wrapper that nvcc accepts"
    NEWEST_GCC = "the newest gcc wrapper"
    OLDEST_GCC = "the oldest gcc wrapper: nvcc accepts none of them"
    NEWEST_NINJA = "the newest one that is called ninja"
    HAS_NINJA = "it has a ninja, and nothing is called so"


class Choice(NamedTuple):
    """A store object that was chosen.

    Attributes:
        path: Its store path.
        reason: Why this one.
    """

    path: StorePath
    reason: Reason


def because(reasons: tuple[Reason, ...]) -> str:
    """Give several reasons as one text."""
    return "; ".join(reasons)
