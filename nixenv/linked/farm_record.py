"""What a farm's record says, and whether the farm is as it says.

Each first activation of layout linked asks; most find the farms whole, and then nothing is imported
of what builds them (docs/architecture.md, "What makes a first activation quick").
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from nixenv.files import read_file
from nixenv.places import FARM_RECORD, find_directory_distrust

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# That of a farm of 10,000 store objects has 10 MiB.
_RECORD_LIMIT = 256 << 20


def find_problems(directory: str) -> tuple[str, ...]:
    """Compare a farm with its record: one line for each difference, none for a farm that is whole.

    What is there beyond the record, such as Python's ``__pycache__``, does not count.
    """
    if distrust := find_directory_distrust(directory):
        return (f"{directory} {distrust}",)
    record = read_record(directory)
    if record is None:
        return (f"{directory} is no farm: its {FARM_RECORD} is missing or unreadable",)
    if record["place"] != directory:
        return (f"{directory} was built as {record['place']}",)
    return (
        *(f"{path} is gone" for path in record["members"] if not os.path.lexists(path)),
        *_find_bad_links(directory, record["links"]),
        *_find_bad_files(directory, record["files"]),
    )


def find_foreign_files(directory: str) -> tuple[str, ...]:
    """Find what others have put into a farm, such as an installer that did not ask pip."""
    record = read_record(directory)
    if record is None:
        return ()
    ours = {FARM_RECORD, *record["links"], *record["files"]}
    return tuple(f"{directory}/{path}" for path in _walk(directory) if path not in ours)


def _walk(directory: str) -> Iterator[str]:
    """List what is no directory, links not followed; ``__pycache__`` is Python's."""
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(f"{directory}/{inside}") as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{inside}{entry.name}"
                elif entry.name != "__pycache__":
                    pending.append(f"{inside}{entry.name}/")


def dump_record(record: "Mapping[str, Any]") -> str:
    """Write a record."""
    return json.dumps({**record, "digest": _digest(record)}, indent=1)


def read_record(directory: str) -> "dict[str, Any] | None":
    """Read a farm's record; None where there is none that can be relied on."""
    try:
        record = json.loads(read_file(f"{directory}/{FARM_RECORD}", _RECORD_LIMIT))
        if not isinstance(record, dict):
            return None
        digest = record.pop("digest", None)
        return record if digest == _digest(record) and _is_record(record) else None
    except (OSError, ValueError, RecursionError):
        return None


def _is_record(record: "Mapping[str, Any]") -> bool:
    """Whether it has just what `nixenv.linked.farm` puts there: its digest is no secret."""
    holds: Mapping[str, Callable[[Any], bool]] = {
        "place": _is_text,
        "members": _are_texts,
        "links": lambda links: type(links) is dict and _are_texts([*links, *links.values()]),
        "files": lambda files: (
            type(files) is dict
            and _are_texts([*files])
            and all(type(size) is int for size in files.values())
        ),
        "conflicts": lambda found: type(found) is list and all(map(_is_conflict, found)),
    }
    return record.keys() == holds.keys() and all(holds[name](record[name]) for name in holds)


def _is_conflict(found: object) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == {"path", "winner", "losers"}
        and _are_texts([found["path"], found["winner"]])
        and _are_texts(found["losers"])
    )


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(map(_is_text, found))


def _is_text(found: object) -> bool:
    """Whether it can stand for a path: any bytes but a NUL."""
    if not isinstance(found, str) or "\0" in found:
        return False
    try:
        os.fsencode(found)
    except UnicodeEncodeError:
        return False
    return True


def _digest(record: "Mapping[str, Any]") -> str:
    """Digest a record, so that one which was emptied or cut and is JSON still counts as none."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _find_bad_links(directory: str, links: Mapping[str, str]) -> Iterator[str]:
    for path, target in links.items():
        place = f"{directory}/{path}"
        try:
            held = os.readlink(place)
        except OSError:
            yield f"{place} is no link; it should lead to {target}"
            continue
        if held != target:
            yield f"{place} leads to {held}; it should lead to {target}"
        elif not os.path.exists(place):
            yield f"{place} leads nowhere: {target} is gone"


def _find_bad_files(directory: str, sizes: Mapping[str, int]) -> Iterator[str]:
    for path, size in sizes.items():
        place = f"{directory}/{path}"
        try:
            found = os.lstat(place)
        except OSError:
            yield f"{place} is missing"
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            yield f"{place} has been changed"
