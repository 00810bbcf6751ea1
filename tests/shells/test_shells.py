"""The render station, proved by evaluating its text in the real shells."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nixenv import (
    Append,
    Default,
    Environment,
    MakeDirectory,
    NixenvError,
    Prepend,
    Set,
    Unset,
    render,
    shells,
)
from nixenv.road.plan import Operation, Remove, resolve
from nixenv.shells.data import NotExpressible
from tests.real_shells import EVAL, LANGUAGE, SEARCH_PATH, SHELLS, SOURCE, evaluate

BOTH_WAYS = [(shell, way) for shell in SHELLS for way in ("source", "eval")]
TRAPS = (
    "",
    "plain",
    'it\'s "quoted" `date` $(touch ran) $HOME ${HOME} !! !date',
    "-n",
    "--help",
    "=ls",
    "~root",
    "*",
    "[a-z]?",
    "{a,b}",
    "a;touch ran",
    "a&touch ran&",
    "a|touch ran",
    "a\ntouch ran\n",
    "\n",
    "two  blanks\tand a tab ",
    "\\",
    "\\'",
    "\\\\n",
    "a\\",
    "\\!",
    "'",
    "''",
    "'\"'\"'",
    "#comment",
    "a #comment",
    "%d%s%%",
    "caf\u00e9 \u2028 \U0001f40d",
    "\udcff\udc80 bytes",
    "\x01\x1b[31m\x7f\r",
    "^a^b",
    "a\x0bb\x0c",
)
values = st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
slow = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def after(
    shell: str, way: str, environment: Environment, environ: dict[str, str], directory: Path
) -> dict[str, str]:
    """Evaluate the environment's text in a real shell and give the environment after it."""
    text = render(environment, LANGUAGE[shell], {"PATH": SEARCH_PATH, **environ})
    return evaluate((SOURCE if way == "source" else EVAL)[shell], text, environ, directory)


def test_there_is_a_shell_for_every_language() -> None:
    """What is written for a shell is evaluated in it here; of the data, each format is read."""
    assert {*LANGUAGE.values(), "json", "dotenv"} == {*shells.SHELLS}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(("shell", "way"), BOTH_WAYS)
@slow
@given(held=st.lists(values, min_size=10, max_size=30))
@example(held=list(TRAPS))
def test_any_value_arrives_unchanged_and_runs_nothing(
    shell: str, way: str, locale: str, held: list[str], tmp_path: Path
) -> None:
    """Whatever bytes a value holds, the program sees those bytes and nothing was executed."""
    environment = Environment(
        (
            *(Set(f"SET_{number}", value) for number, value in enumerate(held)),
            *(Default(f"DEFAULT_{number}", value) for number, value in enumerate(held)),
        )
    )
    found = after(shell, way, environment, {"LANG": locale}, tmp_path)
    assert found == {"PATH": SEARCH_PATH, **resolve(environment, {})}
    assert sorted(os.listdir(tmp_path)) == ["home", "text"]


entries = st.text(
    st.characters(exclude_characters="\0:", exclude_categories=["Cs"]), min_size=1, max_size=12
)
path_lists = st.lists(st.one_of(entries, st.just("")), max_size=6).map(":".join)


@pytest.mark.parametrize("shell", SHELLS)
@slow
@given(
    ours=st.lists(entries, min_size=1, max_size=4),
    before=st.none() | path_lists,
    repeated=st.booleans(),
)
@example(ours=["/a", "/b"], before=":/b::/c:/a:/c:", repeated=True)
@example(ours=["/a"], before="", repeated=False)
@example(ours=["/a*"], before="/ab:/a*", repeated=False)
def test_prepend_puts_each_entry_once_and_drops_empty_ones(
    shell: str, ours: list[str], before: str | None, repeated: bool, tmp_path: Path
) -> None:
    """A path list begins with our entries, repeats none and holds no empty one, however it was."""
    environ = {} if before is None else {"CPATH": before}
    if repeated and before:
        environ["CPATH"] = f"{before}:{ours[0]}:{before}"
    environment = Environment((Prepend("CPATH", tuple(ours)),))
    found = after(shell, "source", environment, environ, tmp_path)["CPATH"].split(":")
    assert found[: len(dict.fromkeys(ours))] == list(dict.fromkeys(ours))
    assert len(found) == len(set(found))
    assert "" not in found
    assert set(found) == {*ours, *environ.get("CPATH", "").split(":")} - {""}


@pytest.mark.parametrize("shell", SHELLS)
@slow
@given(ours=st.lists(entries, min_size=1, max_size=4), before=st.none() | path_lists, held=values)
def test_evaluating_twice_is_evaluating_once(
    shell: str, ours: list[str], before: str | None, held: str, tmp_path: Path
) -> None:
    """The environment after the second evaluation is the one after the first."""
    environ = {"GONE": "1"}
    if before is not None:
        environ = {"LIBRARY_PATH": before, "XDG_DATA_DIRS": before}
    environment = Environment(
        (
            Unset("GONE"),
            Set("HELD", held),
            Default("MAYBE", held),
            Prepend("LIBRARY_PATH", tuple(ours)),
            Append("XDG_DATA_DIRS", tuple(ours)),
        )
    )
    once = after(shell, "source", environment, environ, tmp_path)
    text = render(environment, LANGUAGE[shell], {"PATH": SEARCH_PATH, **environ})
    twice = evaluate(SOURCE[shell], text + text, environ, tmp_path)
    assert twice == once


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("mine", ["8080", ""])
def test_a_default_gives_way_to_what_the_user_set(shell: str, mine: str, tmp_path: Path) -> None:
    """A variable that is set, even to nothing, keeps its value."""
    environment = Environment((Default("SGLANG_PORT", "30000"),))
    assert (
        after(shell, "source", environment, {"SGLANG_PORT": mine}, tmp_path)["SGLANG_PORT"] == mine
    )
    assert after(shell, "source", environment, {}, tmp_path)["SGLANG_PORT"] == "30000"


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish"])
def test_a_variable_that_was_set_and_not_exported_is_exported(shell: str, tmp_path: Path) -> None:
    """`SGLANG_PORT=8080` alone on a line means that value, and the server must get it."""
    assign = "set -g SGLANG_PORT 8080" if shell == "fish" else "SGLANG_PORT=8080"
    environment = Environment((Default("SGLANG_PORT", "30000"),))
    text = f"{assign}\n{render(environment, LANGUAGE[shell], {})}"
    assert evaluate(SOURCE[shell], text, {}, tmp_path)["SGLANG_PORT"] == "8080"


@slow
@given(
    planned=st.lists(
        st.one_of(
            st.builds(Unset, st.just("NAME")),
            st.builds(Set, st.just("NAME"), entries),
            st.builds(Default, st.just("NAME"), entries),
            st.builds(Prepend, st.just("NAME"), st.lists(entries, min_size=1).map(tuple)),
            st.builds(Append, st.just("NAME"), st.lists(entries, min_size=1).map(tuple)),
            st.builds(Remove, st.just("NAME"), st.lists(entries, min_size=1).map(tuple)),
        ),
        max_size=4,
    ),
    before=st.none() | path_lists,
)
@example(planned=[Remove("NAME", ("/a", "/c*"))], before="/a:/b::/c:/b:/a")
@example(planned=[Remove("NAME", ("/a",))], before="/a")
@example(planned=[Append("NAME", ("/a", "/*"))], before="/b::/a:/b")
@example(planned=[Remove("NAME", ("/a",)), Prepend("NAME", ("/b", "/a"))], before="/a:/c")
@pytest.mark.parametrize("shell", SHELLS)
def test_shells_agree_on_operations_that_follow_one_another(
    shell: str,
    planned: list[Unset | Set | Default | Prepend | Append | Remove],
    before: str | None,
    tmp_path: Path,
) -> None:
    """What `resolve` says is what each shell makes of the same operations."""
    environment = Environment(tuple(planned))
    environ = {} if before is None or not planned else {"NAME": before}
    final = resolve(environment, environ)
    found = after(shell, "source", environment, environ, tmp_path)
    assert found.get("NAME") == final.get("NAME")


def test_the_default_text_is_that_of_zsh_and_sh() -> None:
    """Who evaluates it in "any shell" of the three gets what is right there."""
    environment = Environment((Unset("GONE"), Prepend("CPATH", ("/a",)), Default("CC", "gcc")))
    assert len({render(environment, language, {}) for language in ("bash", "zsh", "sh")}) == 1


def test_zsh_keeps_the_users_ties(tmp_path: Path) -> None:
    """An array tied to a list stays tied: in zsh the variable is not unset."""
    text = render(Environment((Prepend("CPATH", ("/a",)), Set("HELD", "/c:/d"))), "bash", {})
    tied = f"typeset -xT CPATH cpath\ntypeset -xT HELD held\n{text}\ncpath+=(/z)\nheld+=(/y)\n"
    found = evaluate(SOURCE["zsh"], tied, {"CPATH": "/b"}, tmp_path)
    assert (found["CPATH"], found["HELD"]) == ("/a:/b:/z", "/c:/d:/y")


@pytest.mark.parametrize(
    "option", ["warn_create_global", "no_unset", "sh_word_split", "ksh_arrays"]
)
def test_zsh_has_nothing_to_say_whatever_its_options(option: str, tmp_path: Path) -> None:
    """Evaluated in a function, as people do it: no scratch variable shows, twice is once."""
    environment = Environment(
        (
            Unset("GONE"),
            Set("HELD", "v w"),
            Default("CC", "gcc"),
            Prepend("CPATH", ("/a", "/b")),
            Prepend("PATH", ("/ours/bin",)),
            Append("MANPATH", ("/a", "/b")),
            Remove("LIBRARY_PATH", ("/x",)),
        )
    )
    text = render(environment, "bash", {})
    quoted = "'" + text.replace("'", "'\\''") + "'"
    script = f"setopt {option}\nact() {{ eval {quoted} }}\nact\nact\n"
    before = {"CPATH": "/z::/b", "LIBRARY_PATH": "/x:/y", "PATH": SEARCH_PATH}
    found = evaluate(SOURCE["zsh"], script, before, tmp_path)
    assert found == {
        "PATH": f"/ours/bin:{SEARCH_PATH}",
        "HELD": "v w",
        "CC": "gcc",
        "CPATH": "/a:/b:/z",
        "MANPATH": "/a:/b",
        "LIBRARY_PATH": "/y",
    }


def test_bash_unsets_before_it_sets(tmp_path: Path) -> None:
    """Flox 1.15 replays how a variable grew: ours must not look grown."""
    text = render(Environment((Prepend("CPATH", ("/a",)), Set("HELD", "v"))), "bash", {})
    traced = f"exec 2>trace; set -x\n{text}\nset +x; exec 2>&1\n"
    evaluate(SOURCE["bash"], traced, {"CPATH": "/b"}, tmp_path)
    lines = (tmp_path / "trace").read_text().splitlines()
    for name in ("CPATH", "HELD"):
        assignment = next(n for n, line in enumerate(lines) if f" {name}=" in line)
        assert lines[assignment - 1].endswith(f"unset {name}")


def test_fish_hides_a_universal_variable_that_must_be_unset(tmp_path: Path) -> None:
    """A universal PYTHONHOME would show through once the global one is gone."""
    text = render(Environment((Unset("PYTHONHOME"),)), "fish", {})
    found = evaluate(SOURCE["fish"], f"set -Ux PYTHONHOME /bad\n{text}", {}, tmp_path)
    assert "PYTHONHOME" not in found


def test_dotenv_refuses_a_line_that_docker_would_not_read() -> None:
    """Its scanner gives up at 64 KiB."""
    fits = "v" * (65_535 - len("HELD="))
    assert render(Environment((Set("HELD", fits),)), "dotenv", {}) == f"HELD={fits}\n"
    with pytest.raises(NotExpressible, match="HELD cannot be written as dotenv: .*64 KiB"):
        render(Environment((Set("HELD", f"{fits}v"),)), "dotenv", {})


@pytest.mark.parametrize("shell", SHELLS)
def test_unset_removes_the_variable(shell: str, tmp_path: Path) -> None:
    """PYTHONHOME of another Python is gone, whether it was there or not."""
    environment = Environment((Unset("PYTHONHOME"),))
    assert "PYTHONHOME" not in after(shell, "source", environment, {"PYTHONHOME": "/x"}, tmp_path)
    assert "PYTHONHOME" not in after(shell, "source", environment, {}, tmp_path)


@pytest.mark.parametrize(("shell", "way"), BOTH_WAYS)
def test_directories_are_made_whatever_their_name(shell: str, way: str, tmp_path: Path) -> None:
    """The cache directories exist after the first evaluation, and running it again is no error."""
    made = tmp_path / "it's $(a)" / "-b c"
    environment = Environment((MakeDirectory(str(made)),))
    after(shell, way, environment, {}, tmp_path)
    assert made.is_dir()
    assert made.stat().st_mode & 0o777 == 0o700  # whatever the mask
    after(shell, way, environment, {}, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["home", "it's $(a)", "text"]


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_a_directory_that_cannot_be_made_stops_nothing(shell: str, tmp_path: Path) -> None:
    """mkdir complains; under `set -e` the rest is set all the same."""
    (tmp_path / "file").touch()
    made = MakeDirectory(str(tmp_path / "made"))
    operations = (MakeDirectory(str(tmp_path / "file" / "below")), made, Set("HELD", "v"))
    text = f"set -e; exec 2>told\n{render(Environment(operations), 'sh', {})}exec 2>&1\n"
    assert evaluate(SOURCE[shell], text, {}, tmp_path)["HELD"] == "v"
    assert str(tmp_path / "file") in (tmp_path / "told").read_text()
    assert sorted(os.listdir(tmp_path)) == ["file", "home", "made", "text", "told"]


@pytest.mark.parametrize("shell", SHELLS)
def test_many_directories_that_cannot_be_made_are_one_complaint(shell: str, tmp_path: Path) -> None:
    """All lie below one cache directory; those that can be made are made."""
    (tmp_path / "file").touch()
    paths = [*(tmp_path / f"file/{number}" for number in range(8)), tmp_path / "it's made"]
    operations: list[Operation] = [MakeDirectory(str(path)) for path in paths]
    operations.append(Set("HELD", "v"))
    file = tmp_path / "text"
    file.write_text(render(Environment(operations), LANGUAGE[shell], {}))
    done = subprocess.run(
        SOURCE[shell],
        env={"PATH": SEARCH_PATH, "TEXT_FILE": str(file), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "HELD=v" in done.stdout.split("\0")
    assert (done.stderr.count("\n"), done.stderr.count(f"{tmp_path}/file")) == (1, 1)
    assert (tmp_path / "it's made").is_dir()


def test_fish_sets_for_all_when_it_is_evaluated_in_a_function(tmp_path: Path) -> None:
    """As people wrap it: what is set is still there behind the function."""
    environment = Environment(
        (
            Unset("GONE"),
            Set("HELD", "v"),
            Default("CC", "gcc"),
            Default("MINE", "theirs"),
            Prepend("CPATH", ("/a",)),
            Append("MANPATH", ("/a",)),
            Remove("LIBRARY_PATH", ("/x",)),
        )
    )
    text = render(environment, "fish", {})
    script = f"function act\n{text}\nend\nact\nact\n"
    before = {"GONE": "1", "MINE": "m", "CPATH": "/b", "MANPATH": "/b", "LIBRARY_PATH": "/x:/y"}
    assert evaluate(SOURCE["fish"], script, before, tmp_path) == {
        "PATH": SEARCH_PATH,
        "HELD": "v",
        "CC": "gcc",
        "MINE": "m",
        "CPATH": "/a:/b",
        "MANPATH": "/b:/a",
        "LIBRARY_PATH": "/y",
    }


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_strict_shell_options_do_not_trip_the_text(shell: str, tmp_path: Path) -> None:
    """The text works under `set -eu`, with every variable it reads unset."""
    environment = Environment(
        (Unset("GONE"), Prepend("CPATH", ("/a",)), Append("MANPATH", ("/a",)), Default("CC", "gcc"))
    )
    text = "set -eu\n" + render(environment, "sh", {})
    assert evaluate(SOURCE[shell], text, {}, tmp_path)["CPATH"] == "/a"


@pytest.mark.parametrize(
    ("shell", "listing"),
    [
        ("bash", "true; set; declare -F"),  # `true` becomes $_
        ("dash", "set"),
        ("zsh", "set; typeset +f"),
        ("fish", "set -n; functions -an"),
        ("tcsh", "set; alias"),
    ],
)
def test_nothing_of_ours_stays_behind(shell: str, listing: str, tmp_path: Path) -> None:
    """Scratch variables and functions are removed by the text itself."""
    file = tmp_path / "text"
    file.write_text(
        render(Environment((Prepend("CPATH", ("/a",)),)), LANGUAGE[shell], {}) + listing
    )
    done = subprocess.run(
        SOURCE[shell],
        env={"PATH": SEARCH_PATH, "TEXT_FILE": str(file), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "HOME" in done.stdout.upper()
    assert "__nixenv" not in done.stdout


@slow
@given(held=values, before=path_lists)
def test_json_holds_final_values_that_any_bytes_survive(held: str, before: str) -> None:
    """`variables` is what a shell would have made of the operations; null means unset."""
    environment = Environment((Unset("GONE"), Set("HELD", held), Prepend("CPATH", ("/a", "/b"))))
    document = json.loads(render(environment, "json", {"CPATH": before, "GONE": "1"}))
    assert document["schema"] == 1
    assert document["variables"]["GONE"] is None
    assert os.fsencode(document["variables"]["HELD"]) == os.fsencode(held)
    assert document["variables"]["CPATH"].startswith("/a:/b")


def test_json_tells_what_was_planned() -> None:
    """Each operation by its name, with the fields that docs/schemas.md has."""
    planned = (
        Unset("A"),
        Set("B", "b"),
        Default("C", "c"),
        Prepend("D", ("/a", "/b")),
        Append("E", ("/a",)),
        Remove("F", ("/a",)),
        MakeDirectory("/made"),
    )
    text = render(Environment(planned), "json", {"F": "/a:/x"})
    assert text.startswith('{\n  "schema": 1,\n')
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "schema": 1,
        "variables": {"A": None, "B": "b", "C": "c", "D": "/a:/b", "E": "/a", "F": "/x"},
        "operations": [
            {"operation": "unset", "name": "A"},
            {"operation": "set", "name": "B", "value": "b"},
            {"operation": "default", "name": "C", "value": "c"},
            {"operation": "prepend", "name": "D", "entries": ["/a", "/b"]},
            {"operation": "append", "name": "E", "entries": ["/a"]},
            {"operation": "remove", "name": "F", "entries": ["/a"]},
            {"operation": "make-directory", "path": "/made"},
        ],
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=values)
@example(held='{"max_new_tokens": 512, "frequency_penalty": 0.5}')
@example(held="a\\nb 'c' \"d\" $HOME `e` \\")
@example(held="#a")
def test_dotenv_means_the_same_to_docker_and_to_python_dotenv(held: str, tmp_path: Path) -> None:
    """A value that is written is read back unchanged by both; any other is refused by name."""
    try:
        text = render(Environment((Set("HELD", held),)), "dotenv", {})
    except NotExpressible as error:
        assert error.name == "HELD"  # noqa: PT017 -- the other branch is the property
        return
    file = tmp_path / ".env"
    file.write_bytes(os.fsencode(text))
    assert dotenv_values(file)["HELD"] == held
    # Docker (cli/opts/file.go): the line, cut at the first "=", the rest literally.
    lines = text.encode().decode().split("\n")
    assert lines == [f"HELD={held}", ""]


def test_dotenv_holds_final_values_line_by_line() -> None:
    """What is unset has no line, and what the user set stays."""
    planned = (Unset("GONE"), Set("A", "a"), Default("B", "b"), Prepend("P", ("/a",)))
    text = render(Environment(planned), "dotenv", {"GONE": "1", "B": "mine", "P": "/b"})
    assert text == "A=a\nB=mine\nP=/a:/b\n"


@pytest.mark.parametrize("held", ["a\nb", "'a", " a", "a ", "a #b", "${a}", "\udcff", '"a"'])
def test_dotenv_refuses_what_the_two_would_read_differently(held: str) -> None:
    """The error names the variable and points at JSON."""
    with pytest.raises(NotExpressible, match="HELD cannot be written as dotenv: .*\n.*json"):
        render(Environment((Set("HELD", held),)), "dotenv", {})


@pytest.mark.parametrize("name", ["", "A-B", "1A", "A=B", "A;touch ran", "A\nB", "Ä"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    """Names are never quoted, so only identifiers come into an environment."""
    lists = (kind(name, ("/a",)) for kind in (Prepend, Append, Remove))
    for operation in (Unset(name), Set(name, "v"), Default(name, "v"), *lists):
        with pytest.raises(NixenvError, match=f"^{re.escape(repr(name))}: is no name"):
            Environment((operation,))


@pytest.mark.parametrize("operation", [Set("A", "a\0b"), Default("A", "\0")])
def test_a_value_with_a_nul_byte_is_refused(operation: Set | Default) -> None:
    """No variable can hold it."""
    with pytest.raises(NixenvError, match="A: a NUL byte"):
        Environment((operation,))


@pytest.mark.parametrize("kind", [Prepend, Append, Remove])
@pytest.mark.parametrize("entry", ["", "/a:/b", "a\0b"])
def test_an_entry_that_would_break_the_list_is_refused(
    kind: type[Prepend | Append | Remove], entry: str
) -> None:
    """An empty entry would mean the current directory, a colon two entries; none mean nothing."""
    with pytest.raises(NixenvError, match=r"^CPATH: '.*' cannot be an entry"):
        Environment((kind("CPATH", (entry,)),))
    with pytest.raises(NixenvError, match="^CPATH: no entries"):
        Environment((kind("CPATH", ()),))
