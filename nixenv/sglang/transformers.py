"""Which tokenizers and models the server's own transformers knows, read from its files.

SGLang 0.5.9 is packaged with transformers 4.57. Another SGLang has another one, and what that reads
right is not to be mended. Nothing is imported: the interpreter that could is the server's.
"""

import glob
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nixenv.files import read_file
from nixenv.sglang.interpreter import find_python

_VERSION = re.compile(r"""^__version__ *= *["']([0-9]+\.[0-9][0-9A-Za-z.]*)["']""", re.MULTILINE)

_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_MODEL_TYPE = re.compile(r"""model_type[^=\n]*=\s*["']([^"'\n]+)["']""")

# Where the names are: the tables of the Auto classes, and the modules of the models.
_TOKENIZERS = "models/auto/tokenization_auto.py"
_CONFIGURATIONS = "models/auto/configuration_auto.py"

# More than any of these files has.
_LONGEST = 4 << 20


class Transformers(NamedTuple):
    """A transformers that the server would import.

    Attributes:
        directory: The package's directory.
        version: As it says itself, such as ``4.57.6``.
    """

    directory: str
    version: str

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])


def find_transformers(environ: Mapping[str, str]) -> Transformers | None:
    """Find the transformers that the server will import, None where none is in sight.

    Args:
        environ: The server's variables: PYTHONPATH, and what names its interpreter.
    """
    for directory in _site_packages(environ):
        package = os.path.join(directory, "transformers")
        text = _read(os.path.join(package, "__init__.py"))
        if text is not None and (version := _VERSION.search(text)):
            return Transformers(package, version[1])
    return None


def knows_tokenizer(transformers: Transformers, name: str) -> bool:
    """Tell whether a tokenizer's class is there, under this name or as its fast variant."""
    table = _read(os.path.join(transformers.directory, _TOKENIZERS))
    names = {name, f"{name}Fast", name.removesuffix("Fast")}
    if table is None or name == "PreTrainedTokenizerFast":
        return True
    if any(f'"{candidate}"' in table for candidate in names):
        return True
    # A few classes are in no table.
    modules = os.path.join(glob.escape(transformers.directory), "models", "*", "tokenization_*.py")
    return any(names & set(_CLASS.findall(_read(module) or "")) for module in glob.iglob(modules))


def knows_model_type(transformers: Transformers, name: str) -> bool:
    """Tell whether a model type has a configuration, in transformers or in the SGLang beside it."""
    table = _read(os.path.join(transformers.directory, _CONFIGURATIONS))
    if table is None or f'("{name}", ' in table:
        return True
    beside = os.path.join(os.path.dirname(transformers.directory), "sglang")
    return _sglang_knows(beside, name)


def _sglang_knows(package: str, name: str) -> bool:
    """Look through SGLang's own configurations; without them nothing can be said."""
    modules = glob.glob(os.path.join(glob.escape(package), "srt", "configs", "*.py"))
    known = (_MODEL_TYPE.findall(_read(module) or "") for module in modules)
    return not modules or any(name in names for names in known)


def _site_packages(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the directories of modules in Python's order, as far as variables tell it."""
    yield from filter(os.path.isabs, environ.get("PYTHONPATH", "").split(os.pathsep))
    python = find_python(environ)
    if python is not None and os.path.isabs(python):
        prefix = os.path.dirname(os.path.dirname(python))
        yield from glob.iglob(os.path.join(glob.escape(prefix), "lib", "python3*", "site-packages"))


def _read(file: str) -> str | None:
    try:
        return read_file(file, _LONGEST).decode(errors="replace")
    except OSError:
        return None
