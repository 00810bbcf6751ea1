"""Formats for programs: JSON, and the dotenv lines that Docker and python-dotenv read."""

import json
import os
import re
from collections.abc import Mapping

from nixenv.errors import NixenvError
from nixenv.road.plan import (
    Append,
    Default,
    Environment,
    MakeDirectory,
    Operation,
    Prepend,
    Remove,
    Set,
    Unset,
    resolve,
)


class NotExpressible(NixenvError):
    """A value that the chosen output format has no way to write."""

    name: str
    shell: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.name} cannot be written as {self.shell}: {self.detail}",
            "take --shell json, which holds every value, or change this one",
        )


# Docker takes all behind "=" literally; python-dotenv strips blanks, knows quotes, comments behind
# a blank, and ${NAME}. Where the two would read different values, there is no honest line.
_DIFFERENTLY_READ = re.compile(r"[\r\n]|\A[\s'\"]|\s\Z|\s#|\$\{")


# bufio.MaxScanTokenSize: docker's parser gives up on a line that long.
_DOCKER_LINE = 64 * 1024


def render_json(environment: Environment, environ: Mapping[str, str]) -> str:
    r"""Write schema 1: final values, null for unset, and the operations.

    Bytes that are no UTF-8 become lone surrogates (``\udcXX``), which ``os.fsencode`` takes back.
    """
    document = {
        "schema": 1,
        "variables": resolve(environment, environ),
        "operations": [_operation(operation) for operation in environment.operations],
    }
    return json.dumps(document, indent=2) + "\n"


def render_dotenv(environment: Environment, environ: Mapping[str, str]) -> str:
    """Write ``NAME=value`` lines, final values. Unset variables are left out.

    Raises:
        NotExpressible: a value that Docker and python-dotenv would read differently.
    """
    lines = []
    for name, value in resolve(environment, environ).items():
        if value is None:
            continue
        if _DIFFERENTLY_READ.search(value):
            detail = "Docker and python-dotenv would read line breaks, outer blanks or quotes, "
            raise NotExpressible(name, "dotenv", f"{detail}' #' and '${{' differently")
        if len(os.fsencode(f"{name}={value}")) >= _DOCKER_LINE:
            raise NotExpressible(name, "dotenv", "Docker reads no line of 64 KiB")
        try:
            os.fsencode(value).decode()
        except UnicodeDecodeError as error:
            raise NotExpressible(name, "dotenv", "it is no UTF-8") from error
        lines.append(f"{name}={value}\n")
    return "".join(lines)


def _operation(operation: Operation) -> dict[str, object]:
    kind = type(operation).__name__.lower()
    match operation:
        case Unset(name=name):
            return {"operation": kind, "name": name}
        case Set(name=name, value=value) | Default(name=name, value=value):
            return {"operation": kind, "name": name, "value": value}
        case (
            Prepend(name=name, entries=entries)
            | Append(name=name, entries=entries)
            | Remove(name=name, entries=entries)
        ):
            return {"operation": kind, "name": name, "entries": list(entries)}
        case MakeDirectory(path=path):
            return {"operation": "make-directory", "path": path}
