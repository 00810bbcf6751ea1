"""Shell scripts against bash: what they start, with what, is what the reader says.

Each script is run by a real bash in an empty environment; what it starts tells its arguments and
its variables. Where the reader says that nobody knows, anything may be there.
"""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.road.launcher.shell import follow_shell
from nixenv.road.launcher.state import UNKNOWN, Run, Stop
from tests.real_shells import require_tool

SHOW = """
#include <stdio.h>
extern char **environ;
int main(int argc, char **argv) {
  printf("%d", argc);
  for (char **word = argv; *word; word++) printf("%c%s", 0, *word);
  for (char **word = environ; *word; word++) printf("%c%s", 0, *word);
}
"""
USERS = ("one", "two words", "")
"""What the user gives."""
OF_BASH = frozenset(("PWD", "OLDPWD", "SHLVL", "_"))


class Started(NamedTuple):
    """What a script starts: the program's own name, its arguments and its variables."""

    words: list[str]
    variables: dict[str, str]


@pytest.fixture(scope="session")
def show(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that tells what it is given."""
    program = tmp_path_factory.mktemp("show") / "show"
    compile_it = (require_tool("g++"), "-x", "c++", "-", "-o", program)
    subprocess.run(compile_it, input=SHOW, text=True, check=True)
    return str(program)


def run_script(text: str, directory: Path) -> Started:
    """Run a script; one that starts nothing has started nothing with no variables."""
    script = directory / "script"
    script.write_text(text)
    done = subprocess.run(
        [require_tool("bash"), script, *USERS], env={}, cwd="/", capture_output=True, check=False
    )
    count, *told = done.stdout.decode().split("\0")
    words, variables = told[: int(count or 0)], told[int(count or 0) :]
    pairs = dict(one.split("=", 1) for one in variables)
    return Started(words, {name: pairs[name] for name in sorted(pairs.keys() - OF_BASH)})


def read_script(text: str, directory: Path, users: tuple[str, ...] = USERS) -> Started:
    """Read it, and put in what the user gives."""
    script = str(directory / "script")
    found = follow_shell(text, Run(script, (UNKNOWN,), script))
    assert isinstance(found, Run), found
    words = [word for one in found.arguments for word in (users if one == UNKNOWN else (one,))]
    return Started([found.name, *words], dict(sorted(found.variables.items())))


def agrees(read: Started, real: Started) -> bool:
    """Whether all that the reader is sure of is so.

    What nobody knows is taken for set, as in ``${PATH:+:$PATH}``: else no separator is there.
    """
    names = {**read.variables, **real.variables}
    pairs = [(read.variables.get(name, ""), real.variables.get(name, "")) for name in names]
    if UNKNOWN not in "".join((*read.words, *read.variables.values())):
        # Else there may be any number of words.
        pairs += zip(read.words, real.words, strict=True)
    return all(
        re.fullmatch(".*".join(map(re.escape, re.split(f":?{UNKNOWN}:?", known))), text, re.DOTALL)
        for known, text in pairs
    )


EXACT = r"""
A=1 || exit 1
export B=2
---
A=1 &&

B=2 || exit; export A
---
export "A=b c" 'C=$A'
---
A=1; export A=2 B=$A C+=x
---
A=1 B=$A; export A B
---
: "${A:=x}" ${B=$A}; export A B
---
A=; : ${A:=x} ${A:=y}; B=${C:=z}; export A B C
---
A=; : ${A=x}; export A
---
export A="${B:-'x'}" C=${B:-'x y'} D="${B-"x"}"
---
export A="a${B:-i't's}b" C="${B-a/b}" D="${B-\$B\"\x}"
---
A=foo; export B=${A/#f/g} C=${A/#o/g} D=${A/%o/g} E=${A/%f/g} F=${A/o/g} G=${A//o/g} H=${A//o}
---
A=foo; export B=${A/#/g} C=${A/%/g} D=${A//x/y} E=${A/f} F=${A/'#'f/g} G=${A//f/$A$A}
---
A=; export B=${A/#/x} C=${N/#/x} D=${A/%/x} E=${N/%/x} F=${A//x} G=${N#x}
---
A=a/b; export B=${A/\//x} C="${A//\//_}" D=${A/a\/b/x}
---
A=abab; export B=${A#a} C=${A##ab} D=${A%b} E=${A%%ab} F=${A#b} G=${A%a} H=${A%abab}
---
A='x y z'; export B=${A#x } C=${A% z} D="${A#'x'}" E=${A#"x y"}
---
A='a*b'; export B=${A#'a*'} C=${A/'*'/x} D=${A#a\*}
---
A=a; B=; export C=${A+x} D=${A:+x} E=${B+x} F=${B:+x} G=${N+x} H=${N:+x}
---
A=a; B=; export C=${A-x} D=${A:-x} E=${B-x} F=${B:-x} G=${N-x} H=${N:-x}
---
A=a; export B="${A:+'x y'}" C="${A+'z'}" D="${N='x'}" E="${A:+"~"}" F=${A/a/${N:-"x y"}}
---
A=1; export A; if [ x ]; then A 2> /dev/null; fi; { A 2> /dev/null; }
---
''A=b 2> /dev/null; "A=b" 2> /dev/null; A"=b" 2> /dev/null; export A
---
[ x ] || { echo; exit 1; }; false && { :; exit; }; export A=1
---
[ x ] && : || if [ x ]; then exit; fi; export A=1
---
export '' A=1 2> /dev/null; set -- a 'b c'; exec SHOW ${1+"$@"} "${@}" ${3+"$1"}
---
cat > /dev/null <<-END
 END
exec false
	END
export A=1
---
A=XaXY; export B=${A/a/XY} C=${A//X/a}
---
A=aXb; export B=${A/X/Y} C=${A//X}; exec SHOW "${A/X/ }" ${A/X/ } "${N-a b}" ${A#a}
---
A=a; export B=${A?} C=${A:?x} D=${A=x} E=${A:=x}
---
A=b\
c; export A; ex\
port B=${N:-\
x} C="a\
b"
---
export A=$Né B="$Né"
---
if [ -n $N ]; then export A=1; else export A=2; fi
---
if [ -n "$N" ]; then export A=1; else export A=2; fi
---
if test -z "$N"; then export A=1; else export A=2; fi
---
if test -n "$N"; then export A=1; elif test x = y; then export A=2; elif test x; then export A=3; fi
---
if [[ -z $N ]]; then export A=1; else export A=2; fi
---
if [[ -n $N ]]; then export A=1; elif [[ -z $N ]]; then export A=2; else export A=3; fi
---
if [ "" ]; then export A=1; else export A=2; fi
---
if [ x ]; then export A=1; elif [ x ]; then export A=2; else export A=3; fi
---
A='x y'; if [[ $A = 'x y' ]]; then export B=1; fi; if [ "$A" = x ]; then export C=1; fi
---
A=x; if [ $A != y ]; then export B=1; fi; if [ $A == x ]; then export C=1; fi
---
A=abc; if [[ $A == *"b"* ]]; then export B=1; fi; if [[ $A != *'b'* ]]; then export C=1; fi
---
A='a*c'; if [[ $A == *'*'* ]]; then export B=1; fi; if [[ $A == 'a*c' ]]; then export C=1; fi
---
A=abc; if [[ $A == *"$N"* ]]; then export B=1; fi; if [[ $A != *$A* ]]; then export C=1; fi
---
if [ x ]; then if [ "" ]; then export A=1; else export B=2; fi; else export C=1; fi
---
if [ "" ]; then if [ x ]; then export A=1; fi; else { export C=1; }; fi
---
A=1; export A B=2; export -n A; declare -x C=3; declare D=4; typeset -x E=5; readonly F=6
---
export -- A=1; declare -rx B=2; export C; C=3
---
export A=1 B=2; unset A N; unset -v B
---
FLAGS=(a b); { export B=1; }
---
declare -a FLAGS=(exec false); export B=1
---
f() { export A=1; exec false; }; { export B=2; }
---
function f { export A=1; exec false; }; function g() { export A=2; }
function h
{
  exec false; }
function i() { exec false
}; export B=2
---
function f() (
  exec false
)
function g { A=1; }; { export A=3; }
---
f() ( export A=1 ); ( : ); { export B=2; }
---
f ()
{
  if true; then exec false; fi
}
export B=1
---
: < <(echo a) > >(cat); { export A=1; }
---
A=x; A+=y; export A B+=z
---
X=' a  b '; export A=$X B="$X" C=x$X
---
set -- a 'b c' "$@"; exec SHOW "$1" "$2" $2 "$@"
---
set -- a b c; shift; shift 1; exec SHOW "$1" "$@" "${2-none}" ${2-no ne} ${3:-"no ne"}
---
set -- a b; shift 3; exec SHOW "$@"
---
set -- a b; shift 2; shift 0; shift x 2> /dev/null; exec SHOW "$@"
---
set -- 1 2 3 4 5 6 7 8 9 ten; exec SHOW ${10} $10 "${1}" "${10}x"
---
set -e; set -euo pipefail; exec SHOW ${1+"$@"} "${@}" x
---
X=' a  b '; exec SHOW $X "$X" x$X"$N"y $N "$N" '' ""$N $X$X
---
exec SHOW ${N:-a b} "${N:-a b}" ${N:-"a  b"} ${N:-'a  b' c} x${N:-' '}
---
exec SHOW a\ b $'a\tb' "a"'b'c \$x "\$x" "\x" '\x' \# a#b # comment
---
exec -a name SHOW "$0" "$@"
---
exec -a "$0" -- SHOW -a --
---
exec -- SHOW
---
A=1 B=$A exec SHOW
---
A=1 B=2 SHOW x "$@"; exit
exec false
---
SHOW x
exit 3
'
---
A=1
SHOW "$A"; echo $?; true; : x; return; exit
---
exec 2>&1 < /dev/null; exec 1>&1; exec SHOW 2>&1 x >| /dev/stdout y
---
exec SHOW '2'>/dev/stdout 2 3>/dev/null x4>/dev/stdout
---
cat > /dev/null <<END
exec false
 END
END
export A=1
---
cat > /dev/null <<-'END' <<OTHER
	exec false $(
	END
exec false
OTHER
export A=1
---
cat > /dev/null <<< "$A"; export A=1
---
cat > /dev/null << 'E'ND
exec false
END
export A=1
---
cd / && echo x >&2; umask 022; trap 'echo y' EXIT; export A=1
---
for x in a b; do exit=1; done; case $1 in a) A=1 ;; (b) echo ;& *) : ;; esac
export A=1
---
while false; do :; done; until true; do :; done; select x in; do break; done; export A=1
---
! false; time true; export A=1
---
A=$'x\ty'"z"\''w'; export A
---
A=a B=b : ; export A B
---
export A=${N:-${M:-${L:-x}}} B="${N:-"${M:-"y z"}"}"
---
A=1 B=2
export A;export B # c
# d
---
echo a | cat > /dev/null; export A=1
---
export A='x'; A=y; export A
---
{ A=1; }; ( A=2 ); export A=3
---
A=1; B=$N; export A B; unset "$N"
""".strip("\n").split("\n---\n")


@pytest.mark.parametrize("lines", EXACT)
def test_what_a_script_starts_is_what_bash_starts(lines: str, show: str, tmp_path: Path) -> None:
    """Its name, its arguments and its variables, to the letter."""
    text = f'{lines}\nexec SHOW "$@"\n'.replace("SHOW", show)
    assert read_script(text, tmp_path) == run_script(text, tmp_path)


UNSURE = r"""
export A=~/x:~ B=a:~ C='~' D=a~ E=${N:-~}
=> A=?/x:? B=a:? C=~ D=a~ E=?
---
A='a*'; B='*'
export A C=${A#$B} D=${A/$B/x} E=${A#*} F=${A%[a*]} G=${A//?/x}
=> A=a* C=? D=? E=? F=? G=?
---
A='a\b'; B='\'; export C=${A#a$B}
=> C=?
---
export A=x B=${A/x/&y} C=${A/x/'&'y}
=> A=x B= C=
---
A=x; export B=${A/x/&y} C=${A/x/'&'y}
=> B=? C=&y
---
export A=`echo x` B="`echo y`z" C=$(echo \) ')' ")" $(echo x) ${N:-)})x
=> A=? B=?z C=?x
---
A=abc
export A B=${#A} C=${A:1:1} D=${A^^} E=${!A} F=${A[0]}x G=${A@Q}
=> A=abc B=? C=? D=? E=? F=?x G=?
---
export A=$# B=$? C=$$ D="$*" E=$- F=${#}
=> A=? B=? C=? D=? E=? F=?
---
export A=${1:+x} B=${1:-x} C=$2 D=${9+x}
=> A=? B=? C=? D=?
---
export A=$PWD B=$UID:$BASH_VERSION C=${RANDOM:+x} D=${PPID-x}
=> A=? B=?:? C=x D=?
---
if [ -n "$BASH_VERSION" ]; then export A=1; fi
=> A=?
---
export A=1&&export B=b
export C=c || export D=d
export E=e | export F=f
=> A=1 B=? C=c D=? E=? F=?
---
A=1; A=1 && A=1; export A
=> A=1
---
export A=$( (echo x) ; (echo y; echo ")") ) B=``C D=$(echo ``) E=$()x
=> A=? B=?C D=? E=?x
---
export A=${#} B=${@:1:1} C="${*%x}" D=${$} E=${!}
=> A=? B=? C=? D=? E=?
---
export PYTHONPATH=/a; . /dev/null; eval :
=> PATH=?:?: PYTHONPATH=?:?:/a
---
[ -e / ] && { :; export A=1; }; { :; export B=1; }
true && if [ x ]; then export C=1; fi
=> A=? B=1 C=?
---
set -- a b; shift $(echo 1); export A=$1
=> A=?
---
set -- "${@#o}"; export A=$1
=> A=?
---
export A=1 & wait; export B=1
=> A=? B=1
---
export A=1 B=2; if [ -e / ]; then unset A N; fi; [ -e / ] && unset B
=> A=? B=?
---
if [ -e / ]; then export A=1
elif [ x ]; then export B=1
else export C=1; fi
export D=1
=> A=? B=? C=? D=1
---
if [ '' ]; then export A=1
elif [ -e / ]; then export B=1
elif [ x ]; then export C=1
else export D=1; fi
=> B=? C=? D=?
---
if [ x ] && [ '' ]; then export A=1; else export B=1; fi
=> A=? B=?
---
if [ x ] || false; then export A=1; else export B=1; fi
=> A=? B=?
---
if [[ x == @(a|b) ]]; then export A=1; else export B=1; fi; export C=1
=> A=? B=? C=1
---
if [[ b < a ]]; then export A=1; else export B=1; fi
=> A=? B=?
---
if [[ ! $N ]]; then export A=1; fi; if [[ $N ]]; then export B=1; fi
=> A=? B=?
---
A=abc B=*; if [[ $A == a* ]]; then export C=1; fi
if [[ $A == $B ]]; then export D=1; fi
=> C=? D=?
---
B='*'; if [ $B = x ]; then export A=1; fi
if [ x = [x] ]; then export C=1; fi
=> A=? C=?
---
if ! [ '' ]; then export A=1; fi
if true; then export B=1; fi
if [ x -a x ]; then export C=1; fi
=> A=? B=? C=?
---
if [ $(echo x) ]; then export A=1; fi
if [[ x$(echo) = x ]]; then export B=1; fi
=> A=? B=?
---
A=; for A in a b; do export B=$A; done
export A; select C in; do :; done < /dev/null
export C
=> A=? B=? C=?
---
if [ '' ]; then for A in a; do :; done; A=(x); read A; fi; export A=1
=> A=1
---
read -r A B <<< 'a b'; mapfile C < /dev/null; export A B C D=d
=> A=? B=? C=? D=d
---
A=(x y) B=1; declare -a C=(1 2); D+=(x); export B E=$A:$C F=${D[0]}
=> B=1 E=?:? F=?
---
case $# in 3) export A=1 ;; *) export B=1 ;; esac
while [ -e / ]; do export C=1; break; done; until [ -e / ]; do export D=1; done
=> A=? B=? C=? D=?
---
( export A=1; exit 1 ); exit() { :; }; export B=1
=> A=? B=1
---
: ${A:=x} && : ${B:=x}
export A B; [ -e / ] && A=x; B=${C=x} || : ${D=x}
export C D
=> A=x B=x C=x D=?
---
a && exit; [ -e / ] || exit 1; false && exit; export A=1
=> A=1
""".strip("\n").split("\n---\n")


@pytest.mark.parametrize("lines", UNSURE)
def test_what_only_a_run_could_tell_is_unknown(lines: str, show: str, tmp_path: Path) -> None:
    """And what is known beside it is so."""
    lines, _, read = lines.partition("\n=> ")
    text = f'{lines}\nexec SHOW "$@"\n'.replace("SHOW", show)
    found = read_script(text, tmp_path)
    shown = [f"{name}={value}" for name, value in found.variables.items()]
    assert " ".join(shown).replace(UNKNOWN, "?") == read
    assert agrees(found, run_script(text, tmp_path))


# Any script ---------------------------------------------------------------------------------------

values = st.text("ab:/ '\"$\\x{}#%", max_size=6)
quoted = values.map(lambda text: "'" + text.replace("'", "'\\''") + "'")
names_ = st.sampled_from(["A", "B", "C"])
doubled = st.one_of(
    st.sampled_from(["a", ":", "/b", "\\$", '\\"', "\\\\"]),
    names_.map("${}".format),
    names_.map("${{{}}}".format),
).map('"{}"'.format)
words = st.lists(st.one_of(quoted, doubled, st.sampled_from([":", "/x", "ab"])), max_size=3).map(
    "".join
)
lines_ = st.one_of(
    st.builds("{}={}".format, names_, words),
    st.builds("export {}={}".format, names_, quoted),
    st.builds("{0}=${{{0}:+':'${0}':'}}".format, names_),
    st.builds("{0}=${{{0}/':'{1}':'/':'}}".format, names_, quoted.filter(lambda q: q != "''")),
    st.builds("{0}={1}${0}".format, names_, quoted),
    st.builds("{0}=${{{0}#':'}}".format, names_),
    st.builds("{0}=${{{0}%':'}}".format, names_),
    st.builds("{0}=${{{0}-{1}}}".format, names_, quoted),
    st.builds("{0}=${{{0}:-{1}}}".format, names_, quoted),
    st.builds('{0}="${{{1}//a/bb}}"'.format, names_, names_),
    st.builds("unset {}".format, names_),
    st.builds("{}+={}".format, names_, quoted),
    st.builds("if [[ ${0} != *{1}* ]]; then\n    {0}=${0}{1}\nfi".format, names_, quoted),
    st.builds('if [ -z "${0}" ]; then {0}={1}; else {0}=b; fi'.format, names_, quoted),
)


odd_lines = st.one_of(
    lines_,
    st.builds("[ -e / ] && {}={}".format, names_, words),
    st.builds("if [ -e /none ]; then {}={}; else unset {}; fi".format, names_, quoted, names_),
    st.builds("{0}=${{{0}#${1}}}".format, names_, names_),
    st.builds('{0}="${{{0}%"${1}"}}"'.format, names_, names_),
    st.builds("{0}=${{{0}/#${1}/{2}}}".format, names_, names_, quoted),
    st.builds("{0}=${{{0}/%{2}/${1}}}".format, names_, names_, quoted),
    st.builds(': "${{{}:={}}}"'.format, names_, doubled | st.sampled_from(["'a b'c", "x", ""])),
    st.builds("export {}=a {}=${}".format, names_, names_, names_),
    st.builds('export "{0}=${1}" {1}=~:${0}'.format, names_, names_),
    st.builds("set -- ${} {}".format, names_, words),
    st.builds("shift {}".format, st.integers(0, 3)),
    st.builds("if [[ ${} == ${} ]]; then shift; else set -- x; fi".format, names_, names_),
    st.builds("if [ -n ${} ]; then {}=x; fi".format, names_, names_),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(lines_, max_size=8))
def test_variables_are_what_bash_makes_of_them(show: str, lines: list[str]) -> None:
    """To the letter, for every line that makeWrapper would write and most that people write."""
    text = "\n".join((*lines, "export A B C", f'exec {show} $A "$B" ${{C}}$A "$@"'))
    read = read_script(text, Path(show).parent)
    assert read == run_script(text, Path(show).parent)


@settings(max_examples=60, deadline=None)
@given(st.lists(odd_lines, max_size=8))
def test_nothing_is_said_that_bash_does_otherwise(show: str, lines: list[str]) -> None:
    """Whatever a person would write: what is not known to be so is unknown."""
    text = "\n".join(("set -- 1 2 3", *lines, "export A B C", f'exec {show} $A "$B" "$@"'))
    read = read_script(text, Path(show).parent, (UNKNOWN,))
    real = run_script(text, Path(show).parent)
    assert agrees(read, real)


@pytest.mark.parametrize(
    "word", ["${ echo x; }", "${}", "${A?unset}", "${A:?}", "${A=x}${!A}", '"${A?it\'s}"']
)
def test_where_a_shell_may_end_nothing_is_known(word: str) -> None:
    """Or where another one would say something else."""
    found = follow_shell(f"export B={word}\nexec /x", Run("/s", (), "/s"))
    assert isinstance(found, Run)
    assert found.variables["B"] in (UNKNOWN, f"x{UNKNOWN}")


@pytest.mark.parametrize(
    ("lines", "literals"),
    [
        (
            "export A=x B=\"x\"'y' C=$'z' D= 'E=e' F",
            {"A": "x", "B": "xy", "C": "z", "D": "", "E": "e"},
        ),
        ("export A=x$N B=$A C=${B-x} D=$(x) E=~/x F=x; export G=${F}", {"F": "x"}),
        (
            "export A=${A-x} B=\"${B:-'x'y}\" C=${C=x} D=${D:=x}",
            {"A": "x", "B": "'x'y", "C": "x", "D": "x"},
        ),
        ("export A=${A+x} B=${B-$N} C=${C?x} D=${D-x}y", {}),
        (': "${A:=x}" "${B=$A}"; export A B', {"A": "x"}),
        ("export A=x B=x C=x D=x; A+=y; B=$N; unset C; export C; export -n D", {}),
        ("[ -e / ] && export A=x; if [ -e / ]; then export B=x; fi", {}),
        ("if [ x ]; then export A=x; fi; export B; A=1 B=2 export C=3", {"A": "x", "C": "3"}),
        ("A=x B=$A exec /x", {"A": "x"}),
    ],
)
def test_a_literal_is_a_value_as_it_stands_there(lines: str, literals: dict[str, str]) -> None:
    """Or one that gives way to the user's own."""
    found = follow_shell(f"{lines}\nexec /x", Run("/s", (), "/s"))
    assert isinstance(found, Run)
    assert found.literals == literals
    assert literals.items() <= found.variables.items()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("if [ -e /x ]; then exec /a; fi; exec /b", "decides by itself"),
        ("[ -e /x ] || exec /a", "decides by itself"),
        ("exec /a | cat", "decides by itself"),
        ("exec /a & exec /b", "decides by itself"),
        ("(exec /a)", "decides by itself"),
        ("while x; do exec /a; done", "decides by itself"),
        ("[ -e /x ] && /a; /b & /c | d; if x; then /e; fi; exec 2>&1", "starts no program"),
        ("echo; cd /; [ x ]; exit", "starts no program"),
        ("exec -a name", "starts no program"),
        ("exec -a", "starts no program"),
        ("export A; A=1; unset B; read C; set --; shift; . /x; eval x", "starts no program"),
        ("echo\n" * 50_000 + "exec /x", "too long"),
        ("'", "cannot be read"),
        ("echo $(x", "cannot be read"),
        ("echo `x", "cannot be read"),
        ('echo "x', "cannot be read"),
        ("echo ${x", "cannot be read"),
        ("echo ${x/", "cannot be read"),
        ("echo ${x-'", "cannot be read"),
        ("echo " + "${x-" * 30 + "}" * 30, "cannot be read"),
        ("echo " + "$(" * 30 + ")" * 30, "cannot be read"),
    ],
)
def test_a_script_of_which_nobody_knows_what_it_starts_is_told(lines: str, said: str) -> None:
    """With the reason."""
    found = follow_shell(lines, Run("/s", (), "/s"))
    assert isinstance(found, Stop)
    assert said in found.detail


@pytest.mark.parametrize("lines", ["echo\n" * 49_999, "echo " + "${x-" * 20 + "}" * 20 + "\n"])
def test_a_script_may_be_as_long_and_as_deep_as_nobody_writes_it(lines: str) -> None:
    """To its last command."""
    assert isinstance(follow_shell(f"{lines}exec /x", Run("/s", (), "/s")), Run)
