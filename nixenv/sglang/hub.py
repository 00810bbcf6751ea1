"""Hugging Face's own layout of models on disk, as its cache has it and as model packages bring it.

``models--ORG--NAME/refs/main`` names a commit, ``snapshots/COMMIT`` holds the files
(huggingface_hub, "Understand caching"; the places are those of ``huggingface_hub/constants.py``).
"""

import os
import re
from collections.abc import Mapping, Sequence

from nixenv.errors import NixenvError, Unreadable
from nixenv.files import read_file

# One part of an ID, as huggingface_hub's validate_repo_id has it, in ASCII: no "-" or "." at
# either end, no ".." and no "--" (which separates the parts in the cache).
_ID_PART = r"(?!.*(?:\.\.|--))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_MODEL_ID = re.compile(rf"(?:{_ID_PART}/)?{_ID_PART}")
# A branch, a tag or a commit; refs/pr/1 is one, too.
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_LONGEST_REF = 4096


class BundledModelUnusable(NixenvError):
    """The environment brings the model, but not one snapshot of it can be chosen."""

    model_id: str
    place: str
    detail: str
    usable: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        return (
            f"{self.model_id} is bundled in {self.place}, but {self.detail}",
            f"choose a snapshot yourself: SGLANG_MODEL={self.usable[0]}"
            if self.usable
            else "reinstall the model's package, or take it out to have the model downloaded",
            self.usable,
        )


def is_model_id(text: str) -> bool:
    """Tell whether this could be the ID of a model, of one or two parts."""
    return _MODEL_ID.fullmatch(text) is not None


def is_revision(text: str) -> bool:
    """Tell whether this could be a branch, a tag or a commit."""
    return _REVISION.fullmatch(text) is not None


def is_model_directory(path: str) -> bool:
    """Tell whether transformers would find a model's configuration there."""
    return os.path.isfile(os.path.join(path, "config.json"))


def find_repository(model_id: str, hub: str) -> str | None:
    """Find the directory of a model in a hub, None where it has none."""
    repository = os.path.join(hub, "models--" + model_id.replace("/", "--"))
    return repository if os.path.isdir(repository) else None


def find_user_hub(environ: Mapping[str, str]) -> str | None:
    """Give the directory of the user's own Hugging Face cache, there or not."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if place := environ.get(name):
            return os.path.abspath(place)
    if home := environ.get("HF_HOME"):
        return os.path.abspath(os.path.join(home, "hub"))
    base = environ.get("XDG_CACHE_HOME")
    if not base and (home := environ.get("HOME")):
        base = os.path.join(home, ".cache")
    return os.path.abspath(os.path.join(base, "huggingface", "hub")) if base else None


def find_revision(repository: str, revision: str) -> str | None:
    """Find the snapshot of a branch, a tag or a commit, None where there is none.

    Raises:
        Unreadable: the file that names its commit may not be read.
    """
    commit = _read_ref(os.path.join(repository, "refs", revision)) or revision
    snapshot = os.path.join(repository, "snapshots", commit)
    return snapshot if _COMMIT.fullmatch(commit) and os.path.isdir(snapshot) else None


def choose_snapshot(model_id: str, repository: str) -> str:
    """Choose the snapshot of a bundled model: that of ``main``, else the only usable one.

    Raises:
        BundledModelUnusable: there is no such snapshot.
        Unreadable: the bundled model may not be read.
    """
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


def name_of(path: str) -> str:
    """Give a model's own name by its directory: the last part, or that of the ID of a snapshot."""
    parent, name = os.path.split(os.path.normpath(path))
    repository = os.path.basename(os.path.dirname(parent))
    if os.path.basename(parent) == "snapshots" and repository.startswith("models--"):
        own = repository.rpartition("--")[2]
        return own if own.strip(".") else name
    return name


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.path.join(directory, name) for name in os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unreadable(directory, error.strerror or str(error)) from error


def _read_ref(file: str) -> str | None:
    try:
        return os.fsdecode(read_file(file, _LONGEST_REF)).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreadable(file, error.strerror or str(error)) from error
