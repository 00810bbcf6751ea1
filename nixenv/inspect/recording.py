"""Take a snapshot: what was seen of a closure, and of the machine if that is wanted, to keep."""

from collections.abc import Mapping

from attrs import evolve

from nixenv.evidence.occasion import Occasion, note_occasion
from nixenv.inspect.survey import Survey, look
from nixenv.process import PATIENT, Patience
from nixenv.request import Selection
from nixenv.snapshot import Snapshot


def take_snapshot(
    selection: Selection,
    environ: Mapping[str, str],
    patience: Patience = PATIENT,
    *,
    with_machine: bool,
    command: str = "",
) -> Snapshot:
    """Look at a program's closure, and record what is seen.

    Args:
        selection: The request.
        environ: The environment as it is now.
        patience: How long to wait for Nix, and who is told meanwhile.
        with_machine: Whether to record the machine, its name and what was asked for there as well.
        command: The command that asks, to be recorded.

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
        _note(selection, environ, command, seen) if with_machine else None,
    )


def _note(
    selection: Selection, environ: Mapping[str, str], command: str, seen: Survey
) -> Occasion | None:
    """Note when it was seen: of a snapshot, that is when that was taken."""
    if selection.snapshot is not None:
        return seen.recorded
    return note_occasion(command, environ, with_host=True, with_nix=True)
