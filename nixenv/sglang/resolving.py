"""From SGLANG_MODEL to what the server is given: found, judged, and mended where that is needed."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nixenv.errors import NixenvError, Unreadable
from nixenv.evidence.model_files import (
    LONGEST_DOCUMENT,
    find_missing_weights,
    has_weights,
    read_document,
    read_indices,
)
from nixenv.sglang.arguments import find_option
from nixenv.sglang.cache import locate_cache
from nixenv.sglang.hub import (
    find_repository,
    find_revision,
    find_user_hub,
    is_model_directory,
    is_model_id,
    name_of,
)
from nixenv.sglang.mending import (
    Document,
    is_rebuilt,
    mend_added_tokens,
    mend_config,
    mend_prefix_space,
    mend_tokenizer_config,
)
from nixenv.sglang.model import Origin, Resolution, find_model, is_model_path, requested_model
from nixenv.sglang.shadow import Shadow, list_files, plan_shadow
from nixenv.sglang.transformers import (
    Transformers,
    find_transformers,
    knows_model_type,
    knows_tokenizer,
)
from nixenv.text import shorten

_CONFIG = "config.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TOKENIZER = "tokenizer.json"

# Bytes; the largest in use has 35 MB, and the line for the prompt waits for it.
_LONGEST_TOKENIZER = 64 << 20

# Of weights that are missing, so many are shown.
_SHOWN = 5

# Flags with which SGLang does not read the model's own tokenizer.
_OTHER_TOKENIZER = ("--tokenizer-path", "--skip-tokenizer-init")


class ModelIncomplete(NixenvError):
    """Files that a model's directory names are not there."""

    model: str
    missing: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        more = len(self.missing) - _SHOWN
        shown = [*map(shorten, self.missing[:_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        return (
            f"{self.model} is incomplete: weights that it names are not there:",
            "download or copy the model again; a link to weights must lead to a file "
            "that this machine can read",
            shown,
        )


class TokenizerUnknown(NixenvError):
    """The model's tokenizer is of a class that came after the server's transformers."""

    model: str
    name: str
    version: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.model} has a tokenizer of the class {shorten(self.name)}, which transformers "
            f"{self.version} of this SGLang does not know: the server could not start",
            "serve a model that this SGLang knows, or name a tokenizer of the same vocabulary "
            "that it can read: SGLANG_EXTRA_ARGS='--tokenizer-path DIRECTORY'",
        )


class Resolved(NamedTuple):
    """What the server is given.

    Attributes:
        resolution: The model, as sglang-serve is to have it.
        shadow: What must be made first, so that the model's path exists.
        notes: What the user should know.
    """

    resolution: Resolution
    shadow: Shadow | None
    notes: tuple[str, ...]


class _Mended(NamedTuple):
    """The files of a model that must differ, by name, and what is to be said."""

    files: Mapping[str, str]
    notes: tuple[str, ...]


def resolve_model(environ: Mapping[str, str]) -> Resolved:
    """Find the model, and plan what SGLang needs to read it; nothing is written.

    Raises:
        UsageError: SGLANG_MODEL, or a revision, is nothing that could be served.
        BundledModelUnusable: the environment brings the model, in a form that cannot be used.
        ModelIncomplete: weights that it names are not there.
        TokenizerUnknown: SGLang could not load its tokenizer.
        CacheDirUnknown: nothing says where a mended model may go.
        Unreadable: the model may not be read.
    """
    found = find_model(requested_model(environ), environ)
    if found.origin is Origin.HUB:
        return _resolve_cached(found, environ)
    if not os.path.isdir(found.model):
        return Resolved(found, None, _judge_path(found))
    if missing := _find_missing(found.model):
        raise ModelIncomplete(found.model, missing)
    mended = _mend(found.model, environ)
    notes = (*_judge_path(found), *mended.notes)
    return _shown(found, found.model, mended, environ)._replace(notes=notes)


def _resolve_cached(found: Resolution, environ: Mapping[str, str]) -> Resolved:
    """Look at what the user's own Hugging Face cache has of a model.

    SGLang finds it there by itself, and asks for a newer revision. Only where it could not read
    what is there, the path is taken, mended, and with it that revision.
    """
    snapshot = _find_cached(found, environ)
    if snapshot is None:
        return Resolved(found, None, _describe_unseen(found, environ))
    is_whole = has_weights(snapshot) and not _find_missing(snapshot)
    mended = _mend(snapshot, environ)
    if is_whole:
        known = found._replace(origin=Origin.USER_CACHE)
        if not mended.files:
            return Resolved(known, None, mended.notes)
        taken = known._replace(revision=None)
        return _shown(taken, snapshot, mended, environ)
    if mended.files:
        return Resolved(found, None, (*mended.notes, _describe_unmended(found, snapshot)))
    return Resolved(found, None, mended.notes)


def _find_cached(found: Resolution, environ: Mapping[str, str]) -> str | None:
    hub = find_user_hub(environ)
    repository = find_repository(found.model, hub) if hub else None
    if repository is None:
        return None
    try:
        snapshot = find_revision(repository, found.revision or "main")
    except Unreadable:
        return None  # the cache is its client's, who says what is wrong with it
    return snapshot if snapshot and is_model_directory(snapshot) else None


def _describe_unseen(found: Resolution, environ: Mapping[str, str]) -> tuple[str, ...]:
    if _reads_all(find_transformers(environ)):
        return ()
    return (
        f"{found.model} cannot be looked at before it is downloaded: if transformers 5 saved it, "
        "the start after that mends it",
    )


def _reads_all(transformers: Transformers | None) -> bool:
    """Whether what transformers 5 saved is read as it is; without a look, SGLang 0.5.9's is not."""
    return transformers is not None and transformers.major >= 5


def _describe_unmended(found: Resolution, snapshot: str) -> str:
    revision = f" --revision {found.revision}" if found.revision else ""
    return (
        f"warning: transformers 5 saved {found.model}, and what {snapshot} has of it is not whole, "
        "so it cannot be mended for this SGLang yet: the server may not start, or serve wrong text"
        f"\n  next: `hf download {found.model}{revision}`, then start again"
    )


def _judge_path(found: Resolution) -> tuple[str, ...]:
    """Say what is odd about a path, or about an ID that is one, too."""
    requested = found.requested
    notes = []
    if is_model_id(requested) and is_model_path(requested):
        if found.is_bundled:
            notes.append(
                f"warning: the directory {os.path.abspath(requested)!r} is not meant by the ID "
                f"{requested}: the bundled model is taken\n"
                f"  next: SGLANG_MODEL=./{requested} would mean the directory"
            )
        else:
            notes.append(
                f"warning: {requested} is a directory below the current one, and that is taken, "
                "not the Hugging Face model of this ID\n"
                f"  next: SGLANG_MODEL=./{requested} says so plainly"
            )
    if found.is_local and os.path.isdir(found.model) and not is_model_directory(found.model):
        notes.append(
            f"warning: {found.model!r} has no config.json; it is passed on as it is\n"
            "  next: if the server finds no model there, set SGLANG_MODEL to the directory that "
            "holds the model's config.json"
        )
    return tuple(notes)


def _shown(
    found: Resolution, directory: str, mended: _Mended, environ: Mapping[str, str]
) -> Resolved:
    """Let the server see the shadow of a directory, where files of it must differ."""
    if not mended.files:
        return Resolved(found, None, mended.notes)
    cache = locate_cache("sglang-compat", environ)
    name = found.model_id.rpartition("/")[2] if found.is_bundled else name_of(directory)
    shadow = plan_shadow(directory, name, mended.files, cache)
    return Resolved(found._replace(model=shadow.directory), shadow, mended.notes)


def _find_missing(model: str) -> list[str]:
    return find_missing_weights(model, read_indices(model))


def _mend(directory: str, environ: Mapping[str, str]) -> _Mended:
    """Find out what of a model the server's transformers cannot read, or would misread."""
    transformers = find_transformers(environ)
    if _reads_all(transformers):
        return _Mended({}, ())
    names = (_CONFIG, _TOKENIZER_CONFIG)
    read = {name: _read_json(directory, name, LONGEST_DOCUMENT) for name in names}
    notes = tuple(why for _, why in read.values() if why is not None)
    before = {name: document for name, (document, _) in read.items() if document is not None}
    try:
        mended = _mend_documents(before, directory, transformers, environ)
    except RecursionError:
        why = _describe_unreadable(
            " or ".join(os.path.join(directory, name) for name in before), "it is nested too deeply"
        )
        return _Mended({}, (*notes, why))
    return mended._replace(notes=(*notes, *mended.notes))


def _mend_documents(
    before: Mapping[str, Document],
    directory: str,
    transformers: Transformers | None,
    environ: Mapping[str, str],
) -> _Mended:
    notes: list[str] = []
    after = dict(before)
    if _CONFIG in after:
        after[_CONFIG] = mend_config(after[_CONFIG])
        notes += _judge_model_type(after[_CONFIG], directory, transformers)
    if _TOKENIZER_CONFIG in after:
        mended, why = _mend_tokenizer(after[_TOKENIZER_CONFIG], directory)
        _require_known_tokenizer(mended, directory, transformers, environ)
        after[_TOKENIZER_CONFIG] = mended
        notes += [why] if why is not None else []
    files = {
        name: json.dumps(document, indent=2) + "\n"
        for name, document in after.items()
        if document != before[name]
    }
    return _Mended(files, tuple(notes))


def _mend_tokenizer(config: Document, directory: str) -> tuple[Document, str | None]:
    """Mend a tokenizer_config.json, and say why its tokenizer.json cannot be read."""
    why = None
    mended = mend_tokenizer_config(config)
    mended = mend_prefix_space(mended, list_files(directory))
    if is_rebuilt(mended):
        tokenizer, why = _read_json(directory, _TOKENIZER, _LONGEST_TOKENIZER)
        if tokenizer is not None:
            mended = mend_added_tokens(mended, tokenizer)
    return mended, why


def _require_known_tokenizer(
    config: Document,
    directory: str,
    transformers: Transformers | None,
    environ: Mapping[str, str],
) -> None:
    name = config.get("tokenizer_class")
    arguments = environ.get("SGLANG_EXTRA_ARGS", "")
    is_other = any(find_option(arguments, flag) is not None for flag in _OTHER_TOKENIZER)
    # A class of the model's own comes with --trust-remote-code; SGLang says when that is missing.
    if transformers is None or not isinstance(name, str) or is_other or config.get("auto_map"):
        return
    if not knows_tokenizer(transformers, name):
        raise TokenizerUnknown(directory, name, transformers.version)


def _judge_model_type(
    config: Document, directory: str, transformers: Transformers | None
) -> tuple[str, ...]:
    name = config.get("model_type")
    if transformers is None or not isinstance(name, str) or config.get("auto_map"):
        return ()
    if knows_model_type(transformers, name):
        return ()
    return (
        f"warning: {directory} is a model of the type {shorten(name)!r}, which neither "
        f"transformers {transformers.version} nor the SGLang beside it knows\n"
        "  next: if the server does not start, serve another model, or a newer SGLang",
    )


def _read_json(directory: str, name: str, limit: int) -> tuple[dict[str, Any] | None, str | None]:
    """Read a JSON object; None where there is none, and why it cannot be read."""
    file = os.path.join(directory, name)
    try:
        return read_document(file, limit), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, _describe_unreadable(file, error.strerror or str(error))
    except ValueError as error:
        return None, _describe_unreadable(file, str(error))


def _describe_unreadable(file: str, detail: str) -> str:
    return (
        f"warning: {file} cannot be read as a JSON object: {detail}\n"
        "  next: the model is served as it is; if the server rejects it, start here"
    )
