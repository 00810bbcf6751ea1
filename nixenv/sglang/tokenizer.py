"""Let transformers 4.57 load a model that transformers 5 saved.

Transformers 5 writes the tokenizer class ``TokenizersBackend``, which 4.57.6 does not know;
``PreTrainedTokenizerFast`` is its name there. Models are read-only, so the server is shown a
shadow: a directory of links to the model, with that one file rewritten.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator

from nixenv.errors import Unreadable
from nixenv.sglang.cache import entry_name, make_private_directory
from nixenv.sglang.errors import CacheUnwritable, TokenizerConfigUnreadable

CONFIG_NAME = "tokenizer_config.json"
"""The file that names the tokenizer's class."""


def patch_tokenizer_config(model: str) -> str | None:
    """Give the text that the model's tokenizer_config.json should have, None if it is fine.

    Raises:
        TokenizerConfigUnreadable: it is no JSON, or no file that can be read.
    """
    file = os.path.join(model, CONFIG_NAME)
    try:
        with open(file, "rb") as stream:
            config = json.load(stream)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenizerConfigUnreadable(file, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise TokenizerConfigUnreadable(file, str(error)) from error
    if not isinstance(config, dict) or config.get("tokenizer_class") != "TokenizersBackend":
        return None
    return json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n"


def make_shadow(model: str, tokenizer_config: str, directory: str) -> str:
    """Make the shadow of a model, or find the one that is there; give its directory.

    Its name depends on the model's directory, its entries and the rewritten file, so a model that
    is replaced gets another shadow. All else is linked and therefore always current.

    Args:
        model: The model's absolute directory.
        tokenizer_config: The text of tokenizer_config.json.
        directory: Where shadows are kept.

    Raises:
        CacheUnwritable: it cannot be made there.
        CacheUntrusted: somebody else could change it there.
        Unreadable: the model's directory may not be listed.
    """
    links = _links_to(model)
    content = (model, tokenizer_config, *links)
    name = entry_name(os.path.basename(model), *map(os.fsencode, content))
    try:
        make_private_directory(directory)
        shadow = os.path.join(directory, name)
        if not _is_intact(shadow, links, tokenizer_config):
            with _scratch_directory(directory) as scratch:
                built = _build(os.path.join(scratch, "built"), links, tokenizer_config)
                if not _move(built, shadow) and not _is_intact(shadow, links, tokenizer_config):
                    # A damaged one is in the way: out with it, unless another resolver did that.
                    _move(shadow, os.path.join(scratch, "damaged"))
                    _move(built, shadow)
    except OSError as error:
        what = f"a copy of {model} with a tokenizer class that SGLang knows"
        raise CacheUnwritable(
            what, directory, error.strerror or str(error), "FLOX_ENV_CACHE"
        ) from error
    return shadow


def _links_to(model: str) -> dict[str, str]:
    try:
        names = sorted(os.listdir(model))
    except OSError as error:
        raise Unreadable(model, error.strerror or str(error)) from error
    return {name: os.path.join(model, name) for name in names if name != CONFIG_NAME}


def _build(directory: str, links: dict[str, str], tokenizer_config: str) -> str:
    os.mkdir(directory)
    for name, target in links.items():
        os.symlink(target, os.path.join(directory, name))
    with open(os.path.join(directory, CONFIG_NAME), "w", encoding="utf-8") as stream:
        stream.write(tokenizer_config)
    return directory


def _is_intact(shadow: str, links: dict[str, str], tokenizer_config: str) -> bool:
    """Check a shadow that is there: something may have cleaned up in the cache since."""
    try:
        with open(os.path.join(shadow, CONFIG_NAME), encoding="utf-8") as stream:
            if stream.read() != tokenizer_config:
                return False
        names = set(os.listdir(shadow)) - {CONFIG_NAME}
        return links == {name: os.readlink(os.path.join(shadow, name)) for name in names}
    except (OSError, UnicodeDecodeError):
        return False


def _move(source: str, target: str) -> bool:
    """Rename a directory unless there is nothing to rename, or the target is taken."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT}:
            return False
        raise
    return True


@contextlib.contextmanager
def _scratch_directory(directory: str) -> Iterator[str]:
    scratch = tempfile.mkdtemp(dir=directory, prefix=".building-")
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
