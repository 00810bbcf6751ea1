"""Store paths: what names a store object.

The grammar is Nix's own (``path.cc``, ``checkName``): 32 characters of Nix's base 32, a dash, and a
name of 1 to 211 characters. The store directory is a setting of the Nix installation
(``NIX_STORE_DIR``), so every function here takes it as an argument.
"""

import re

from nixenv.typed import NamedTuple, NewType

StorePath = NewType("StorePath", str)
"""The absolute path of one store object, checked against the grammar: ``/nix/store/HASH-NAME``."""

DEFAULT_STORE_DIR = "/nix/store"

_HASH_LENGTH = 32

# nixpkgs' prefixes: of the CUDA set, and of the Python that a package is for.
_PREFIX = re.compile(r"(?P<prefix>(?:cuda\d+\.\d+|python\d+\.\d+t?))-(?=.)")
# As Nix itself splits a name (`DrvName`): at the first dash that no letter follows.
_VERSION = re.compile(r"(?P<name>.+?)-(?P<version>[^A-Za-z].*)")
# The outputs that nixpkgs' derivations have; other words at the end belong to the version.
_OUTPUT = re.compile(
    r"(?P<version>.+)-(?P<output>"
    r"bin|cxxdev|data|debug|dev|devdoc|dist|doc|include|info|lib|libgcc|man|out|python|samples?"
    r"|static|stubs)"
)
_GRAMMAR = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-._?=]{1,211}"
_BASE_NAME = re.compile(_GRAMMAR)


def parse_store_path(text: str, store_dir: str) -> StorePath:
    """Check that ``text`` is exactly a store path of ``store_dir``.

    Raises:
        ValueError: it is not.
    """
    directory, slash, base_name = text.rpartition("/")
    if not slash or directory != store_dir or not _BASE_NAME.fullmatch(base_name):
        from nixenv.text import shorten  # noqa: PLC0415 -- only errors have need of it

        raise ValueError(f"{shorten(text)!r} is no store path of {store_dir}")
    return StorePath(text)


def enclosing_store_path(path: str, store_dir: str) -> StorePath | None:
    """Cut a path inside a store object down to the object; None when it is in none."""
    prefix = store_dir.rstrip("/") + "/"
    if not path.startswith(prefix):
        return None
    base_name = path[len(prefix) :].partition("/")[0]
    return StorePath(prefix + base_name) if _BASE_NAME.fullmatch(base_name) else None


def find_store_paths(text: str, store_dir: str) -> tuple[StorePath, ...]:
    """Find the store paths that a text names, each once."""
    found = re.findall(rf"{re.escape(store_dir)}/{_GRAMMAR}", text)
    return tuple(map(StorePath, dict.fromkeys(found)))


def store_name(path: StorePath) -> str:
    """Give the name part of a store path: ``python3-3.12.12`` of ``/nix/store/HASH-python3-…``."""
    return path[path.rindex("/") + _HASH_LENGTH + 2 :]


class StoreName(NamedTuple):
    """What a store name says, as nixpkgs writes it: ``[PREFIX-]NAME-VERSION[-OUTPUT]``.

    Attributes:
        prefix: ``cuda12.8`` of ``cuda12.8-libcublas-12.8.4.1-lib``, or ``python3.12``; else empty.
        name: ``libcublas``.
        version: ``12.8.4.1``; empty when the name has none.
        output: ``lib``; empty for the main one.
    """

    prefix: str
    name: str
    version: str
    output: str

    @property
    def release(self) -> str:
        """Version and output together, as the store name has them: ``12.8.4.1-lib``."""
        return "-".join(filter(None, (self.version, self.output)))


def parse_store_name(name: str) -> StoreName:
    """Take a store name apart.

    >>> parse_store_name("cuda12.8-libcublas-12.8.4.1-lib")
    StoreName(prefix='cuda12.8', name='libcublas', version='12.8.4.1', output='lib')
    >>> parse_store_name("glibc-2.40-66").release
    '2.40-66'
    """
    prefixed = _PREFIX.match(name)
    prefix = prefixed["prefix"] if prefixed else ""
    rest = name[prefixed.end() :] if prefixed else name
    versioned = _VERSION.fullmatch(rest)
    if versioned is None:
        return StoreName(prefix, rest, "", "")
    split = _OUTPUT.fullmatch(versioned["version"])
    if split is None:
        return StoreName(prefix, versioned["name"], versioned["version"], "")
    return StoreName(prefix, versioned["name"], split["version"], split["output"])
