"""The interpreter that the server runs on: the user's choice, else the activation's."""

from collections.abc import Mapping

from nixenv.road.record import read_record


def find_python(environ: Mapping[str, str]) -> str | None:
    """Give SGLANG_PYTHON, else the interpreter of the activation record; None without either.

    A bare name is for the system to look up on PATH.
    """
    if chosen := environ.get("SGLANG_PYTHON"):
        return chosen
    record = read_record(environ)
    return record.python or None if record else None
