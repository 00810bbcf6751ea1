"""Shell scripts: makeWrapper's, writeShellApplication's, and those that people write. Pure.

Read as the shell would run them in an empty environment, for the sake of what they start at the
end; no command is run. What only a run could tell is `UNKNOWN`, and where the script itself decides
what it starts, it is not guessed at.
"""

import re
from collections.abc import Sequence

from nixenv.road.launcher.state import UNKNOWN, Run, Scope, Stop
from nixenv.road.launcher.syntax import (
    Command,
    Expansion,
    Text,
    Unreadable,
    Word,
    parse_commands,
    plain,
)
from nixenv.road.launcher.words import Words, to_place, visible
from nixenv.typed import NamedTuple

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "build-wrapper-bash"})
"""The names of shells in shebangs; the last is that of Flox's builds."""

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<added>\+?)=", re.ASCII)

# These end what they opened; in between it is not known what runs.
_OPENERS = {"while": "done", "until": "done", "for": "done", "select": "done", "case": "esac"}
_NOTHING = frozenset(
    {
        *("exit", "exec", "shopt", "cd", "umask", "ulimit", "trap", "return", ":", "true", "false"),
        *("echo", "printf", "test", "[", "[[", "wait", "alias", "hash"),
    }
)
_LISTS = ("&&", "||", "|")
_READS_ANOTHER = ("source", ".", "eval")
_ASKS = ("read", "getopts", "mapfile", "readarray")
_BUILTINS = ("unset", "set", "shift", *_READS_ANOTHER, *_ASKS)
_DECLARES = ("export", "declare", "typeset", "readonly")

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


class _Assignment(NamedTuple):
    """``NAME=WORD``, or ``NAME+=WORD``."""

    name: str
    added: bool
    word: Word


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
        self._words = Words(self._scope, run.file, run.arguments)
        self._open: list[_Branch] = []
        self._defines = False
        self._last: tuple[Sequence[_Assignment], tuple[str, ...]] | None = None
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
                is_whole = command.mark in ("\n", ";") and command.after not in _LISTS
                self._condition(keyword, self._judge(words) if is_whole else None)
                return False
            self._keyword(keyword, command.after)
            if keyword == "function":
                words = words[1:] if command.mark != "(" else words
            if keyword in ("for", "select") and words:
                self._forget(plain(words[0]) or "")
        if command.mark == "(":
            self._parenthesis(words)
        elif words and self._simple(command._replace(words=words)):
            return True
        elif command.mark == ")" and self._open and self._open[-1].end == ")":
            self._open.pop()
        return False

    def _parenthesis(self, words: Sequence[Word]) -> None:
        """Begin a subshell, an array, or what is a function's: ``NAME()``."""
        array = _assignment(words[-1]) if words else None
        if array:
            self._forget(array.name)
        self._open.append(_Branch(")", False if words or self._defines else None))
        self._defines = bool(words) and not array

    def _forget(self, name: str) -> None:
        """Have a variable hold what nobody knows."""
        if not self._is_passed_over():
            self._scope.assign(name, UNKNOWN)

    def _is_passed_over(self) -> bool:
        return any(branch.runs is False for branch in self._open)

    def _keyword(self, keyword: str, after: str) -> None:
        if keyword in _OPENERS:
            self._open.append(_Branch(_OPENERS[keyword], None))
        elif keyword == "function":
            self._defines = True
        elif keyword == "{":
            runs = None if after in _LISTS else True
            self._open.append(_Branch("}", False if self._defines else runs))
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
        name = plain(words[0]) if words else None
        if name == "[[":
            inner = [self._words.text(word) for word in words[1:-1]]
        elif name in ("[", "test") and not any(map(self._words.is_pattern, words[1:])):
            inner = list(self._words.expand(words[1:] if name == "test" else words[1:-1]))
        else:
            return None
        holds: bool | None = None
        match inner:
            case ["-n", value]:
                holds = bool(value)
            case ["-z", value]:
                holds = not value
            case [value] if name != "[[":  # of [[ a < b ]] only that is left
                holds = bool(value)
            case [left, ("=" | "==" | "!=") as operator, right]:
                equal = self._words.matches(left, words[3]) if name == "[[" else left == right
                holds = None if equal is None else equal == (operator != "!=")
        return None if any(UNKNOWN in text for text in inner) else holds

    # Simple commands -----------------------------------------------------------------------------

    def _simple(self, command: Command) -> bool:
        if self._is_passed_over():
            return False
        is_certain = (
            all(branch.runs for branch in self._open)
            and command.after not in _LISTS
            and command.mark not in ("|", "&")
        )
        words = list(command.words)
        assigned: list[_Assignment] = []
        while words and (assignment := _assignment(words[0])):
            assigned.append(assignment)
            del words[0]
        if not words:
            for assignment in assigned:
                self._set_defaults([assignment.word], is_certain=is_certain)
                self._assign([assignment], is_certain=is_certain)
            return False
        self._set_defaults(words, is_certain=is_certain)
        given = self._words.expand(words)
        name = given[0] if given else ""
        if name == "exec" and len(given) > 1:
            return self._execute(assigned, given[1:], is_certain=is_certain)
        if name in _DECLARES:
            self._declare(name, words[1:], is_certain=is_certain)
        elif name in _BUILTINS:
            self._builtin(name, given[1:], is_certain=is_certain)
        elif is_certain and name and name not in _NOTHING:
            self._last = (assigned, given)
        return is_certain and name == "exit"

    def _set_defaults(self, words: Sequence[Word], *, is_certain: bool) -> None:
        """Do what ``: "${NAME:=WORD}"`` does beside what it stands for."""
        for part in (part for word in words for part in word if isinstance(part, Expansion)):
            if part.operator in ("=", ":=") and not self._words.is_set(part):
                default = _Assignment(part.name, added=False, word=part.word)
                self._assign([default], is_certain=is_certain)

    def _builtin(self, name: str, given: tuple[str, ...], *, is_certain: bool) -> None:
        if name == "unset":
            for other in given:
                if is_certain:
                    self._scope.unset(other)
                elif self._scope.get(other) is not None:
                    self._forget(other)
        elif name == "set" and given[:1] == ("--",):
            self._words.arguments = given[1:] if is_certain else (UNKNOWN,)
        elif name == "shift":
            self._shift(given, is_certain=is_certain)
        elif name in _ASKS:
            for other in given:
                self._forget(other)
        elif name in _READS_ANOTHER:
            # What that put in front, nobody knows.
            for path in ("PATH", "PYTHONPATH"):
                self._scope.assign(path, f"{UNKNOWN}:{self._scope.get(path) or ''}")

    def _shift(self, given: tuple[str, ...], *, is_certain: bool) -> None:
        digits = given[0] if given else "1"
        number = to_place(digits) if digits.isdecimal() else 0
        if UNKNOWN in (digits, *self._words.arguments[:number]) or not is_certain:
            self._words.arguments = (UNKNOWN,)
        elif number <= len(self._words.arguments):
            self._words.arguments = self._words.arguments[number:]

    def _execute(
        self, assigned: Sequence[_Assignment], given: tuple[str, ...], *, is_certain: bool
    ) -> bool:
        name = None
        while given and given[0].startswith("-"):
            option, given = given[0], given[1:]
            if option.endswith("a") and given:
                name, given = given[0], given[1:]
        if not given:
            return False
        if is_certain:
            self._result = self._start(assigned, given, name or given[0])
        else:
            self._result = Stop("this script decides by itself what it starts")
        return True

    def _start(self, assigned: Sequence[_Assignment], given: tuple[str, ...], name: str) -> Run:
        for assignment in assigned:
            self._assign([assignment], is_certain=True)
            self._scope.export(assignment.name)
        return self._scope.start(given[0], given[1:], name)

    def _declare(self, name: str, words: Sequence[Word], *, is_certain: bool) -> None:
        assigned: list[_Assignment] = []
        names: list[str] = []
        options: list[str] = []
        for word in words:
            text = self._words.text(word)
            if one := _assignment(word, may_be_quoted=True):
                assigned.append(one)
            elif text.startswith("-"):
                options.extend(text)
            else:
                names.append(text)
        self._assign(assigned, is_certain=is_certain)
        for other in (*names, *(one.name for one in assigned)):
            if "n" in options:
                self._scope.exported.discard(other)
            elif name == "export" or "x" in options:
                self._scope.export(other)

    def _assign(self, assigned: Sequence[_Assignment], *, is_certain: bool) -> None:
        """Set variables, where all values are expanded before any is set."""
        values = [self._evaluate(one, is_certain=is_certain) for one in assigned]
        for name, value, literal in values:
            self._scope.assign(name, value, literal=literal)

    def _evaluate(self, one: _Assignment, *, is_certain: bool) -> tuple[str, str, bool]:
        before = self._scope.get(one.name)
        value = self._words.text(one.word)
        if one.added:
            value = (before or "") + value
        if not is_certain:
            # It may be this one, or the one from before.
            value = value if value == before else UNKNOWN
        literal = is_certain and not one.added and _is_literal(one.word, one.name)
        return one.name, value, literal and UNKNOWN not in value


_KEYWORDS = frozenset(
    {
        *("if", "then", "elif", "else", "fi", "do", "done", "esac", "while", "until", "for"),
        *("select", "case", "function", "{", "}", "!", "time"),
    }
)


def _keyword(word: Word) -> str | None:
    text = plain(word)
    return text if text in _KEYWORDS else None


def _assignment(word: Word, *, may_be_quoted: bool = False) -> _Assignment | None:
    """Read an assignment; ``export`` takes one that is in quotes, too."""
    parts = visible(word) if may_be_quoted else word
    first = parts[0] if parts else None
    if not isinstance(first, Text) or (first.quoted and not may_be_quoted):
        return None
    match = _ASSIGNMENT.match(first.text)
    if match is None:
        return None
    value = (first._replace(text=first.text[match.end() :]), *parts[1:])
    return _Assignment(match["name"], bool(match["added"]), value)


def _is_literal(word: Word, name: str) -> bool:
    """Whether a value stands there as it is; ``${NAME-'value'}`` is one that gives way."""
    parts = visible(word)
    if len(parts) == 1 and isinstance(parts[0], Expansion):
        only = parts[0]
        is_default = only.name == name and only.operator in ("-", ":-", "=", ":=")
        return is_default and all(isinstance(part, Text) for part in only.word)
    return all(isinstance(part, Text) for part in parts)
