"""Take a snapshot: what was seen of a closure, and of the machine if that is wanted, to keep."""

from collections.abc import Mapping

from attrs import evolve

from nixenv.inspect.survey import look
from nixenv.process import PATIENT, Patience
from nixenv.request import Selection
from nixenv.snapshot import Snapshot


def take_snapshot(
    selection: Selection,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    *,
    with_machine: bool,
) -> Snapshot:
    """Look at a program's closure, and record what is seen.

    Raises:
        NixenvError: there is no closure to look at.
    """
    seen = look(selection, environ, patience=patience, with_machine=with_machine)
    material, contents = seen.material, seen.contents
    if not with_machine:
        # What CPATH and LIBRARY_PATH add is of the machine as well.
        files = evolve(contents.files, given_headers=(), given_libraries=())
        contents = evolve(contents, files=files)
    return Snapshot(
        material.root.program,
        material.closure,
        material.probe,
        contents,
        seen.machine if with_machine else None,
        seen.request if with_machine else None,
    )
