"""The one way to run a program: its limits, what is passed on, and that nothing of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.process import (
    Cut,
    Outcome,
    Patience,
    describe_command,
    describe_status,
    parse_limit,
    run,
)


def shell(script: str, cap: int = 1 << 20, patience: Patience = Patience()) -> Outcome:  # noqa: B008
    return run(("/bin/sh", "-c", script), {"PATH": "/usr/bin:/bin"}, cap, patience)


def running_in_group(group: int) -> list[str]:
    """The processes of a group that are more than zombies, which wait for their parent alone."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group, *_ = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(file.parent.name)
    return found


def is_gone(group: int) -> bool:
    """Whether a group that was killed is gone, which takes the kernel a moment."""
    for _ in range(1000):
        if not running_in_group(group):
            return True
        time.sleep(0.01)
    return False


def test_both_streams_and_the_status_are_read() -> None:
    """Each by itself, of any size and bytes."""
    assert shell("printf 'a\\377'; echo b >&2; exit 3") == Outcome("a\udcff", "b\n", 3)
    assert len(shell("head -c 1000000 /dev/zero").stdout) == 1_000_000


def test_nothing_is_on_stdin_and_only_the_given_environment_is_passed_on() -> None:
    """A program that reads gets nothing, and cannot wait for a terminal."""
    done = run(("/bin/sh", "-c", "cat; env"), {"PATH": "/usr/bin:/bin", "A": "b"}, 1000)
    assert "A=b\n" in done.stdout
    assert "HOME" not in done.stdout


def test_the_signals_of_a_program_are_as_usual() -> None:
    """Python ignores some, and they are held back while a program is started: not in a child."""
    status = shell("cat /proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["SigBlk"], 16) == 0
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not int(fields["SigIgn"], 16) >> (ignored - 1) & 1


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_a_caller_without_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """A pipe may then get the number of one of them."""
    code = (
        "from nixenv.process import run\n"
        f"done = run(('/bin/sh', '-c', 'cat; echo out; echo err >&2'), {{}}, 100)\n"
        f"open({str(tmp_path / 'done')!r}, 'w').write(repr(tuple(done)))"
    )
    redirections = " ".join(f"{number}>&-" for number in closed)
    argv = ["sh", "-c", f'exec "$0" -I -c "$1" {redirections}', sys.executable, code]
    subprocess.run(argv, check=True)
    assert (tmp_path / "done").read_text() == "('out\\n', 'err\\n', 0, None)"


def test_a_program_that_is_none(tmp_path: Path) -> None:
    """The system's own error, and no descriptor is left open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        run((str(tmp_path / "none"),), {}, 100)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_a_program_that_prints_without_end(stream: str) -> None:
    """It is ended soon after the cap, on either stream."""
    done = shell(f"exec yes {stream}", cap=1000)
    assert done.cut is Cut.TOO_MUCH
    assert 1000 < len(done.stdout + done.stderr) < 200_000


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600",
        "trap '' TERM HUP INT; sleep 600",
        "exec >&- 2>&-; sleep 600",
        "sleep 600 & sleep 600",
        "kill -STOP $$",
    ],
)
def test_a_program_that_does_not_end(script: str, tmp_path: Path) -> None:
    """It is ended at the limit with all that it started, whatever it does about signals."""
    group = f"echo $$ > {tmp_path}/pid; {script}"
    assert shell(group, patience=Patience(limit=0.3)).cut is Cut.OUT_OF_TIME
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_what_it_says_is_passed_on_while_it_works(tmp_path: Path) -> None:
    """In whole lines, once each, and the last one though it does not end."""
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        if len(heard) == 1:
            fifo.write_text("on\n")  # it is waiting for this, and says no more without

    done = shell(
        f"echo one >&2; printf tw >&2; read x <{fifo}; printf 'o\\nend' >&2",
        999,
        Patience(None, hear),
    )
    assert heard[0] == "one\n"
    assert "".join(heard) == done.stderr == "one\ntwo\nend"


def test_the_words_of_a_failure_at_once_are_left_to_who_reports_it() -> None:
    """They stand in one message with the reason."""
    heard: list[str] = []
    done = shell("echo no >&2; exit 1", patience=Patience(None, heard.append))
    assert (done.stderr, heard) == ("no\n", [])


def test_who_waits_long_is_told_for_what(tmp_path: Path) -> None:
    """Once; and somebody who does not wait long is told nothing."""
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    told: list[str] = []

    def remind(what: str) -> None:
        told.append(what)
        fifo.write_text("on\n")

    assert shell(f"read x <{fifo}; sleep 0.1", patience=Patience(remind=remind)).status == 0
    assert told == [f"/bin/sh -c read x <{fifo}; sleep 0.1"]


def test_an_error_meanwhile_ends_the_program(tmp_path: Path) -> None:
    """Nobody waits for its answer any more."""

    def meanwhile(_listen: object) -> None:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        raise ValueError("elsewhere")

    argv = ("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 600")
    with pytest.raises(ValueError, match="elsewhere"):
        run(argv, {"PATH": "/usr/bin:/bin"}, 100, meanwhile=meanwhile)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_does_not_even_die(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As one that the kernel holds: it is left behind."""
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    script = f"echo $$ > {tmp_path}/pid; exec sleep 600"
    assert shell(script, patience=Patience(limit=0.2)).cut is Cut.OUT_OF_TIME
    monkeypatch.undo()
    pid = int((tmp_path / "pid").read_text())
    assert running_in_group(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_program_that_says_much_while_something_else_is_done(tmp_path: Path) -> None:
    """It gets on: else it would stand still with its pipe full until somebody reads."""
    done = tmp_path / "done"

    def meanwhile(listen: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not done.exists() and time.monotonic() < deadline:
            listen()
        assert done.exists()

    argv = ("/bin/sh", "-c", f"head -c 9000000 /dev/zero; touch '{done}'")
    outcome = run(argv, {"PATH": "/usr/bin:/bin"}, 1 << 24, meanwhile=meanwhile)
    assert (len(outcome.stdout), outcome.status) == (9_000_000, 0)


def test_the_answer_for_thousands_of_store_paths_waits_for_nobody(tmp_path: Path) -> None:
    """Nix ends while its caller is at something else."""
    done = tmp_path / "done"

    def meanwhile(_listen: object) -> None:
        deadline = time.monotonic() + 60
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert done.exists()

    argv = ("/bin/sh", "-c", f"head -c 900000 /dev/zero; touch '{done}'")
    outcome = run(argv, {"PATH": "/usr/bin:/bin"}, 1 << 24, meanwhile=meanwhile)
    assert (len(outcome.stdout), outcome.status) == (900_000, 0)


def until_no_more(listen: Callable[[], bool]) -> None:
    while listen():
        time.sleep(0.001)


def test_listening_takes_no_more_than_the_cap() -> None:
    """However often somebody listens to a program without end; what came last may be beyond it."""

    def meanwhile(listen: Callable[[], bool]) -> None:
        until_no_more(listen)
        for _ in range(1000):
            assert not listen()

    outcome = run(("/usr/bin/yes",), {}, 100_000, meanwhile=meanwhile)
    assert outcome.cut is Cut.TOO_MUCH
    assert len(outcome.stdout) < 1_000_000


def test_whoever_listens_is_told_when_there_is_no_more_to_come() -> None:
    """Not before: there is time for something else."""
    heard: list[bool] = []

    def meanwhile(listen: Callable[[], bool]) -> None:
        heard.append(listen())
        until_no_more(listen)

    outcome = run(("/bin/sh", "-c", "sleep 0.2; echo x"), {}, 100, meanwhile=meanwhile)
    assert (outcome.stdout, heard) == ("x\n", [True])


def test_listening_ends_at_the_limit() -> None:
    """There is no use in getting ahead of a program that does not answer."""
    assert run(("/bin/sleep", "60"), {}, 100, Patience(0.2), until_no_more).cut is Cut.OUT_OF_TIME


def test_what_was_said_while_something_else_was_done_counts(tmp_path: Path) -> None:
    """That took longer than the limit, which is of waiting; and nobody had to be told."""
    done = tmp_path / "done"
    told: list[str] = []

    def meanwhile(_listen: object) -> None:
        while not done.exists():
            time.sleep(0.01)
        time.sleep(1)

    argv = ("/bin/sh", "-c", f"head -c 900000 /dev/zero; touch '{done}'")
    patience = Patience(limit=1, remind=told.append)
    outcome = run(argv, {"PATH": "/usr/bin:/bin"}, 1 << 24, patience, meanwhile)
    assert (len(outcome.stdout), outcome.cut, told) == (900_000, None, [])


def test_whoever_listens_keeps_everybody_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is waited for, and what the program says of it, as it comes."""
    monkeypatch.setattr("nixenv.process.REMIND_AFTER", 0.1)
    monkeypatch.setattr("nixenv.process._HOLD_BACK", 0.1)
    told: list[str] = []
    done = tmp_path / "done"

    def meanwhile(listen: Callable[[], bool]) -> None:
        while len(told) < 2 and listen():
            time.sleep(0.001)
        done.touch()

    patience = Patience(hear=told.append, remind=told.append)
    argv = ("/bin/sh", "-c", f"echo word >&2; until [ -e '{done}' ]; do sleep 0.01; done")
    run(argv, {"PATH": "/usr/bin:/bin"}, 100, patience, meanwhile)
    assert sorted(told) == [describe_command(argv), "word\n"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGRTMIN, signal.SIGRTMIN + 1])
def test_a_program_that_a_signal_killed(number: int) -> None:
    """The signal is told, by its name where it has one."""
    done = shell(f"kill -{int(number)} $$")
    assert done.status == -number
    assert describe_status(done.status).startswith("killed by ")


def test_the_arguments_of_a_long_command_are_left_out() -> None:
    """There may be thousands of paths."""
    assert describe_command(("nix-store", "-qR", "/a")) == "nix-store -qR /a"
    assert describe_command(("nix-store", "--dump-db", *"abc")) == "nix-store --dump-db ... c"


@given(st.one_of(st.text(), st.from_regex(r"[0-9.eE+-]{1,9}", fullmatch=True)))
def test_a_limit_is_a_finite_number_above_nothing(text: str) -> None:
    """Whatever is given as one."""
    try:
        assert 0 < parse_limit(text) < 10_000_000
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017 -- either outcome is right


def test_of_what_a_program_says_the_end_is_kept() -> None:
    """All of it is passed on; what fails says why at the end."""
    script = "yes no | head -c 3000000 >&2; sleep 0.6; echo why >&2; exit 1"
    heard: list[str] = []
    done = shell(script, cap=1 << 22, patience=Patience(hear=heard.append))
    assert done.status == 1
    assert done.stderr.endswith("no\nwhy\n")
    assert len(done.stderr) == 1 << 15
    assert "".join(heard).endswith("why\n") or "why" not in "".join(heard)


def test_all_that_a_program_says_is_passed_on_once() -> None:
    """In its order, also where more comes than is kept."""
    script = "sleep 0.6; seq 100000 >&2"
    heard: list[str] = []
    shell(script, cap=1 << 22, patience=Patience(hear=heard.append))
    assert "".join(heard).split() == [str(number) for number in range(1, 100_001)]
