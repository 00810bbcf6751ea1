"""Find the model that SGLANG_MODEL means: a path, a remote URL, or a Hugging Face ID."""

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from nixenv.errors import UsageError
from nixenv.sglang.arguments import find_option
from nixenv.sglang.defaults import value_of
from nixenv.sglang.hub import (
    BundledModelUnusable,
    choose_snapshot,
    find_repository,
    find_revision,
    is_model_directory,
    is_model_id,
    is_revision,
)
from nixenv.text import mask_urls, shorten

# What SGLang 0.5.9 and 0.5.23 connect to (srt/connector/__init__.py).
_URL = re.compile(
    r"(?:(?:s3|redis|instance|az)://|https://[A-Za-z0-9.-]+\.blob\.core\.windows\.net/)[!-~]+"
)


class ModelNameInvalid(UsageError):
    """SGLANG_MODEL is nothing that SGLang could take."""

    value: str

    def _texts(self) -> tuple[str, str]:
        shown = mask_urls(shorten(self.value))
        return (
            f"SGLANG_MODEL: {shown!r} is neither a directory, nor a .gguf file, nor a URL that "
            "SGLang reads, nor a Hugging Face ID",
            "set it to the directory that holds the model's config.json, to ORG/NAME or "
            "ORG/NAME@REVISION (letters, digits, '-', '_' and '.'), or to a URL such as "
            "s3://BUCKET/NAME",
        )


class RevisionsDiffer(UsageError):
    """Two revisions were asked for of one model."""

    in_model: str
    in_arguments: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"SGLANG_MODEL asks for the revision {self.in_model!r}, and --revision in "
            f"SGLANG_EXTRA_ARGS for {self.in_arguments!r}",
            "take one of the two away",
        )


class Origin(Enum):
    """Where a model comes from."""

    BUNDLED = "bundled"
    PATH = "local"
    USER_CACHE = "in your Hugging Face cache"
    REMOTE = "remote"
    HUB = "will download from HF"


class Resolution(NamedTuple):
    """What SGLANG_MODEL turned out to mean.

    Attributes:
        requested: What the user asked for, as written.
        model: An absolute path, a URL, or the ID where SGLang is to find the model itself.
        origin: Where it comes from.
        revision: The revision that SGLang is to look for; None for its default, or for a path.
    """

    requested: str
    model: str
    origin: Origin
    revision: str | None = None

    @property
    def is_bundled(self) -> bool:
        """Whether the model came with the environment."""
        return self.origin is Origin.BUNDLED

    @property
    def is_local(self) -> bool:
        """Whether the model is a path."""
        return os.path.isabs(self.model)

    @property
    def model_id(self) -> str:
        """The Hugging Face ID that was asked for, where it was one."""
        return self.requested.partition("@")[0]


def requested_model(environ: Mapping[str, str]) -> str:
    """Give SGLANG_MODEL or its default, with the revision of SGLANG_EXTRA_ARGS.

    Raises:
        RevisionsDiffer: both name one.
    """
    requested = value_of("SGLANG_MODEL", environ)
    revision = find_option(environ.get("SGLANG_EXTRA_ARGS", ""), "--revision")
    model, at, own = requested.partition("@")
    if not revision or not is_model_id(model):
        return requested
    if at and own != revision:
        raise RevisionsDiffer(own, revision)
    return f"{model}@{revision}"


def find_model(requested: str, environ: Mapping[str, str]) -> Resolution:
    """Look the model up: as an ID among the environment's bundled models, as a path, or nowhere.

    An ID that the environment brings is that, whatever lies below the current directory; any other
    that is a path, too, is the path, as SGLang itself would have it.

    Args:
        requested: What `requested_model` gives.
        environ: FLOX_ENV says where the bundled models are.

    Raises:
        ModelNameInvalid: it is none of what SGLang could take.
        BundledModelUnusable: the environment brings it, in a form that cannot be used.
        Unreadable: the bundled model may not be read.
    """
    if _URL.fullmatch(requested):
        return Resolution(requested, requested, Origin.REMOTE)
    model_id, at, revision = requested.partition("@")
    is_id = is_model_id(model_id) and (is_revision(revision) if at else True)
    flox_env = environ.get("FLOX_ENV")
    if is_id and flox_env:
        bundled = find_bundled(model_id, revision or None, os.path.join(flox_env, "share/models"))
        if bundled is not None:
            # $FLOX_ENV is a link that moves when the environment changes; the store path stays.
            return Resolution(requested, os.path.realpath(bundled), Origin.BUNDLED)
    if is_model_path(requested):
        return Resolution(requested, os.path.abspath(requested), Origin.PATH)
    if not is_id:
        raise ModelNameInvalid(requested)
    return Resolution(requested, model_id, Origin.HUB, revision or None)


def is_model_path(path: str) -> bool:
    """Tell whether SGLang would take this for a model on disk: a directory, or a GGUF file."""
    return os.path.isdir(path) or (path.endswith(".gguf") and os.path.isfile(path))


def find_bundled(model_id: str, revision: str | None, models: str) -> str | None:
    """Find the directory of a bundled model, None where it, or that revision of it, is not bundled.

    Args:
        model_id: A valid Hugging Face ID.
        revision: The branch, tag or commit that is asked for; None for what the bundle means.
        models: The directory of the bundled models.
    """
    repository = find_repository(model_id, os.path.join(models, "hub"))
    if repository is not None:
        if revision is not None:
            return find_revision(repository, revision)
        return choose_snapshot(model_id, repository)
    flat = os.path.join(models, model_id.rpartition("/")[2])
    if revision is not None or not os.path.isdir(flat):
        return None
    if not is_model_directory(flat):
        raise BundledModelUnusable(model_id, flat, "it has no config.json", ())
    return flat
