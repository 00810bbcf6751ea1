"""A finding: something that the user of an environment should know."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing to know.

    Attributes:
        code: A stable name, such as ``cuda-several-versions``.
        severity: How bad it is.
        summary: One sentence.
        evidence: The paths or values that show it.
        remedy: What to do about it; what is to be typed or pasted stands between backticks
            (`nixenv.text.as_code`). Empty when there is nothing to do.
    """

    code: str
    severity: Severity
    summary: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
