"""How nixenv's failures look: what went wrong, as fields, and what to do next, as text.

One root class and one branch for each documented exit code, which ``nixenv.console`` maps. The
errors themselves stand beside what raises them; here are those that several rooms raise.
"""

from collections.abc import Sequence

from nixenv.typed import dataclass_transform

# Characters of a line: what is at fault may be a file in one line of any length. A PATH is shown.
_LONGEST_LINE = 4000


@dataclass_transform()
class NixenvError(Exception):
    """The root of nixenv's errors: ``reason`` says what is wrong, ``remedy`` what to do next.

    A subclass declares its fields as annotations, and gives in ``_texts`` summary and remedy, and
    as the third the evidence, if any. (Classes that attrs or dataclasses build at import would cost
    every first activation 8 ms.)
    """

    def __init__(self, *values: object, **named: object) -> None:
        names = tuple(type(self).__annotations__)
        fields = dict(zip(names, values, strict=False), **named)
        if len(values) > len(names) or fields.keys() != set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names) or 'nothing'}")
        super().__init__(*fields.values())
        for name in names:
            setattr(self, name, fields[name])

    @property
    def summary(self) -> str:
        """What is wrong, naming the thing; with a colon at its end where evidence follows."""
        return _shorten(self._texts()[0])

    @property
    def evidence(self) -> Sequence[str]:
        """The paths or values that show it."""
        texts = self._texts()
        lines = texts[2] if len(texts) == 3 else ()
        return tuple(map(_shorten, lines))

    @property
    def reason(self) -> str:
        """The summary, and the evidence, a line each."""
        return "".join((self.summary, *(f"\n    {line}" for line in self.evidence)))

    @property
    def remedy(self) -> str:
        """The next step."""
        return _shorten(self._texts()[1])

    def _texts(self) -> tuple[str, str] | tuple[str, str, Sequence[str]]:
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.reason}\n  next: {self.remedy}"


class RootError(NixenvError):
    """The program's root store path cannot be found (exit code 3)."""


class NixError(NixenvError):
    """Nix is missing or failed, its answer cannot be used, or time ran out (exit code 4)."""


class UsageError(NixenvError):
    """The request itself is wrong (exit code 2)."""


class Unreadable(NixenvError):
    """Something that had to be read cannot be."""

    path: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.path} cannot be read: {self.detail}",
            f"check the path (`ls -ld {self.path}`), its permissions and who you are (`id`)",
        )


class OutputFailed(NixenvError):
    """The result could not be written."""

    target: str
    detail: str

    def _texts(self) -> tuple[str, str]:
        return (
            f"{self.target} could not be written: {self.detail}",
            "check that path: whether it exists, its permissions, and the free space there",
        )


def _shorten(text: str) -> str:
    from nixenv.text import shorten  # noqa: PLC0415 -- where all is well nobody has need of it

    return shorten(text, _LONGEST_LINE)
