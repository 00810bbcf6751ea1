"""Shadows: a model as SGLang can read it, made of links to its files and of those that differ.

Models are read-only, so the server is shown a directory of its own. SGLang chooses conversation
templates by the model's path (0.5.9, srt/parser/conversation.py), so the shadow has the model's
name, and the rest of its path stands before it.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from nixenv.directories import put_directory
from nixenv.errors import Unreadable
from nixenv.files import read_file
from nixenv.places import make_private_directory
from nixenv.sglang.cache import CacheUnwritable, entry_name


class Shadow(NamedTuple):
    """A shadow that could be made.

    Attributes:
        directory: Where it lies, in an entry of its own.
        links: The names of the links, and where they lead.
        files: The names and texts of the files that differ from the model's.
    """

    directory: str
    links: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def entry(self) -> str:
        """The entry of the cache: a directory that holds the shadow alone."""
        return os.path.dirname(self.directory)


def plan_shadow(model: str, name: str, files: Mapping[str, str], cache: str) -> Shadow:
    """Plan the shadow of a model; nothing is written.

    Its entry depends on the model's directory, its entries and the files, so a model that is
    replaced gets another shadow. All else is linked and therefore always current.

    Args:
        model: The model's absolute directory.
        name: The model's own name.
        files: What differs, by the names of the files.
        cache: Where shadows are kept.

    Raises:
        Unreadable: the model's directory may not be listed.
    """
    names = list_files(model)
    links = {name: os.path.join(model, name) for name in names if name not in files}
    content = (model, name, *(part for item in sorted(files.items()) for part in item), *links)
    label = model.lstrip("/")[-60:]
    entry = os.path.join(cache, entry_name(label, *map(os.fsencode, content)))
    return Shadow(os.path.join(entry, name), links, files)


def make_shadow(shadow: Shadow) -> None:
    """Make a shadow, unless it is there.

    Raises:
        CacheUnwritable: it cannot be made there.
        CacheUntrusted: somebody else could change it there.
    """
    cache = os.path.dirname(shadow.entry)
    try:
        make_private_directory(cache)
        if not _is_intact(shadow):
            name = os.path.basename(shadow.directory)
            put_directory(
                shadow.entry,
                lambda scratch: _build(shadow, os.path.join(scratch, name)),
                lambda: _is_intact(shadow),
            )
    except OSError as error:
        what = "the model in a form that SGLang can read"
        detail = error.strerror or str(error)
        raise CacheUnwritable(what, cache, detail, "FLOX_ENV_CACHE") from error


def list_files(model: str) -> list[str]:
    """Name the entries of a model's directory, in order.

    Raises:
        Unreadable: it may not be listed.
    """
    try:
        return sorted(os.listdir(model))
    except OSError as error:
        raise Unreadable(model, error.strerror or str(error)) from error


def _build(shadow: Shadow, directory: str) -> None:
    os.makedirs(directory)
    for name, target in shadow.links.items():
        os.symlink(target, os.path.join(directory, name))
    for name, text in shadow.files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as stream:
            stream.write(text)


def _is_intact(shadow: Shadow) -> bool:
    """Check a shadow that is there: something may have cleaned up in the cache since."""
    directory = shadow.directory
    try:
        for name, text in shadow.files.items():
            wanted = text.encode()
            if read_file(os.path.join(directory, name), len(wanted)) != wanted:
                return False
        names = set(os.listdir(directory)) - shadow.files.keys()
        return shadow.links == {
            name: os.readlink(os.path.join(directory, name)) for name in names
        } and os.listdir(shadow.entry) == [os.path.basename(directory)]
    except OSError:
        return False
