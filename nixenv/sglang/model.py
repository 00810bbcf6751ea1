"""Find the model that SGLANG_MODEL means: a directory, a bundled snapshot, or an ID to download.

The layout of a bundled model is that of the Hugging Face cache (huggingface_hub, "Understand
caching"): ``models--ORG--NAME/refs/main`` names a commit, ``snapshots/COMMIT`` holds the files.
"""

import os
import re
from collections.abc import Mapping

from attrs import frozen

from nixenv.errors import Unreadable
from nixenv.sglang.errors import BundledModelUnusable, ModelNameInvalid

DEFAULT_MODEL = "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
"""The model when SGLANG_MODEL says nothing."""

# One part of an ID, as huggingface_hub's validate_repo_id has it, in ASCII: no "-" or "." at
# either end, no ".." and no "--" (which separates the parts in the cache).
_ID_PART = r"(?!.*(?:\.\.|--))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_MODEL_ID = re.compile(rf"(?:{_ID_PART}/)?{_ID_PART}")
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@frozen
class Resolution:
    """What SGLANG_MODEL turned out to mean.

    Attributes:
        requested: What the user asked for, as written.
        model: The absolute directory of the model, or its ID where SGLang is to download it.
        bundled: Whether the directory came with the environment.
    """

    requested: str
    model: str
    bundled: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the model is a directory."""
        return os.path.isabs(self.model)


def requested_model(environ: Mapping[str, str]) -> str:
    """Give SGLANG_MODEL, or its default."""
    return environ.get("SGLANG_MODEL") or DEFAULT_MODEL


def find_model(requested: str, environ: Mapping[str, str]) -> Resolution:
    """Look the model up: as a directory, in the environment's bundled models, else nowhere.

    Args:
        requested: A directory with config.json, or a Hugging Face ID.
        environ: FLOX_ENV says where the bundled models are.

    Raises:
        ModelNameInvalid: it is neither a model's directory nor an ID.
        BundledModelUnusable: the environment brings it, in a form that cannot be used.
        Unreadable: the bundled model may not be read.
    """
    if is_model_directory(requested):
        return Resolution(requested, os.path.abspath(requested))
    if not _MODEL_ID.fullmatch(requested):
        raise ModelNameInvalid(requested)
    flox_env = environ.get("FLOX_ENV")
    directory = find_bundled(requested, f"{flox_env}/share/models") if flox_env else None
    if directory is None:
        return Resolution(requested, requested)
    # $FLOX_ENV is a link that moves when the environment changes; the store path stays.
    return Resolution(requested, os.path.realpath(directory), bundled=True)


def is_model_directory(path: str) -> bool:
    """Tell whether SGLang could load a model from there: it wants a config.json."""
    return os.path.isfile(os.path.join(path, "config.json"))


def find_bundled(model_id: str, models: str) -> str | None:
    """Find the directory of a bundled model, None where it is not bundled.

    Args:
        model_id: A valid Hugging Face ID.
        models: The directory of the bundled models.
    """
    repository = os.path.join(models, "hub", "models--" + model_id.replace("/", "--"))
    if os.path.isdir(repository):
        return _find_snapshot(model_id, repository)
    flat = os.path.join(models, model_id.rpartition("/")[2])
    if not os.path.isdir(flat):
        return None
    if not is_model_directory(flat):
        raise BundledModelUnusable(model_id, flat, "it has no config.json")
    return flat


def _find_snapshot(model_id: str, repository: str) -> str:
    snapshots = os.path.join(repository, "snapshots")
    usable = [path for path in _entries(snapshots) if is_model_directory(path)]
    commit = _read_ref(os.path.join(repository, "refs", "main"))
    if commit is not None:
        named = os.path.join(snapshots, commit)
        if not _COMMIT.fullmatch(commit):
            detail = f"its refs/main holds {commit!r}, which is no commit"
        elif not os.path.isdir(named):
            detail = f"its refs/main names {commit}, and there is no such snapshot"
        elif not is_model_directory(named):
            detail = f"its snapshot {commit} has no config.json"
        else:
            return named
    elif len(usable) == 1:
        return usable[0]
    elif usable:
        detail = "it has no refs/main to choose between its snapshots:"
    else:
        detail = "it has no snapshot with a config.json"
    raise BundledModelUnusable(model_id, repository, detail, usable)


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.path.join(directory, name) for name in os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unreadable(directory, error.strerror or str(error)) from error


def _read_ref(file: str) -> str | None:
    try:
        with open(file, "rb") as stream:
            return os.fsdecode(stream.read()).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
