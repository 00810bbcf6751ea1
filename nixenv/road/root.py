"""Find the root: the store object whose closure is asked for."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from nixenv.errors import RootError
from nixenv.storepath import StorePath, enclosing_store_path
from nixenv.typed import NamedTuple
from nixenv.versions import VERSIONED_PYTHON

# What comes with an interpreter, and is no program's module: its own start, and installers.
_NOBODYS = frozenset(
    {
        *("README.txt", "sitecustomize.py", "usercustomize.py", "__pycache__"),
        *("pip", "setuptools", "wheel", "pkg_resources"),
        *("_distutils_hack", "distutils-precedence.pth"),
    }
)


class ProgramNotFound(RootError):
    """No executable of that name on the search path."""

    program: str
    search_path: str
    programs: Sequence[str]
    profile: str | None

    def _texts(self) -> tuple[str, str]:
        from nixenv.text import suggest  # noqa: PLC0415 -- not before Nix is asked

        where = f"on PATH ({self.search_path or 'PATH is empty'})"
        if self.profile:  # it is spelt as it should be
            return (
                f"no program {self.program!r}, which the profile {self.profile} is for, {where}",
                "install it in this environment, or name its store path with --root, or name "
                "another program, or another profile (--profile, NIXENV_PROFILE)",
            )
        return (
            f"no program {self.program!r} {where}{suggest(self.program, self.programs)}",
            "install it in this environment, or name its store path with --root",
        )


class BrokenLink(RootError):
    """A link on the way to the root leads nowhere, or in a circle."""

    path: str
    target: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.path} cannot be followed to its end, {self.target}: {self.detail}",
            "the store object may have been garbage-collected: reinstall the program, "
            "or name its store path with --root",
        )


class NotInStore(RootError):
    """The path lies outside the store directory."""

    path: str
    resolved: str
    store_dir: str

    def _texts(self) -> tuple[str, str]:
        arrow = "" if self.path == self.resolved else f" (that is, {self.resolved})"
        return (
            f"{self.path}{arrow} is not in the Nix store {self.store_dir}",
            "take the program that Nix or Flox installed (is another one first on PATH?), "
            "name a store path with --root, or set NIX_STORE_DIR if the store is elsewhere",
        )


class InChrootStore(RootError):
    """The path is where a chroot store keeps what its programs know by another path.

    Nix has such a store for ``NIX_REMOTE=/path``, ``store = /path`` in nix.conf and
    ``local?root=/path``.
    """

    path: str
    home: str
    known: StorePath

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.path} is in a chroot store, {self.home}: its programs name {self.known}, which "
            "is not there outside of it",
            "work within it, where Nix puts everything in its place: "
            f"`nix --extra-experimental-features nix-command shell --store {self.home} "
            f"{self.known}`",
        )


class RootMissing(RootError):
    """The root names a store object, or something that should lead to one, and is not there."""

    path: str
    in_store: bool

    def _texts(self) -> tuple[str, str]:
        summary = f"{self.path} does not exist"
        if not self.in_store:
            first = "make a link to a store path there (`nix build --out-link`)"
            return summary, f"{first}, or name another root"
        return (
            summary,
            f"fetch it with `nix-store --realise {self.path}`, or name another root; if Nix has "
            "it, in a chroot store (NIX_REMOTE, or `store` in nix.conf), work within that: "
            "`nix shell --store`",
        )


class BareInterpreter(RootError):
    """The program is a Python interpreter by itself, which tells nothing of modules."""

    path: str
    flox_env: str | None

    def _texts(self) -> tuple[str, str]:
        where = self.flox_env or "ENVIRONMENT"
        return (
            f"{self.path} is a Python interpreter and no more: nothing in its closure tells which "
            "modules are meant",
            f"name the environment that holds the modules, `--root {where}`, or a program of it",
        )


class Root(NamedTuple):
    """The store object to start from.

    Attributes:
        path: The store path.
        program: The program's file name (``sglang``); None when unknown.
        how: How the root was found, for a person.
        found: The program's file on the search path, where it was looked up there.
        file: The program's file in the store, behind the links that lead there; None when unknown.
        named: The root as it was named, where it was.
    """

    path: StorePath
    program: str | None
    how: str
    found: str | None = None
    file: str | None = None
    named: str | None = None


def find_executable(name: str, search_path: str) -> str | None:
    """Look ``name`` up as a shell does, or take it as a path if it holds a slash.

    Entries of the search path that are not absolute are passed over: they would name another
    program in every directory.
    """
    return next(filter(_is_executable, _candidates(name, search_path)), None)


def find_program_root(
    program: str,
    search_path: str,
    store_dir: str,
    flox_env: str | None = None,
    profile: str | None = None,
) -> Root:
    """Find the store object that holds ``program``, through PATH and links to the end.

    A bare interpreter tells nothing of modules: where the Flox environment has the same one under
    that name, it is the root.

    Args:
        program: Its name, or a path.
        search_path: The directories to look in.
        store_dir: The store directory.
        flox_env: The directory of the Flox environment.
        profile: The profile that names the program, where the user named none.

    Raises:
        ProgramNotFound: nothing of that name on the search path.
        BrokenLink: what is there is a link that leads nowhere.
        NotInStore: it lies outside ``store_dir``.
        BareInterpreter: it is an interpreter, and not that of the Flox environment.
    """
    found = find_executable(program, search_path)
    if found is None:
        # A link to a collected store object is no executable; naming it beats "not found".
        found = next(filter(os.path.islink, _candidates(program, search_path)), None)
        if found is None:
            raise ProgramNotFound(program, search_path, tuple(_list_programs(search_path)), profile)
    resolved = _resolve(found)
    name = os.path.basename(program)
    environment = _find_virtual_environment(found, store_dir)
    if environment is not None:
        return Root(environment[0], name, f"{found} on PATH", found, environment[1])
    path = _store_object_of(resolved, found, store_dir)
    if not _is_bare_interpreter(resolved):
        return Root(path, name, f"{found} on PATH", found, name_in_store(resolved, store_dir))
    inside = os.path.join(os.path.realpath(flox_env or ""), "bin", name)
    if flox_env and os.path.realpath(inside) == resolved:
        path = _store_object_of(inside, inside, store_dir)
        return Root(path, name, f"{found} on PATH, in {flox_env}", found, inside)
    raise BareInterpreter(resolved, flox_env)


def find_named_root(
    path: str,
    program: str | None,
    store_dir: str,
    expected: str | None = None,
    how: str = "named",
) -> Root:
    """Take the root that the user names: a store path, a path inside one, or a link to one.

    Args:
        path: What the user named.
        program: The program that the user named as well, if any.
        store_dir: The store directory.
        expected: The program that is meant where the root has it: the profile's.
        how: Who named it, for a person.

    Raises:
        ProgramNotFound: the root does not have the program that the user named.
        RootMissing: it does not exist.
        BrokenLink: it is a link that leads nowhere.
        NotInStore: it lies outside ``store_dir``.
        BareInterpreter: it is an interpreter's executable, or a link to one.
    """
    if not path:
        raise RootMissing("(an empty path)", in_store=False)
    absolute = os.path.abspath(path)
    in_store = enclosing_store_path(absolute, store_dir) is not None
    if not os.path.lexists(absolute):
        raise RootMissing(absolute, in_store=in_store)
    inside = absolute if in_store else _resolve(absolute)
    root = _store_object_of(inside, absolute, store_dir)
    if os.path.isfile(inside) and _is_bare_interpreter(inside):
        raise BareInterpreter(inside, None)
    programs = os.path.join(root, "bin")
    name = os.path.basename(program if program is not None else expected or "")
    has_program = bool(name) and os.path.lexists(os.path.join(programs, name))
    if program is not None and not has_program:
        raise ProgramNotFound(program, programs, tuple(_list_programs(programs)), None)
    file = os.path.join(programs, name) if has_program else None
    return Root(root, name if has_program else None, how, file=file, named=path)


def _candidates(name: str, search_path: str) -> Iterator[str]:
    if "/" in name:
        yield os.path.abspath(name)
    elif name:
        for directory in search_path.split(os.pathsep):
            if directory.startswith("/"):
                yield os.path.join(directory, name)


def _list_programs(search_path: str) -> Iterator[str]:
    """Name what could have been meant; a store's own programs may be hidden, and are not."""
    for directory in dict.fromkeys(filter(os.path.isabs, search_path.split(os.pathsep))):
        with contextlib.suppress(OSError):
            yield from (name for name in os.listdir(directory) if not name.startswith("."))


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _resolve(path: str) -> str:
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        raise BrokenLink(path, os.path.realpath(path), error.strerror or str(error)) from error


def _find_virtual_environment(path: str, store_dir: str) -> tuple[StorePath, str] | None:
    """Find a virtual environment in the store on the way to what a link leads to.

    Its interpreter is a link out of it, and CPython finds it by the name that it is started by.
    """
    for _ in range(40):  # as many links as Linux follows
        directory = os.path.realpath(os.path.dirname(path))
        path = os.path.join(directory, os.path.basename(path))
        root = enclosing_store_path(path, store_dir)
        if root and os.path.isfile(os.path.join(os.path.dirname(directory), "pyvenv.cfg")):
            return root, path
        if not os.path.islink(path):
            break
        path = os.path.join(directory, os.readlink(path))
    return None


def _refuse(path: str, resolved: str, store_dir: str) -> RootError:
    """Say what is wrong with a path outside the store directory."""
    home, _, inside = resolved.partition(f"{store_dir}/")
    known = enclosing_store_path(f"{store_dir}/{inside}", store_dir)
    if known is None or not home:
        return NotInStore(path, resolved, store_dir)
    return InChrootStore(path, home, known)


def _is_bare_interpreter(file: str) -> bool:
    """Whether a file is an interpreter with no modules of its own but installers."""
    version = VERSIONED_PYTHON.fullmatch(os.path.basename(file))
    if version is None:
        return False
    prefix = os.path.dirname(os.path.dirname(file))
    try:
        names = os.listdir(f"{prefix}/lib/{version[0]}/site-packages")
    except OSError:
        return True
    return all(name in _NOBODYS or name.partition("-")[0] in _NOBODYS for name in names)


def name_in_store(resolved: str, store_dir: str) -> str:
    """Give a path behind all links as Nix knows it, where the store itself is behind a link."""
    if resolved.startswith(f"{store_dir}/"):
        return resolved
    real_store_dir = os.path.realpath(store_dir)
    inside = resolved.startswith(f"{real_store_dir}/")
    return store_dir + resolved[len(real_store_dir) :] if inside else resolved


def _store_object_of(resolved: str, path: str, store_dir: str) -> StorePath:
    root = enclosing_store_path(resolved, store_dir)
    if root is None:
        # The store directory itself may be reached through a link; Nix knows it by its setting.
        real_store_dir = os.path.realpath(store_dir)
        inside = enclosing_store_path(resolved, real_store_dir)
        if inside is None:
            raise _refuse(path, resolved, store_dir)
        root = StorePath(store_dir + inside[len(real_store_dir) :])
    return root
