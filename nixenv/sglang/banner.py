"""The one line for the person at the prompt: which model, from where, and where it is served."""

import os
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.sglang.capability import describe_incapable, find_gpus_without_fp8
from nixenv.sglang.defaults import value_of
from nixenv.sglang.model import Origin, Resolution, requested_model
from nixenv.sglang.resolving import resolve_model
from nixenv.text import mask_urls, printable, shorten

_LONGEST = 1000


def describe_origin(resolution: Resolution) -> str:
    """Say in a word or two where the model comes from."""
    if resolution.origin is not Origin.PATH:
        return str(resolution.origin.value)
    return "local file" if os.path.isfile(resolution.model) else "local directory"


def describe_server(environ: Mapping[str, str]) -> str:
    """Write the line, in printable characters; a model that cannot be served is told of in it."""
    try:
        requested = requested_model(environ)
        origin = describe_origin(resolve_model(environ).resolution)
    except NixenvError as error:
        return _line(f"cannot serve: {error.reason}")
    host, port = value_of("SGLANG_HOST", environ), value_of("SGLANG_PORT", environ)
    line = f"{requested} ({origin}) on {host}:{port}"
    incapable = describe_incapable(requested, find_gpus_without_fp8())
    return _line(f"{line}; it {incapable}" if incapable else line)


def _line(text: str) -> str:
    # It becomes a variable, and with one of more than 131,071 bytes no program can be started.
    return shorten(f"sglang: {printable(mask_urls(text))}", _LONGEST)
