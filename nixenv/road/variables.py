"""Environment variables: what a name may be, and which ones are not a profile's to set. Pure."""

RECORD_VARIABLE = "NIXENV_ACTIVATION"
"""The variable with the activation record (`nixenv.road.record`)."""

LIBRARY_PATH_OF_LOADER = "LD_LIBRARY_PATH"
"""A profile may set it out of names alone: whatever else it held would be loaded into programs."""

RESERVED = frozenset(
    (
        RECORD_VARIABLE,
        *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
        *("CUDA_HOME", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "IFS"),
        # What they name runs in every program, shell or Python that starts afterwards.
        *("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "PROMPT_COMMAND", "PYTHONSTARTUP"),
    )
)
"""Variables that no profile sets: nixenv's own, what shells live by, what runs code."""


def is_variable_name(name: str) -> bool:
    """Whether a shell takes a name for that of a variable.

    >>> is_variable_name("CUDA_HOME"), is_variable_name("2ND"), is_variable_name("A B")
    (True, False, False)
    """
    return name.isascii() and name.isidentifier()
