"""What follows from a store object that is gone, and is no fault of its own. Pure.

To bring it back comes first, and the rest is judged then.
"""

from collections.abc import Collection, Iterable, Iterator

from nixenv.findings import Finding
from nixenv.inspect.components import group_of
from nixenv.inspect.diagnosis.table import load_table
from nixenv.storepath import StorePath


def leave_out_consequences(
    findings: Iterable[Finding], lost: Collection[StorePath]
) -> Iterator[Finding]:
    """Give the findings without those that the loss of these store objects may have caused."""
    groups = {group_of(path, None) for path in lost}
    meanings = load_table().findings
    for finding in findings:
        if groups.isdisjoint(meanings[finding.code].follows_loss_of):
            yield finding
