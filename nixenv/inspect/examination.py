"""Look at all that may be wrong, and judge it: what ``inspect`` does before it shows anything.

Where the road stops, that is a finding, and what was found out until then is judged all the same.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nixenv.errors import NixError
from nixenv.evidence.nix_failure import explain_nix_failure
from nixenv.inspect.judgement import judge, judge_failure
from nixenv.inspect.report import Report
from nixenv.inspect.survey import Step, Survey, look, look_at_machine
from nixenv.process import PATIENT, Patience
from nixenv.request import Material, Selection, choose_layout, find_root


class Examination(NamedTuple):
    """What is to be said, and what it rests on.

    Attributes:
        report: What is to be said.
        survey: What was seen; None when Nix gave no closure.
        error: Why it did not.
    """

    report: Report
    survey: Survey | None
    error: NixError | None = None


def examine(
    selection: Selection,
    environ: Mapping[str, str],
    step: Step = lambda _stage: None,
    patience: Patience = PATIENT,
    *,
    gathered: Material | None = None,
    with_machine: bool = True,
    with_sizes: bool = True,
) -> Examination:
    """Look at a program's closure and at the machine, and judge them.

    Args:
        selection: The request.
        environ: The environment as it is now. A replay takes the one that the snapshot recorded.
        step: Called with the name of each stage before it begins.
        patience: How long to wait for Nix, and who is told meanwhile.
        gathered: The closure, where the caller has asked for it already.
        with_machine: Whether to look at the machine.
        with_sizes: Whether the report is to have the sizes of closures.

    Raises:
        RootError, UsageError, ProfileInvalid, SnapshotInvalid, Unreadable: there is nothing to
            look at.
    """
    try:
        seen = look(
            selection, environ, step, patience, gathered=gathered, with_machine=with_machine
        )
    except NixError as error:
        root, profile = find_root(selection, environ)
        failure = explain_nix_failure(error, root.path, environ)
        machine = look_at_machine(profile, environ) if with_machine else None
        layout = choose_layout(selection, profile)
        return Examination(judge_failure(root, profile.name, layout, failure, machine), None, error)
    step("judgement")
    return Examination(judge(seen, with_sizes=with_sizes), seen)
