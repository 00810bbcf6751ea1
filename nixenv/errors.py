"""Every failure that nixenv reports: what went wrong, as fields, and what to do next, as text.

One root class, one branch for each documented exit code; ``nixenv.console`` alone maps them.
"""

import signal
from collections.abc import Sequence
from typing import dataclass_transform

from nixenv.text import printable


@dataclass_transform()
class NixenvError(Exception):
    """The root of nixenv's errors: ``reason`` says what is wrong, ``remedy`` what to do next.

    A subclass declares its fields as annotations; they are given by position. (Classes
    that attrs or dataclasses build at import would cost every first activation 8 ms.)
    """

    def __init__(self, *values: object) -> None:
        super().__init__(*values)
        for name, value in zip(type(self).__annotations__, values, strict=True):
            setattr(self, name, value)

    @property
    def reason(self) -> str:
        """What is wrong, naming the thing."""
        raise NotImplementedError

    @property
    def remedy(self) -> str:
        """The next step."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.reason}\n  next: {self.remedy}"


class RootError(NixenvError):
    """The program's root store path cannot be found (exit code 3)."""


class NixError(NixenvError):
    """Nix is missing, failed, or gave an answer that cannot be used (exit code 4)."""


class UsageError(NixenvError):
    """The request itself is wrong (exit code 2)."""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n"))


def _listed(items: Sequence[str]) -> str:
    return "".join(f"\n    {item}" for item in items)


# The root ----------------------------------------------------------------------------------------


class ProgramNotFound(RootError):
    """No executable of that name on the search path."""

    program: str
    search_path: str

    @property
    def reason(self) -> str:
        return f"no program {self.program!r} on PATH ({self.search_path or 'PATH is empty'})"

    @property
    def remedy(self) -> str:
        return "install it in this environment, or name its store path with --root"


class BrokenLink(RootError):
    """A link on the way to the root leads nowhere, or in a circle."""

    path: str
    target: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.path} cannot be followed to its end, {self.target}: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "the store object may have been garbage-collected: reinstall the program, "
            "or name its store path with --root"
        )


class NotInStore(RootError):
    """The path lies outside the store directory."""

    path: str
    resolved: str
    store_dir: str

    @property
    def reason(self) -> str:
        arrow = "" if self.path == self.resolved else f" (that is, {self.resolved})"
        return f"{self.path}{arrow} is not in the Nix store {self.store_dir}"

    @property
    def remedy(self) -> str:
        return (
            "take the program that Nix or Flox installed (is another one first on PATH?), "
            "name a store path with --root, or set NIX_STORE_DIR if the store is elsewhere"
        )


class RootMissing(RootError):
    """The root names a store object that is not on disk."""

    path: str

    @property
    def reason(self) -> str:
        return f"{self.path} does not exist"

    @property
    def remedy(self) -> str:
        return f"fetch it with `nix-store --realise {self.path}`, or name another root"


# Nix ---------------------------------------------------------------------------------------------


class NixNotFound(NixError):
    """No nix-store, and no recorded closure either."""

    searched: Sequence[str]

    @property
    def reason(self) -> str:
        return f"no nix-store to ask for the closure; looked in{_listed(self.searched)}"

    @property
    def remedy(self) -> str:
        return (
            "put nix-store on PATH or set NIX_BIN to Nix's `nix`; without Nix, "
            "$FLOX_ENV/requisites.txt or a snapshot (--from FILE) will do"
        )


class NixFailed(NixError):
    """A Nix command ended with another status than 0."""

    argv: Sequence[str]
    returncode: int
    stderr: str

    @property
    def reason(self) -> str:
        ended = f"exit status {self.returncode}"
        if self.returncode < 0:
            ended = f"killed by {signal.Signals(-self.returncode).name}"
        said = (
            f"; it said:\n{_indented(self.stderr)}" if self.stderr.strip() else ", saying nothing"
        )
        return f"`{' '.join(self.argv)}` failed ({ended}){said}"

    @property
    def remedy(self) -> str:
        return (
            f"run it by hand; `nix-store --verify-path {self.argv[-1]}` tells whether it is valid"
        )


class NixNotRunnable(NixError):
    """A Nix command could not be started at all."""

    argv: Sequence[str]
    detail: str

    @property
    def reason(self) -> str:
        return f"`{' '.join(self.argv)}` could not be started: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "check that this file is Nix's own program, and that the environment is not too large"
        )


class UnusableClosure(NixError):
    """Nix, or the recorded closure, gave something that is no closure of the root."""

    source: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.source} gave no usable closure: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "run it by hand and compare; if the store is not /nix/store, set NIX_STORE_DIR; "
            "is another nix-store first on PATH?"
        )


class ReferencesUnknown(NixError):
    """The references of a closure are asked for, and its source does not tell them."""

    source: str

    @property
    def reason(self) -> str:
        return f"{self.source} does not tell what refers to what"

    @property
    def remedy(self) -> str:
        return "ask where there is Nix, or from a snapshot that was taken there"


# The store objects -------------------------------------------------------------------------------


class StoreObjectsMissing(NixenvError):
    """Members of the closure are not on disk."""

    paths: Sequence[str]
    repair: str

    @property
    def reason(self) -> str:
        return f"the closure names store objects that are not on disk:{_listed(self.paths)}"

    @property
    def remedy(self) -> str:
        return f"as root, run `{self.repair}`; without Nix, make the container image again"


class Unreadable(NixenvError):
    """Something that had to be read cannot be."""

    path: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.path} cannot be read: {self.detail}"

    @property
    def remedy(self) -> str:
        return f"check the path (`ls -ld {self.path}`), its permissions and who you are (`id`)"


# What the closure holds --------------------------------------------------------------------------


class PythonNotFound(NixenvError):
    """The closure holds no interpreter, or none of the wanted version."""

    wanted: str | None
    present: Sequence[str]

    @property
    def reason(self) -> str:
        version = f" {self.wanted}" if self.wanted else ""
        others = f"; it holds:{_listed(self.present)}" if self.present else ""
        return f"no Python{version} interpreter in the closure{others}"

    @property
    def remedy(self) -> str:
        if self.present:
            return "choose one of these with --python X.Y, or drop the version from the profile"
        return "check that this is the program you mean: its closure has no bin/pythonX.Y"


class PythonAmbiguous(NixenvError):
    """Several Python versions, and nothing that tells which one the program runs on."""

    present: Sequence[str]

    @property
    def reason(self) -> str:
        return f"several Python versions in the closure and no hint:{_listed(self.present)}"

    @property
    def remedy(self) -> str:
        return "choose one with --python X.Y, or with `version` under [python] in the profile"


class CudaNotFound(NixenvError):
    """No store object with bin/nvcc, or none of the wanted version, where one is required."""

    wanted: str | None
    present: Sequence[str]

    @property
    def reason(self) -> str:
        version = f" of CUDA {self.wanted}" if self.wanted else ""
        others = f"; nvcc there is:{_listed(self.present)}" if self.present else ""
        return f"no store object with bin/nvcc{version} in the closure{others}"

    @property
    def remedy(self) -> str:
        if self.present and self.wanted:
            return "choose one of these with --cuda X.Y, or drop the version from the profile"
        if self.present:
            return "ask one of these for its version (`nvcc --version`), and give it as --cuda X.Y"
        return (
            "JIT compilers need it: take a CUDA build of the program, or set "
            "`required = false` under [cuda] in the profile"
        )


class NothingCalled(NixenvError):
    """A name that nothing in the closure has."""

    name: str
    close: Sequence[str]

    @property
    def reason(self) -> str:
        return f"nothing in the closure is called {self.name!r}"

    @property
    def remedy(self) -> str:
        if self.close:
            return f"did you mean {printable(' or '.join(self.close))}?"
        return (
            "give the name of a distribution, module, header, library, program or store path; "
            "`nixenv inspect` lists what there is"
        )


# Requests, profiles, values, snapshots -----------------------------------------------------------


class NothingSelected(UsageError):
    """No program, root or snapshot, and a profile that names no program."""

    profile: str

    @property
    def reason(self) -> str:
        return f"no program to look up: the profile {self.profile} names none"

    @property
    def remedy(self) -> str:
        return "name one (`nixenv export PROGRAM`), or --root PATH, or `binary` in the profile"


class SelectionContradicts(UsageError):
    """Two parts of a request that cannot both hold."""

    detail: str

    @property
    def reason(self) -> str:
        return self.detail

    @property
    def remedy(self) -> str:
        return "drop one of the two"


class StoreDirInvalid(UsageError):
    """NIX_STORE_DIR or NIX_STORE is no directory that Nix would take."""

    store_dir: str

    @property
    def reason(self) -> str:
        return f"the store directory {self.store_dir!r} is no absolute path"

    @property
    def remedy(self) -> str:
        return "correct NIX_STORE_DIR (or NIX_STORE), or unset it for /nix/store"


class CacheDirUnknown(UsageError):
    """Nothing says where writable state may go."""

    @property
    def reason(self) -> str:
        return "no directory for caches: none of FLOX_ENV_CACHE, XDG_CACHE_HOME and HOME is set"

    @property
    def remedy(self) -> str:
        return "set one of them, or name the directory with --cache-dir"


class LayoutUnknown(UsageError):
    """NIXENV_LAYOUT names no layout."""

    layout: str
    known: Sequence[str]

    @property
    def reason(self) -> str:
        return f"no layout {self.layout!r}"

    @property
    def remedy(self) -> str:
        return f"set NIXENV_LAYOUT to one of {', '.join(self.known)}, or unset it"


class NotForPeople(UsageError):
    """A command that only the hook gives, given otherwise."""

    command: str
    instead: str

    @property
    def reason(self) -> str:
        return f"`{self.command}` is what hooks/on-activate.bash runs, with a file and a directory"

    @property
    def remedy(self) -> str:
        return f"take `{self.instead}`; or does the hook belong to another version of nixenv?"


class ProfileNotFound(UsageError):
    """Neither a built-in profile nor a file."""

    name: str
    built_in: Sequence[str]

    @property
    def reason(self) -> str:
        return f"no profile {self.name!r}: it is no file and no built-in profile"

    @property
    def remedy(self) -> str:
        return f"take one of {', '.join(self.built_in)}, or the path of a TOML file"


class ProfileInvalid(NixenvError):
    """A profile that is not what the schema wants."""

    file: str
    key: str
    detail: str

    @property
    def reason(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.detail}"

    @property
    def remedy(self) -> str:
        return "correct it there; docs/profiles.md lists the keys and their types"


class ValueInvalid(NixenvError):
    """A value that no environment variable can hold."""

    name: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.name}: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "change it where it comes from: the profile, the snapshot, the cache directory or the "
            "store directory"
        )


class VariableTooLong(NixenvError):
    """NAME=value is longer than Linux passes to a program (MAX_ARG_STRLEN)."""

    name: str
    size: int
    limit: int

    @property
    def reason(self) -> str:
        return (
            f"{self.name} would be {self.size} bytes long; Linux takes {self.limit} for "
            "NAME=value together, and every program started after that would fail with "
            "'Argument list too long'"
        )

    @property
    def remedy(self) -> str:
        if self.name == "PYTHONPATH":
            return (
                "take --layout linked, which does without PYTHONPATH; or name a smaller root with "
                "--root: there is one entry for each Python store object of the closure"
            )
        return f"look at what {self.name} holds already, and at what the profile gives it"


class NotExpressible(NixenvError):
    """A value that the chosen output format has no way to write."""

    name: str
    shell: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.name} cannot be written as {self.shell}: {self.detail}"

    @property
    def remedy(self) -> str:
        return "take --shell json, which holds every value, or change this one"


class SnapshotInvalid(NixenvError):
    """A file that is no snapshot, or one of another schema."""

    file: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.file} is no snapshot that can be read: {printable(self.detail)}"

    @property
    def remedy(self) -> str:
        return "take it again with `nixenv snapshot -o FILE`, or update nixenv if theirs is newer"


class OutputFailed(NixenvError):
    """The result could not be written."""

    target: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.target} could not be written: {self.detail}"

    @property
    def remedy(self) -> str:
        return "check that path: whether it exists, its permissions, and the free space there"
