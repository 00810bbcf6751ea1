"""What /proc tells of processes and locks, read off the kernel that is there."""

import fcntl
import os
import signal
import subprocess
from pathlib import Path

from nixenv.kernel import describe_process, find_lock_holders, is_stopped, read_kernel_file


def test_a_kernel_file_of_any_bytes(tmp_path: Path) -> None:
    """It is text, or nothing."""
    (tmp_path / "file").write_bytes(b"\xff\n")
    assert read_kernel_file(str(tmp_path / "file")) == "\ufffd"
    assert read_kernel_file(str(tmp_path / "none")) == ""


def test_who_holds_a_lock(tmp_path: Path) -> None:
    """By flock as by fcntl; who waits for it does not hold it."""
    flocked, posix = tmp_path / "flocked", tmp_path / "posix"
    with flocked.open("w") as one, posix.open("w") as other:
        assert find_lock_holders(str(flocked), str(posix), str(tmp_path / "none")) == ()
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.lockf(other, fcntl.LOCK_EX)
        assert find_lock_holders(str(flocked)) == (os.getpid(),)
        assert find_lock_holders(str(posix)) == (os.getpid(),)
        with subprocess.Popen(["flock", flocked, "true"]) as waiting:
            while not any(
                "->" in line and f" {waiting.pid} " in line
                for line in Path("/proc/locks").read_text().splitlines()
            ):
                assert waiting.poll() is None
            assert find_lock_holders(str(flocked)) == (os.getpid(),)
            fcntl.flock(one, fcntl.LOCK_UN)


def test_a_process_is_named(tmp_path: Path) -> None:
    """As `ps` does, whatever its name; one that is stopped is said to be."""
    program = tmp_path / "a) T (b"
    program.write_text("#!/bin/sh\nread x\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        assert describe_process(process.pid) == f"a) T (b (pid {process.pid})"
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert is_stopped(process.pid)
        assert describe_process(process.pid) == f"a) T (b (pid {process.pid}, stopped)"
        process.kill()
    assert describe_process(process.pid) == f"(pid {process.pid})"
