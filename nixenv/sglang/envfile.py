"""The ``.env`` file between the two programs: written whole, read strictly, never executed.

One ``NAME=value`` a line, of five names. A value has every byte outside ``A-Z a-z 0-9 / . _ : @ +
, = -`` as ``%XX``, so any path survives, a file name with a line break or bytes that are no UTF-8
included, and nothing in the file means anything to a shell.
"""

import os
import re
import stat
from collections.abc import Mapping

from nixenv.errors import NixenvError, OutputFailed
from nixenv.files import write_atomically
from nixenv.places import find_distrust, make_private_directory
from nixenv.sglang.cache import CacheUnwritable, entry_name, locate_cache
from nixenv.sglang.model import Origin, Resolution
from nixenv.text import decode_word, encode_word, mask_urls, shorten


class EnvFileUnusable(NixenvError):
    """The resolver's .env file is missing, damaged, stale, or about another model."""

    file: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            mask_urls(f"{self.file} {self.detail}"),
            "run sglang-resolve-model with the same variables; it writes the file anew",
        )


_DIRECTORY = "sglang-models"

# Bytes: more than the longest variables need, each byte of theirs written as three.
_LONGEST = 1 << 20
_LINE = re.compile(r"([A-Z_]+)=((?:[A-Za-z0-9/._:@+,=-]|%[0-9A-F]{2})+)")


def locate_env_file(requested: str, environ: Mapping[str, str]) -> str:
    """Give the place of the file: SGLANG_MODEL_ENV_FILE, else one per model in the cache."""
    override = environ.get("SGLANG_MODEL_ENV_FILE")
    if override:
        return os.path.abspath(override)
    name = entry_name(mask_urls(requested), os.fsencode(requested)) + ".env"
    return os.path.join(locate_cache(_DIRECTORY, environ), name)


def write_env_file(file: str, resolution: Resolution, environ: Mapping[str, str]) -> None:
    """Write the file, readable by its owner alone; a reader sees the old one or the new one.

    Raises:
        CacheUnwritable: it cannot be written.
        CacheUntrusted: somebody else could change it there.
    """
    directory = os.path.dirname(file)
    try:
        if directory == locate_cache(_DIRECTORY, environ):
            make_private_directory(directory)
        else:
            os.makedirs(directory, exist_ok=True)
        write_atomically(file, format_resolution(resolution))
    except OSError as error:
        detail = error.strerror or str(error)
    except OutputFailed as error:
        detail = error.detail
    else:
        return
    raise CacheUnwritable("the resolved model", file, detail, "SGLANG_MODEL_ENV_FILE")


def read_env_file(file: str, requested: str) -> Resolution:
    """Read what sglang-resolve-model found for a model.

    Raises:
        EnvFileUnusable: it is missing, damaged, stale, about another model, or somebody else could
            have written it.
    """
    try:
        # Without O_NONBLOCK, a FIFO in its place would hold us for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise EnvFileUnusable(file, "is no file")
            if distrust := find_distrust(status):
                raise EnvFileUnusable(file, distrust)
            content = stream.read(_LONGEST + 1)
    except FileNotFoundError:
        raise EnvFileUnusable(file, f"is not there yet for {requested!r}") from None
    except OSError as error:
        raise EnvFileUnusable(file, f"cannot be read: {error.strerror}") from error
    if len(content) > _LONGEST:
        raise EnvFileUnusable(file, f"has more than {_LONGEST} bytes")
    try:
        resolution = parse_resolution(content)
    except ValueError as error:
        raise EnvFileUnusable(file, f"is damaged: {error}") from error
    if resolution.requested != requested:
        detail = f"was made for {resolution.requested!r}, but SGLANG_MODEL is {requested!r}"
        raise EnvFileUnusable(file, detail)
    if resolution.is_local and not _is_there(resolution):
        detail = f"is stale: {resolution.model!r} is gone"
        raise EnvFileUnusable(file, detail)
    return resolution


def format_resolution(resolution: Resolution) -> str:
    """Write a resolution down as the file's text."""
    values = {"SGLANG_MODEL_REQUESTED": resolution.requested, "SGLANG_MODEL": resolution.model}
    if resolution.revision is not None:
        values["SGLANG_MODEL_REVISION"] = resolution.revision
    if resolution.is_bundled:
        values |= {"SGLANG_BUNDLED_FROM": resolution.model_id, "HF_HUB_OFFLINE": "1"}
    return "".join(f"{name}={encode_word(value)}\n" for name, value in values.items())


def parse_resolution(content: bytes) -> Resolution:
    """Read the file's content: exactly what `format_resolution` writes, and nothing else.

    Raises:
        ValueError: anything else; its text says what and where.
    """
    values: dict[str, str] = {}
    lines = content.decode("ascii", "backslashreplace").split("\n")
    for number, line in enumerate(lines[:-1], start=1):
        parsed = _LINE.fullmatch(line)
        if parsed is None:
            shown = repr(shorten(line))
            raise ValueError(f"line {number} is no NAME=value of this file's encoding: {shown}")
        values[parsed[1]] = decode_word(parsed[2])
    model = values.get("SGLANG_MODEL", "")
    resolution = Resolution(
        values.get("SGLANG_MODEL_REQUESTED", ""),
        model,
        _origin_of(model, bundled="SGLANG_BUNDLED_FROM" in values),
        values.get("SGLANG_MODEL_REVISION"),
    )
    is_asked_for = model in (resolution.requested, resolution.model_id)
    if not resolution.is_local and (resolution.is_bundled or not is_asked_for):
        raise ValueError(f"{model!r} is neither a path nor the model that was asked for")
    # Unknown, doubled and missing names, another order, needless escapes, a last line cut short.
    if format_resolution(resolution).encode() != content:
        raise ValueError("it is not as sglang-resolve-model writes it")
    return resolution


def _origin_of(model: str, *, bundled: bool) -> Origin:
    # For the server a model in the user's cache is a path like any other.
    if bundled:
        return Origin.BUNDLED
    if os.path.isabs(model):
        return Origin.PATH
    return Origin.REMOTE if "://" in model else Origin.HUB


def _is_there(resolution: Resolution) -> bool:
    """Whether a path is there still; of a shadow, the model behind it as well."""
    config = os.path.join(resolution.model, "config.json")
    return os.path.exists(resolution.model) and os.path.lexists(config) == os.path.exists(config)
