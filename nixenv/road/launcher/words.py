"""What the words of a shell script stand for: expansions, patterns, and their splitting. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from nixenv.road.launcher.state import LONGEST, UNKNOWN, Scope
from nixenv.road.launcher.syntax import Expansion, Part, Text, Word

_PATTERN = re.compile(r"[*?\[\\]")
_BLANKS = re.compile(r"[ \t\n]+")
_TILDE = re.compile(r"(^|:)~")

# What bash sets by itself, whatever it is passed.
_OWN = frozenset(
    {
        *("BASH", "BASH_SOURCE", "BASH_VERSION", "EUID", "HOSTNAME", "HOSTTYPE", "IFS", "LINENO"),
        *("MACHTYPE", "OSTYPE", "PPID", "PWD", "RANDOM", "SECONDS", "SHLVL", "UID", "_"),
    }
)

_MOST_WORDS = 1_000

# Behind the last argument are all others alike; Python refuses to read 5,000 digits.
_BEYOND = 10**9


class Words:
    """What words stand for at one place of a script.

    Attributes:
        arguments: The script's own, as they are there.
    """

    def __init__(self, scope: Scope, file: str, arguments: tuple[str, ...]) -> None:
        """Begin a script.

        Args:
            scope: Its variables, which may change.
            file: Its path, ``$0``.
            arguments: Its arguments.
        """
        self._scope = scope
        self._file = file
        self.arguments = arguments

    def expand(self, words: Sequence[Word]) -> tuple[str, ...]:
        """Give what a command is given for these, up to a number of words."""
        return tuple(islice(self._expand(words), _MOST_WORDS))

    def _expand(self, words: Sequence[Word]) -> Iterator[str]:
        for word in words:
            if _takes_arguments(word):
                yield from self.arguments
            else:
                yield from self._split(word)

    def _split(self, word: Word) -> Iterator[str]:
        """Split a word where it is not quoted; of nothing at all comes no word."""
        field: str | None = None
        for text, quoted in self._pieces(word):
            first, *others = (text,) if quoted else _BLANKS.split(text, _MOST_WORDS)
            if first or quoted:
                field = (field or "") + first
            for other in others:
                if field is not None:
                    yield field
                field = other or None
        if field is not None:
            yield field

    def text(self, word: Sequence[Part]) -> str:
        """Give what one word stands for, as a text that is not split."""
        return "".join(text for text, _ in self._pieces(word))

    def _pieces(self, word: Sequence[Part]) -> Iterator[Text]:
        """Give what a word stands for, piece by piece; who knows what, where it is too long."""
        length = 0
        for piece in self._expanded(word):
            length += len(piece.text)
            if length > LONGEST:
                yield piece._replace(text=UNKNOWN)
                return
            yield piece

    def _expanded(self, word: Sequence[Part], *, quoted: bool = False) -> Iterator[Text]:
        for part in word:
            is_quoted = quoted or part.quoted
            if isinstance(part, Text):
                # "~" is somebody's home.
                text = part.text if is_quoted else _TILDE.sub(rf"\1{UNKNOWN}", part.text)
                yield Text(text, is_quoted)
            elif (value := self._value(part)) is None:
                yield from self._expanded(part.word, quoted=is_quoted)
            else:
                yield Text(value, is_quoted)

    def _value(self, part: Expansion) -> str | None:
        """Give what an expansion stands for; None where that is its word."""
        held = self._held(part.name)
        kind = part.operator[-1:]
        if kind and held == UNKNOWN and not part.name.isidentifier():
            return UNKNOWN  # who knows whether there is such an argument
        if kind in ("-", "=", "+") and self.is_set(part) == (kind == "+"):
            return None
        if kind == "?" and not self.is_set(part):
            return UNKNOWN  # the shell ends here
        if kind in ("#", "%", "/") and held is not None:
            return self._cut(held, part)
        return held or ""

    def is_set(self, part: Expansion) -> bool:
        """Whether the variable of an expansion is set, as its operator has it."""
        held = self._held(part.name)
        return bool(held) if part.operator.startswith(":") else held is not None

    def _cut(self, held: str, part: Expansion) -> str:
        """Do what ``#``, ``%`` and ``/`` say."""
        replacement = list(self._pieces(part.replacement))
        is_odd = any("&" in text and not quoted for text, quoted in replacement)
        if UNKNOWN in held or is_odd or self.is_pattern(part.word):
            return UNKNOWN
        pattern = self.text(part.word)
        text = "".join(piece.text for piece in replacement)
        match part.operator:
            case "#" | "##" | "/#" if held.startswith(pattern):
                return text + held.removeprefix(pattern)
            case "%" | "%%" | "/%" if held.endswith(pattern):
                return held.removesuffix(pattern) + text
            case "/" if pattern:
                return held.replace(pattern, text, 1)
            case "//" if pattern:
                is_long = held.count(pattern) * len(text) > LONGEST
                return UNKNOWN if is_long else held.replace(pattern, text)
        return held

    def is_pattern(self, word: Word) -> bool:
        """Whether a word may stand for more than its text."""
        pieces = self._pieces(word)
        return any(
            UNKNOWN in text or (not quoted and _PATTERN.search(text)) for text, quoted in pieces
        )

    def matches(self, left: str, word: Word) -> bool | None:
        """Compare as ``==`` does; of patterns, ``*'text'*`` is known."""
        star = Text("*", quoted=False)
        is_held = len(word) > 1 and word[0] == word[-1] == star
        inner = word[1:-1] if is_held else word
        if self.is_pattern(inner):
            return None
        text = self.text(inner)
        return text in left if is_held else left == text

    def _held(self, name: str) -> str | None:
        if name == "0":
            # The kernel starts a script's interpreter with the path of the script.
            return self._file
        if name.isdigit():
            place = to_place(name) - 1
            known = self.arguments[: place + 1]
            if UNKNOWN in known:
                return UNKNOWN
            return known[place] if len(known) > place else None
        if not name.isidentifier():
            return UNKNOWN
        return self._scope.values.get(name, UNKNOWN if name in _OWN else None)


def visible(word: Word) -> Word:
    """Leave out the empty texts of a word."""
    return tuple(part for part in word if not isinstance(part, Text) or part.text)


def _takes_arguments(word: Word) -> bool:
    """See ``"$@"``, and ``${1+"$@"}``, as old scripts have it."""
    parts = visible(word)
    if len(parts) != 1 or not isinstance(parts[0], Expansion):
        return False
    only = parts[0]
    if only.operator.endswith("+"):
        return _takes_arguments(only.word)
    return only.name == "@" and not only.operator


def to_place(digits: str) -> int:
    """Read the place of an argument, from 1."""
    return int(digits) if len(digits) < 10 else _BEYOND
