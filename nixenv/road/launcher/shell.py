"""Shell scripts: makeWrapper's, writeShellApplication's, and those that people write. Pure.

Read as the shell would run them in an empty environment, for the sake of what they start at the
end; no command is run. What only a run could tell is `UNKNOWN`, and where the script itself decides
what it starts, it is not guessed at.
"""

import re
from collections.abc import Iterator, Sequence

from nixenv.road.launcher.state import UNKNOWN, Run, Scope, Stop
from nixenv.road.launcher.syntax import (
    Command,
    Expansion,
    Part,
    Text,
    Unreadable,
    Word,
    parse_commands,
)

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "build-wrapper-bash"})
"""The names of shells in shebangs; the last is that of Flox's builds."""

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<added>\+?)=")
_PATTERN = re.compile(r"[*?\[]")

# These end what they opened; in between it is not known what runs.
_OPENERS = {"while": "done", "until": "done", "for": "done", "select": "done", "case": "esac"}
_NOTHING = frozenset(
    {
        *("exit", "exec", "shopt", "cd", "umask", "ulimit", "trap", "return", ":", "true", "false"),
        *("echo", "printf", "test", "[", "[[", "read", "wait", "alias", "hash"),
    }
)
_READS_ANOTHER = ("source", ".", "eval")
_BUILTINS = ("unset", "set", "shift", *_READS_ANOTHER)
_DECLARES = ("export", "declare", "typeset", "readonly", "local")

# A hostile script may have millions; a wrapper has six for each entry of PATH.
_MOST_COMMANDS = 50_000


def follow_shell(text: str, run: Run) -> Run | Stop:
    r"""Find what a script starts, and with what.

    makeWrapper writes, for example (``make-wrapper.sh``)::

        #! /nix/store/…-bash-5.3p3/bin/bash -e
        PATH=${PATH:+':'$PATH':'}
        PATH=${PATH/':''/nix/store/…-ffmpeg/bin'':'/':'}
        PATH='/nix/store/…-ffmpeg/bin'$PATH
        PATH=${PATH#':'}
        PATH=${PATH%':'}
        export PATH
        export VLLM_NCCL_SO_PATH='/nix/store/…-nccl/lib/libnccl.so'
        export HF_HOME=${HF_HOME-'/var/models'}
        exec -a "$0" "/nix/store/…/bin/.vllm-wrapped"  "$@"

    ``--suffix`` adds an ``if [[ $PATH != *':''…'':'* ]]; then``. An installer of Python writes
    ``'''exec' /nix/store/…/bin/python "$0" "$@"`` where a shebang would be too long.
    """
    script = _Script(run)
    try:
        for number, command in enumerate(parse_commands(text)):
            if number == _MOST_COMMANDS:
                return Stop("this script is too long")
            if script.take(command):
                break
    except Unreadable as error:
        return Stop(f"this shell script cannot be read: {error}")
    return script.result()


_Assigned = Sequence[tuple["re.Match[str]", Word]]


class _Branch:
    """A compound command that is open."""

    def __init__(self, end: str, runs: bool | None) -> None:  # noqa: FBT001 -- as below
        self.end = end
        self.runs = runs  # whether its commands run; None: who knows
        self.ran = runs  # likewise, whether one of its branches has

    def turn(self, holds: bool | None) -> None:  # noqa: FBT001 -- a condition, true or not
        """Go on to the next branch, whose condition is given."""
        self.runs = False if self.ran else None if self.ran is None else holds
        if self.runs is not False:
            self.ran = self.runs


class _Script:
    def __init__(self, run: Run) -> None:
        self._scope = Scope(run)
        self._run = run
        self._arguments = run.arguments
        self._open: list[_Branch] = []
        self._defines = False
        self._last: tuple[_Assigned, tuple[str, ...]] | None = None
        self._result: Run | Stop | None = None

    def result(self) -> Run | Stop:
        if self._result is None and self._last is not None:
            assigned, given = self._last
            return self._start(assigned, given, given[0])
        return self._result or Stop("this script starts no program")

    # Compound commands ---------------------------------------------------------------------------

    def take(self, command: Command) -> bool:
        """Take the next command into account; say whether it is the last."""
        words = command.words
        while words and (keyword := _keyword(words[0])):
            words = words[1:]
            if keyword in ("if", "elif"):
                is_whole = command.mark not in ("&&", "||", "|")
                self._condition(keyword, self._judge(words) if is_whole else None)
                return False
            self._keyword(keyword)
            if keyword == "function":
                if _plain(words[-1] if words else ()) == "{":
                    self._keyword("{")
                return False
        if words and command.mark == "(":
            self._defines = True
        elif words and self._simple(command._replace(words=words)):
            return True
        if command.mark == "(" and not words:
            self._open.append(_Branch(")", None))
        elif command.mark == ")" and self._open and self._open[-1].end == ")":
            self._open.pop()
        return False

    def _keyword(self, keyword: str) -> None:
        if keyword in _OPENERS:
            self._open.append(_Branch(_OPENERS[keyword], None))
        elif keyword == "function":
            self._defines = True
        elif keyword == "{":
            self._open.append(_Branch("}", not self._defines))
            self._defines = False
        elif self._open and keyword == "else":
            self._open[-1].turn(holds=True)
        elif self._open and keyword == self._open[-1].end:
            self._open.pop()

    def _condition(self, keyword: str, holds: bool | None) -> None:  # noqa: FBT001 -- as above
        if keyword == "if":
            self._open.append(_Branch("fi", holds))
        elif self._open:
            self._open[-1].turn(holds)

    def _judge(self, words: Sequence[Word]) -> bool | None:
        """Say whether ``[ … ]`` or ``[[ … ]]`` holds; None where that cannot be told."""
        if not words or _plain(words[0]) not in ("[", "[[", "test"):
            return None
        texts = [self._text(word) for word in words]
        inner = texts[1:] if texts[0] == "test" else texts[1:-1]
        if any(UNKNOWN in text for text in inner):
            return None
        match inner:
            case ["-n", value]:
                return bool(value)
            case ["-z", value]:
                return not value
            case [left, ("=" | "==" | "!=") as operator, right]:
                equal = _matches(left, words[3], right)
                return None if equal is None else equal == (operator != "!=")
        return None

    # Simple commands -----------------------------------------------------------------------------

    def _simple(self, command: Command) -> bool:
        if any(branch.runs is False for branch in self._open):
            return False
        is_certain = (
            all(branch.runs for branch in self._open)
            and command.after not in ("&&", "||", "|")
            and command.mark not in ("|", "&")
        )
        words = list(command.words)
        assigned: list[tuple[re.Match[str], Word]] = []
        while words and (match := _assignment(words[0])):
            assigned.append((match, words.pop(0)))
        if not words:
            for match, word in assigned:
                self._assign(self._scope, match, word, is_certain=is_certain)
            return False
        given = tuple(self._expand(words))
        name = given[0] if given else ""
        if name == "exec" and len(given) > 1:
            return self._execute(assigned, given[1:], is_certain=is_certain)
        if name in _DECLARES:
            self._declare(name, words[1:], is_certain=is_certain)
        elif name in _BUILTINS:
            self._builtin(name, given[1:])
        elif is_certain and name and name not in _NOTHING:
            self._last = (assigned, given)
        return False

    def _builtin(self, name: str, given: tuple[str, ...]) -> None:
        if name == "unset":
            for other in given:
                self._scope.unset(other)
        elif name == "set" and given[:1] == ("--",):
            self._arguments = given[1:]
        elif name == "shift":
            number = _place(given[0]) if given and given[0].isdecimal() else 1
            if UNKNOWN not in self._arguments[:number]:
                self._arguments = self._arguments[number:]
        elif name in _READS_ANOTHER:
            # What that put in front, nobody knows.
            for path in ("PATH", "PYTHONPATH"):
                held = self._scope.get(path)
                if held is not None or path == "PATH":
                    self._scope.assign(path, f"{UNKNOWN}:{held or ''}")

    def _execute(self, assigned: _Assigned, given: tuple[str, ...], *, is_certain: bool) -> bool:
        name = None
        while given and given[0].startswith("-"):
            option, given = given[0], given[1:]
            if option == "--":
                break
            if option.endswith("a") and given:
                name, given = given[0], given[1:]
        if not given:
            return False
        if is_certain:
            self._result = self._start(assigned, given, name or given[0])
        else:
            self._result = Stop("this script decides by itself what it starts")
        return True

    def _start(self, assigned: _Assigned, given: tuple[str, ...], name: str) -> Run:
        scope = self._scope.copy()
        for match, word in assigned:
            self._assign(scope, match, word, is_certain=True)
            scope.export(match["name"])
        return scope.start(given[0], given[1:], name)

    def _declare(self, name: str, words: Sequence[Word], *, is_certain: bool) -> None:
        is_exported = name == "export"
        for word in words:
            match = _assignment(word)
            text = self._text(word)
            if match:
                self._assign(self._scope, match, word, is_certain=is_certain)
                text = match["name"]
            elif text.startswith("-"):
                is_exported = is_exported or "x" in text
                continue
            if is_exported:
                self._scope.export(text)

    def _assign(
        self, scope: Scope, match: "re.Match[str]", word: Word, *, is_certain: bool
    ) -> None:
        name = match["name"]
        first = word[0]
        head = Text(first.text[match.end() :], quoted=False) if isinstance(first, Text) else first
        rest = (head, *word[1:])
        before = scope.get(name)
        value = self._text(rest)
        if match["added"]:
            value = (before or "") + value
        if not is_certain:
            # It may be this one, or the one from before.
            value = value if value == before else UNKNOWN
        literal = is_certain and not match["added"] and _is_literal(rest, name)
        scope.assign(name, value, literal=literal and UNKNOWN not in value)

    # Words ---------------------------------------------------------------------------------------

    def _expand(self, words: Sequence[Word]) -> Iterator[str]:
        for word in words:
            if _takes_arguments(word):
                yield from self._arguments
                continue
            text = self._text(word)
            expanded = any(isinstance(part, Expansion) and not part.quoted for part in word)
            if expanded and all(isinstance(p, Expansion) or not p.quoted for p in word):
                yield from text.split()
            else:
                yield text

    def _text(self, word: Sequence[Part]) -> str:
        return "".join(part.text if isinstance(part, Text) else self._value(part) for part in word)

    def _value(self, part: Expansion) -> str:
        held = self._held(part.name)
        operator = part.operator
        if operator[-1:] in ("-", "=", "+", "?"):
            is_set = bool(held) if operator.startswith(":") else held is not None
            if operator.endswith("+"):
                return self._text(part.word) if is_set else ""
            return (held or "") if is_set else self._text(part.word)
        return self._cut(held, part) if operator and held else held or ""

    def _cut(self, held: str, part: Expansion) -> str:
        """Do what ``#``, ``%`` and ``/`` say."""
        if UNKNOWN in held or _is_pattern(part.word):
            return UNKNOWN
        pattern = self._text(part.word)
        if part.operator[0] == "#":
            return held.removeprefix(pattern)
        if part.operator[0] == "%":
            return held.removesuffix(pattern)
        count = -1 if part.operator == "//" else 1
        return held.replace(pattern, self._text(part.replacement), count) if pattern else held

    def _held(self, name: str) -> str | None:
        if name == "0":
            # The kernel starts a script's interpreter with the path of the script.
            return self._run.file
        if name.isdigit():
            place = _place(name) - 1
            known = self._arguments[: place + 1]
            if UNKNOWN in known:
                return UNKNOWN
            return known[place] if len(known) > place else None
        if not (name.isidentifier() and name.isascii()):
            return UNKNOWN
        return self._scope.get(name)


def _plain(word: Word) -> str | None:
    """Give a word that is written without quotes and expansions."""
    if len(word) == 1 and isinstance(word[0], Text) and not word[0].quoted:
        return word[0].text
    return None


_KEYWORDS = frozenset(
    {
        *("if", "then", "elif", "else", "fi", "do", "done", "esac", "while", "until", "for"),
        *("select", "case", "function", "{", "}", "!", "time"),
    }
)


def _keyword(word: Word) -> str | None:
    text = _plain(word)
    return text if text in _KEYWORDS else None


def _matches(left: str, word: Word, right: str) -> bool | None:
    """Compare as ``==`` does; of patterns, ``*'text'*`` is known."""
    unquoted = [part.text for part in word if isinstance(part, Text) and not part.quoted]
    if not any(map(_PATTERN.search, unquoted)):
        return left == right
    first, last = word[0], word[-1]
    if len(word) > 1 and unquoted == ["*", "*"] and first == last == Text("*", quoted=False):
        return right[1:-1] in left
    return None


def _assignment(word: Word) -> "re.Match[str] | None":
    first = word[0] if word else None
    if not isinstance(first, Text) or first.quoted:
        return None
    return _ASSIGNMENT.match(first.text)


def _is_literal(word: Word, name: str) -> bool:
    """Whether a value stands there as it is; ``${NAME-'value'}`` is one that gives way."""
    parts = [part for part in word if not isinstance(part, Text) or part.text]
    if len(parts) == 1 and isinstance(parts[0], Expansion):
        only = parts[0]
        is_default = only.name == name and only.operator in ("-", ":-")
        return is_default and all(isinstance(part, Text) for part in only.word)
    return all(isinstance(part, Text) for part in parts)


def _is_pattern(word: Word) -> bool:
    return any(isinstance(p, Text) and not p.quoted and _PATTERN.search(p.text) for p in word)


def _takes_arguments(word: Word) -> bool:
    """See ``"$@"``, and ``${1+"$@"}``, as old scripts have it."""
    parts = [part for part in word if not isinstance(part, Text) or part.text]
    if len(parts) != 1 or not isinstance(parts[0], Expansion):
        return False
    only = parts[0]
    return only.name == "@" or (only.operator.endswith("+") and _takes_arguments(only.word))


def _place(digits: str) -> int:
    # Behind the last argument are all others alike; Python refuses to read 5,000 digits.
    return int(digits) if len(digits) < 10 else 10**9
