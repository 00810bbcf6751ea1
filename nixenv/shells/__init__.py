"""The render station: write an environment down for a shell, or as data. Pure.

Each module here knows one syntax and nothing else. An environment has only names that are names, so
they are written as they are; values are always quoted, so that none can run as code.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

TYPE_CHECKING = False

if TYPE_CHECKING:
    from nixenv.road.plan import Environment

    Renderer = Callable[[Environment, Mapping[str, str]], str]

# Imported when it is used: an activation needs one of them.
_RENDERERS: Mapping[str, tuple[str, str]] = {
    "bash": ("nixenv.shells.posix", "render"),
    "zsh": ("nixenv.shells.posix", "render"),
    "sh": ("nixenv.shells.posix", "render"),
    "fish": ("nixenv.shells.fish", "render"),
    "tcsh": ("nixenv.shells.tcsh", "render"),
    "json": ("nixenv.shells.data", "render_json"),
    "dotenv": ("nixenv.shells.data", "render_dotenv"),
}

SHELLS = tuple(_RENDERERS)
"""The names that `render` takes."""


def render(environment: "Environment", shell: str, environ: Mapping[str, str]) -> str:
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
    module, function = _RENDERERS[shell]
    renderer: Renderer = getattr(import_module(module), function)
    return renderer(environment, environ)
