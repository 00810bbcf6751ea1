"""From the SGLANG_* variables to the server's command and environment, as plain data."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from nixenv.errors import UsageError
from nixenv.files import read_file
from nixenv.sglang import values
from nixenv.sglang.arguments import split_words
from nixenv.sglang.defaults import read_defaults
from nixenv.sglang.interpreter import find_python
from nixenv.sglang.model import Resolution
from nixenv.text import shorten

_T = TypeVar("_T")


class Problem(NamedTuple):
    """One variable, and what is wrong with its value."""

    variable: str
    detail: str


class SettingsInvalid(UsageError):
    """Variables of sglang-serve with values that cannot be used: all of them."""

    problems: Sequence[Problem]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            "these settings cannot be used:",
            "correct each, or unset it to have its default",
            [f"{problem.variable}: {shorten(problem.detail)}" for problem in self.problems],
        )


# Which variable becomes which flag of sglang.launch_server 0.5.9.
_OPTIONS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("SGLANG_HOST", "--host", values.parse_host),
    ("SGLANG_PORT", "--port", values.parse_port),
    ("SGLANG_SERVED_NAME", "--served-model-name", values.parse_served_name),
    (
        "SGLANG_PREFERRED_SAMPLING_PARAMS",
        "--preferred-sampling-params",
        values.parse_sampling_params,
    ),
    ("SGLANG_ATTENTION_BACKEND", "--attention-backend", values.parse_backend),
    ("SGLANG_DTYPE", "--dtype", values.parse_dtype),
    ("SGLANG_TP_SIZE", "--tp-size", values.parse_count),
    ("SGLANG_NNODES", "--nnodes", values.parse_count),
    ("SGLANG_NODE_RANK", "--node-rank", values.parse_rank),
    ("SGLANG_DIST_INIT_ADDR", "--dist-init-addr", values.parse_address),
)
_NO_PYTHON = (
    "it is unset, and no activation says which interpreter has SGLang's modules "
    "(NIXENV_ACTIVATION): activate the environment first, or set it"
)
# A key has 4096 characters at the most, and an editor may leave some around it.
_LONGEST_KEY_FILE = 8192
_NODES = ("SGLANG_NNODES", "SGLANG_NODE_RANK", "SGLANG_DIST_INIT_ADDR")

# sglang's get_open_port() (srt/utils/common.py) takes SGLANG_PORT for a port of its own, and with
# tensor parallelism then binds it before the HTTP server does; SGL_* is copied to SGLANG_*.
_HIDDEN = ("SGLANG_PORT", "SGL_PORT")


class Launch(NamedTuple):
    """A server's start.

    Attributes:
        command: The argument vector, secrets included.
        host: Where it will listen.
        port: Where it will listen.
        preflight: Whether to try that port first.
    """

    command: tuple[str, ...]
    host: str
    port: int
    preflight: bool

    def __repr__(self) -> str:
        """Show where it will listen; the command holds secrets."""
        return f"Launch(host={self.host!r}, port={self.port})"


def plan_launch(resolution: Resolution, environ: Mapping[str, str]) -> Launch:
    """Build the server's start from the variables; an empty one counts as unset.

    Args:
        resolution: The model to serve.
        environ: The variables.

    Raises:
        SettingsInvalid: values that cannot be used; it names all of them.
    """
    reader = _Reader(
        {
            **read_defaults(),
            "SGLANG_SERVED_NAME": resolution.model_id if resolution.is_bundled else "default",
            **{name: value for name, value in environ.items() if value},
        }
    )
    options = {name: reader.read(name, parse) for name, _, parse in _OPTIONS}
    reader.problems += _find_node_problems(options, environ)
    no_cuda_graph = reader.read("SGLANG_DISABLE_CUDA_GRAPH", values.parse_switch)
    preflight = reader.read("SGLANG_PREFLIGHT", values.parse_switch)
    api_key = reader.read("SGLANG_API_KEY_FILE", read_api_key)
    extra_args = reader.read("SGLANG_EXTRA_ARGS", split_words)
    host, port = options["SGLANG_HOST"], options["SGLANG_PORT"]
    python = find_python(environ)
    if python is None:
        reader.problems.append(Problem("SGLANG_PYTHON", _NO_PYTHON))
    if reader.problems or host is None or port is None or python is None:
        raise SettingsInvalid(tuple(reader.problems))
    command = [python, "-m", "sglang.launch_server"]
    command += _flag("--model-path", resolution.model)
    command += _flag("--revision", resolution.revision)
    for name, flag, _ in _OPTIONS:
        command += _flag(flag, options[name])
    if no_cuda_graph:
        command.append("--disable-cuda-graph")
    command += _flag("--api-key", api_key)
    # Last, because argparse lets the last of several equal flags win.
    command += extra_args or ()
    return Launch(tuple(command), host, int(port), bool(preflight))


def server_environment(resolution: Resolution, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that the server sees.

    A bundled model makes it work offline, unless HF_HUB_OFFLINE says otherwise.
    """
    inherited = {
        name: value
        for name, value in environ.items()
        if name not in _HIDDEN and name != "SGLANG_BUNDLED_FROM"
    }
    if resolution.is_bundled:
        offline = environ.get("HF_HUB_OFFLINE") or "1"
        inherited |= {"SGLANG_BUNDLED_FROM": resolution.model_id, "HF_HUB_OFFLINE": offline}
    return {**inherited, "SGLANG_MODEL": resolution.model}


def read_api_key(file: str) -> str:
    """Read a key that can stand in an ``Authorization`` header; blanks around it are dropped.

    Raises:
        ValueError: it cannot be read, or holds no such key. The text does not show the content.
    """
    try:
        key = read_file(file, _LONGEST_KEY_FILE).decode("latin-1").strip()
    except OSError as error:
        raise ValueError(f"{file!r} cannot be read: {error.strerror}") from error
    # SGLang compares keys with secrets.compare_digest, which takes ASCII alone.
    if not re.fullmatch(r"[\x21-\x7e]{1,4096}", key):
        raise ValueError(f"{file!r} holds no key of 1 to 4096 ASCII characters without blanks")
    return key


class _Reader:
    """Reads variables, and keeps what is wrong with them until all are read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []

    def read(self, variable: str, parse: Callable[[str], _T]) -> _T | None:
        text = self._environ.get(variable)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(Problem(variable, str(error)))
            return None


def _find_node_problems(
    options: Mapping[str, str | None], environ: Mapping[str, str]
) -> Iterable[Problem]:
    given = [name for name in _NODES if environ.get(name)]
    for name in _NODES:
        if given and name not in given:
            yield Problem(name, f"it is unset, but {' and '.join(given)} is set: all three or none")
    nodes, rank = options["SGLANG_NNODES"], options["SGLANG_NODE_RANK"]
    if nodes is not None and rank is not None and int(rank) >= int(nodes):
        yield Problem("SGLANG_NODE_RANK", f"{rank} is not below SGLANG_NNODES, which is {nodes}")


def _flag(flag: str, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    # argparse takes a separate word with a dash in front for another flag.
    return (f"{flag}={value}",) if value.startswith("-") else (flag, value)
