"""The render station: write an environment down for a shell, or as data. Pure.

Each module here knows one syntax and nothing else. Names are validated where operations are made,
so they are written as they are; values are always quoted, so that none can run as code.
"""

from collections.abc import Callable, Mapping

from nixenv.environment import Environment
from nixenv.shells import data, fish, posix, tcsh

Renderer = Callable[[Environment, Mapping[str, str]], str]

_RENDERERS: Mapping[str, Renderer] = {
    "bash": posix.render,
    "zsh": posix.render,
    "sh": posix.render,
    "fish": fish.render,
    "tcsh": tcsh.render,
    "json": data.render_json,
    "dotenv": data.render_dotenv,
}

SHELLS = tuple(_RENDERERS)
"""The names that `render` takes."""


def render(environment: Environment, shell: str, environ: Mapping[str, str]) -> str:
    """Write ``environment`` down for ``shell``.

    Args:
        environment: The operations.
        shell: One of `SHELLS`.
        environ: The variables before: tcsh, json and dotenv hold final values.

    Returns:
        Text; bytes that are no UTF-8 are in it as surrogate escapes (``os.fsencode`` it).

    Raises:
        VariableTooLong: a value would be too long for Linux to pass on.
        NotExpressible: the format has no way to write a value.
    """
    return _RENDERERS[shell](environment, environ)
