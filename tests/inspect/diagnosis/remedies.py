"""What a remedy tells its reader to type."""

from nixenv.text import split_code


def command_in(remedy: str) -> str:
    """Give the first line that a remedy names."""
    return next(part for part, is_code in split_code(remedy) if is_code)
