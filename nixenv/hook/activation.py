"""Activation files: the text of an activation, kept for the hook's next time.

A closure never changes for a given root, so neither does the text. ``hooks/on-activate.bash`` reads
the file back with bash's builtins alone. It is a row of records, each ended by a NUL byte, which no
variable can hold::

    nixenv activation 3 …           the key: all that was asked for, a line each, and the profile
    -O /…/cache/triton && …         a condition of bash's [[ ]]: what the text was made from and
                                    relies on is unchanged
    1 root=/nix/store/… …           the activation record that the text sets
    /nix/store/…/bin:…              what the text puts in front of PATH
    /…/bin/sglang                   the program as it was found on PATH; nothing if it was not
    /nix/store/…                    the root, which the next cold activation may find gone
    …                               long values, any number of them
    the text                        as nixenv.shells.kept writes it: it takes long values from the
                                    array __nixenv_kept, the records of this file
    end

Bash reads a record many times faster than it parses a quoted word, and PYTHONPATH has tens of
kilobytes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

import nixenv
from nixenv.errors import OutputFailed
from nixenv.files import read_file, sweep, write_atomically
from nixenv.hook.sight import HEAD, Asked, Sight
from nixenv.places import FARM_RECORD, find_private_directory, make_private_directory
from nixenv.road.plan import MakeDirectory, compute
from nixenv.shells.kept import write_statements
from nixenv.shells.posix import quote
from nixenv.storepath import enclosing_store_path
from nixenv.text import printable

TYPE_CHECKING = False

if TYPE_CHECKING:
    from nixenv.findings import Finding
    from nixenv.request import Prepared

_END = "end"
_ROOT = 5

# What is read of an activation file that may be swept.
_FILE_LIMIT = 64 << 20


def keep_activation(
    asked: Asked, sight: Sight, moment: int, prepared: "Prepared", environ: Mapping[str, str]
) -> None:
    """Write the activation file, and sweep those beside it whose program is gone.

    Nothing is written where the hook could not tell that something else is meant: where a line
    break blurs the key.

    Args:
        asked: What the hook asks for.
        sight: What was looked up.
        moment: When that was, in nanoseconds.
        prepared: The environment, its directories and farms made.
        environ: The variables, without what an earlier activation has set.

    Raises:
        OutputFailed: it cannot be written.
        CacheUntrusted: others could write it.
    """
    if any("\n" in line for line in sight.key[:-1]):
        return
    records = [
        "\n".join(sight.key),
        " && ".join(dict.fromkeys(_conditions(sight, prepared))),
        prepared.record,
        compute(prepared.lasting, {}).get("PATH") or "",
        sight.found,
        prepared.material.root.path,
    ]

    def keep(value: str) -> str:
        if value not in records:
            records.append(value)
        return f"${{__nixenv_kept[{records.index(value)}]}}"

    text = _warn(prepared.findings) + write_statements(prepared.lasting, keep, environ)
    records += (text, _END)
    directory = find_private_directory(asked.cache_dir, "nixenv")
    file = os.path.join(directory, asked.name)
    try:
        make_private_directory(directory)
        if os.path.islink(file):
            os.unlink(file)  # not to be followed
    except OSError as error:
        raise OutputFailed(directory, error.strerror or str(error)) from error
    write_atomically(file, "".join(f"{record}\0" for record in records), modified=moment)
    sweep(directory, _is_useless)


def _warn(findings: "Iterable[Finding]") -> str:
    """Write a statement that tells again, in one line, what the first activation told."""
    told = "; ".join(f"{finding.severity}: {printable(finding.summary)}" for finding in findings)
    line = f"nixenv: {told} (`nixenv inspect` tells more)"
    return f"printf '%s\\n' {quote(line)} >&2\n" if told else ""


def _conditions(sight: Sight, prepared: "Prepared") -> Iterator[str]:
    """Write what must hold for the text to be right, for bash's ``[[ ]]``."""
    store_dir = os.path.dirname(prepared.material.root.path)
    # A Flox environment is a link to a store object, in which nothing changes.
    links = [f"{path}/" for path, real in sight.same if enclosing_store_path(real, store_dir)]
    for path, real in sight.same:
        if not path.startswith(tuple(links)) or "/../" in path:
            yield f"{quote(path)} -ef {quote(real)}"
    for path, _ in sight.unchanged:
        if enclosing_store_path(path, store_dir) is None:
            yield _unchanged(path)
    metadata = f"{os.path.dirname(nixenv.__path__[0])}/nixenv-{nixenv.__version__}.dist-info"
    if enclosing_store_path(metadata, store_dir) is None and os.path.isdir(metadata):
        yield f"-d {quote(metadata)}"  # of this version, whatever dates an image gave its files
    if prepared.farms is not None:
        for farm in prepared.farms.directories:
            yield from _is_whole(farm)
    for operation in prepared.environment.operations:
        if isinstance(operation, MakeDirectory):
            path = quote(operation.path)
            yield f"-O {path} && ! -L {path}"


def _unchanged(path: str) -> str:
    return f"$__nixenv_file -nt {quote(path)}"


def _is_whole(farm: str) -> Iterator[str]:
    from nixenv.road.farms import list_landmarks  # noqa: PLC0415 -- hashlib; only layout linked

    program, directories = list_landmarks(farm)
    record = f"{farm}/{FARM_RECORD}"
    yield f"-x {quote(program)} && -s {quote(record)}"
    for path in (record, *directories):
        # Newer than what is not there is everything.
        is_told = program.startswith(f"{path}/") or path == record
        yield _unchanged(path) if is_told else f"-d {quote(path)} && {_unchanged(path)}"


def _is_useless(file: str) -> bool:
    name = os.path.basename(file)
    return name.startswith("activation-") and not os.path.exists(_read_root(file))


def _read_root(file: str) -> str:
    """Read the root off the records; a file of another format names nothing."""
    records = os.fsdecode(read_file(file, _FILE_LIMIT)).split("\0")
    return records[_ROOT] if records[0].startswith(HEAD) and len(records) > _ROOT else ""
