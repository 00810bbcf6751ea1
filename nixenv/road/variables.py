"""Environment variables: what a name may be, and which ones are not a profile's to set. Pure."""

RECORD_VARIABLE = "NIXENV_ACTIVATION"
"""The variable with the activation record (`nixenv.road.record`)."""

LIBRARY_PATH_OF_LOADER = "LD_LIBRARY_PATH"
"""A profile may set it out of names alone: whatever else it held would be loaded into programs."""

SHELLS_OWN = frozenset(
    (
        *("_", "argv", "status", "history", "version", "pipestatus", "hostname", "signals"),
        *("BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "BASH_ARGC", "BASH_ARGV", "BASH_LINENO"),
        *("BASH_SOURCE", "FUNCNAME", "DIRSTACK", "GROUPS", "PIPESTATUS"),
        *("UID", "EUID", "GID", "EGID", "PPID", "HISTCMD", "LINENO", "OPTIND", "RANDOM", "SRANDOM"),
        *("SECONDS", "EPOCHSECONDS", "EPOCHREALTIME"),
    )
)
"""Variables that some shell keeps for itself: to set them stops a text halfway, or does nothing."""

RESERVED = frozenset(
    (
        RECORD_VARIABLE,
        *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
        *("CUDA_HOME", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "IFS"),
        # What they name runs in every program, shell or Python that starts afterwards.
        *("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "PROMPT_COMMAND", "PYTHONSTARTUP"),
        *SHELLS_OWN,
    )
)
"""Variables that no profile sets: nixenv's own, what shells live by, what runs code."""


def is_variable_name(name: str) -> bool:
    """Whether a shell takes a name for that of a variable.

    >>> is_variable_name("CUDA_HOME"), is_variable_name("2ND"), is_variable_name("A B")
    (True, False, False)
    """
    return name.isascii() and name.isidentifier()
