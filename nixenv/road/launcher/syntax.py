"""The words and commands of a shell script, as far as launchers need them. Pure.

A launcher is a list of assignments with one ``exec`` at its end. The grammar is POSIX's "Shell
Command Language" with bash's quoting ``$'…'``, its ``${NAME/PATTERN/TEXT}`` and its ``[[ … ]]``.
Nothing is looked up here: `nixenv.road.launcher.shell` says what the words mean.
"""

import re
from collections.abc import Iterator, Sequence

from nixenv.text import decode
from nixenv.typed import NamedTuple


class Text(NamedTuple):
    """Characters that stand for themselves; unquoted, some of them make a pattern."""

    text: str
    quoted: bool


class Expansion(NamedTuple):
    """``$NAME``, or ``${NAME OPERATOR WORD}``; with ``/``, the second word is the replacement.

    Command substitutions, and whatever else only a shell could work out, have no name.
    """

    name: str
    quoted: bool
    operator: str = ""
    word: "tuple[Part, ...]" = ()
    replacement: "tuple[Part, ...]" = ()


Part = Text | Expansion
Word = tuple[Part, ...]


class Command(NamedTuple):
    """One simple command, or a piece of a compound one such as ``if [[ … ]]``.

    Attributes:
        words: Its words, without redirections; none before a parenthesis.
        mark: The operator, or the line end, that it ends with.
        after: The operator that it follows, where that decides whether it runs: ``&&``.
    """

    words: tuple[Word, ...]
    mark: str = "\n"
    after: str = ""


def plain(word: Sequence[Part]) -> str | None:
    """Give a word that is written without quotes and expansions; None for others."""
    if len(word) == 1 and isinstance(word[0], Text) and not word[0].quoted:
        return word[0].text
    return None


class Unreadable(ValueError):
    """Quotes or braces that are not closed."""


_OUTSIDE = re.compile(
    r"""
    (?P<blank>[ \t]+)
    | (?P<plain>[^ \t\n\\'"$`;&|()<>]+)
    | '(?P<single>[^']*)'
    | (?P<newline>\n)
    | \$'(?P<ansi>(?:[^'\\]|\\.)*)'
    | \$?(?P<double>")
    | \$(?P<name>[A-Za-z_]\w*|[0-9@*#?$!-])
    | (?P<brace>\$\{)
    | (?P<opaque>[$<>]\(|`)
    | (?P<redirection><<<|<<-?|<>|>>|>&|<&|>\||&>>?|[<>])
    | (?P<operator>&&|\|\||;;&|;;|;&|[;&|()])
    | (?P<continuation>\\\n)
    | \\(?P<escaped>.)
    | (?P<dollar>\$)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_INSIDE = re.compile(
    r"""
    (?P<plain>[^"\\$`]+)
    | (?P<double>")
    | \$(?P<name>[A-Za-z_]\w*|[0-9@*#?$!-])
    | (?P<brace>\$\{)
    | (?P<opaque>\$\(|`)
    | \\(?P<escaped>["\\$`])
    | (?P<continuation>\\\n)
    | (?P<dollar>[\\$])
    """,
    re.VERBOSE | re.ASCII,
)
_BRACE = re.compile(
    r"(?P<name>[A-Za-z_]\w*|[0-9]+|[@*#?$!-]|)(?P<operator>:?[-+=?]|##?|%%?|/[/#%]?|)", re.ASCII
)
_LINE = re.compile(r"[^\n]*")

_ESCAPES = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))
_ANSI = (
    r"(?s)\\(?:x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{1,4})|U(?P<long>[0-9a-fA-F]{1,8})"
    r"|(?P<octal>[0-7]{1,3})|(?P<other>.))"
)

# Expansions in expansions: nobody writes more.
_DEEPEST = 20


def parse_commands(text: str) -> Iterator[Command]:
    """Split a script into its commands, one by one: what comes after ``exec`` is never read.

    Raises:
        Unreadable: quotes or braces are not closed.
    """
    return _Reader(text).commands()


def split_words(text: str) -> tuple[str, ...]:
    """Split one line of quoted words, as bash's ``${word@Q}`` writes them: nothing is expanded.

    Raises:
        Unreadable: quotes are not closed, or something would have to be expanded.
    """
    words = [word for command in parse_commands(text) for word in command.words]
    if not all(isinstance(part, Text) for word in words for part in word):
        raise Unreadable("an expansion")
    return tuple("".join(part.text for part in word if isinstance(part, Text)) for word in words)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._redirection = ""
        self._heredocs: list[tuple[str, bool]] = []

    def commands(self) -> Iterator[Command]:
        words: list[Word] = []
        after = ""
        for mark in self._marks(words):
            if words or mark != "\n":  # a list goes on behind empty lines
                yield Command(tuple(words), mark, after)
                words.clear()
                after = mark

    def _marks(self, words: list[Word]) -> Iterator[str]:
        """Fill ``words``, and stop at each operator between commands."""
        text = self._text
        parts: list[Part] = []
        skip_next = False
        started = False

        def finish() -> None:
            nonlocal skip_next, started
            if started:
                if skip_next:
                    self._redirected(tuple(parts))
                else:
                    words.append(tuple(parts))
                skip_next = started = False
                parts.clear()

        while self._at < len(text):
            if not started and text[self._at] == "#":
                self._match(_LINE)
                continue
            match = self._match(_OUTSIDE, f"at character {self._at}")
            kind = match.lastgroup
            if kind == "blank":
                finish()
            elif kind in ("newline", "operator"):
                finish()
                yield match[0]
                if kind == "newline":
                    self._skip_heredocs()
            elif kind == "redirection":
                if (plain(parts) or "").isdigit():
                    parts.clear()  # the descriptor's number
                    started = False
                finish()
                skip_next = True
                self._redirection = match[0]
            elif kind != "continuation":
                started = True
                parts.extend(self._part(match, 0))
        finish()
        yield "\n"

    def _part(self, match: "re.Match[str]", depth: int, *, quoted: bool = False) -> Iterator[Part]:
        kind = match.lastgroup or ""
        if kind == "plain":
            yield Text(match[kind], quoted)
        elif kind == "double":
            yield Text("", quoted=True)
            yield from self._double(depth)
        elif kind in ("single", "escaped", "dollar"):
            yield Text(match[kind], quoted=True)
        elif kind == "ansi":
            text = re.sub(_ANSI, _unescape, match["ansi"]).partition("\0")[0]
            yield Text(text, quoted=True)
        elif kind != "continuation":
            yield self._expansion(match, depth, quoted=quoted)

    def _double(self, depth: int) -> Iterator[Part]:
        while True:
            match = self._match(_INSIDE, "a quote is not closed")
            if match.lastgroup == "double":
                return
            yield from self._part(match, depth, quoted=True)

    def _match(self, pattern: "re.Pattern[str]", problem: str = "") -> "re.Match[str]":
        match = pattern.match(self._text, self._at)
        if match is None:
            raise Unreadable(problem)
        self._at = match.end()
        return match

    def _expansion(self, match: "re.Match[str]", depth: int, *, quoted: bool) -> Expansion:
        if match.lastgroup == "name":
            return Expansion(match["name"], quoted)
        if depth == _DEEPEST:
            raise Unreadable("expansions in expansions")
        if match.lastgroup == "brace":
            return self._brace(depth + 1, quoted=quoted)
        self._skip_opaque(match[0], depth + 1)
        return Expansion("", quoted)

    def _brace(self, depth: int, *, quoted: bool) -> Expansion:
        match = self._match(_BRACE)
        operator = match["operator"]
        is_replacement = operator.startswith("/")
        # Apostrophes are letters in "${NAME-it's}", and quotes in "${NAME#'it'}".
        is_quoted = quoted and operator[-1:] in ("-", "+", "=", "?")
        word = self._until("/}" if is_replacement else "}", depth, quoted=is_quoted)
        replacement: Word = ()
        if is_replacement and self._text[self._at - 1] == "/":
            replacement = self._until("}", depth)
        # ${NAME:2:3}, ${NAME[0]}, ${NAME^^}, ${!NAME}, ${ COMMAND; }
        is_odd = word and not operator
        return Expansion("" if is_odd else match["name"], quoted, operator, word, replacement)

    def _until(self, ends: str, depth: int, *, quoted: bool = False) -> Word:
        """Read the word in braces up to one of some characters, and pass that."""
        parts: list[Part] = []
        stops = ends if quoted else f"{ends}'"
        letters = re.compile(rf'[^\\"$`{stops}]+')
        while (here := self._text[self._at : self._at + 1]) and here not in ends:
            if found := letters.match(self._text, self._at):
                parts.append(Text(found[0], quoted=False))
                self._at = found.end()
            else:
                match = self._match(_INSIDE if quoted else _OUTSIDE, "a quote is not closed")
                parts.extend(self._part(match, depth))
        if not here:
            raise Unreadable("a brace is not closed")
        self._at += 1
        return tuple(parts)

    def _skip_opaque(self, opening: str, depth: int) -> None:
        """Pass a command substitution: ``$(…)``, with all that is quoted in it, or `` `…` ``."""
        if opening == "`":
            self._at = self._text.find("`", self._at) + 1
            if not self._at:
                raise Unreadable("a command substitution is not closed")
            return
        opened = 1
        while opened:
            match = self._match(_OUTSIDE, "a command substitution is not closed")
            if match.lastgroup == "operator":
                opened += {"(": 1, ")": -1}.get(match[0], 0)
            elif match.lastgroup not in ("blank", "newline", "redirection"):
                tuple(self._part(match, depth))

    def _redirected(self, word: Word) -> None:
        if self._redirection in ("<<", "<<-"):
            name = "".join(part.text for part in word if isinstance(part, Text))
            self._heredocs.append((name, self._redirection == "<<-"))

    def _skip_heredocs(self) -> None:
        for name, dedented in self._heredocs:
            while self._at < len(self._text):
                line = self._match(_LINE)[0]
                self._at += 1
                if (line.lstrip("\t") if dedented else line) == name:
                    break
        self._heredocs.clear()


def _unescape(match: "re.Match[str]") -> str:
    """Give what an escape of ``$'…'`` stands for in bash, which leaves alone what it is not."""
    if match["hex"] or match["octal"]:
        byte = int(match["hex"], 16) if match["hex"] else int(match["octal"], 8) & 0xFF
        return decode(bytes((byte,)))
    if digits := match["short"] or match["long"]:
        code = int(digits, 16)
        raw = chr(code).encode(errors="surrogatepass") if code < 0x110000 else b""
        return decode(raw)
    return _ESCAPES.get(match["other"], match[0])
