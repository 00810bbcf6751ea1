"""``make fuzz``: libFuzzer, by atheris, on one target after another, each within limits.

It is led by what an input reaches, begins with the corpus, and keeps what it finds new in
``.cache/fuzz``. An input that breaks its target is kept as ``crash-…`` there, and belongs into the
corpus once the fault is mended::

    python -m tests.fuzz [--seconds 20] [TARGET...]
"""

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
FOUND = Path(".cache/fuzz")
LONGEST_INPUT = 4096
# A second for 4 KB is thousands of times what any reader takes.
LIMITS = ("-timeout=10", "-rss_limit_mb=1024", f"-max_len={LONGEST_INPUT}")


def fuzz_one(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["nixenv"]):
        from tests.fuzz.targets import run

    atheris.Setup([sys.argv[0], *options], lambda data: run(name, data))
    atheris.Fuzz()


def fuzz(name: str, seconds: int) -> str:
    """Fuzz one target for so long in a process of its own; give what came of it."""
    place = FOUND / name
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz", "--one", name, "--"),
            *(*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={place}/"),
            *("-print_final_stats=1", str(place), str(CORPUS / name)),
        ],
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode(errors="backslashreplace")
    if done.returncode != 0:
        print(said[-4000:])
        return f"{name}: FAULT (status {done.returncode})"
    inputs = next(line.split()[-1] for line in said.splitlines() if "number_of_executed" in line)
    return f"{name}: {inputs} inputs"


def main() -> int:
    """Fuzz the targets that are named, or all; 1 where one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", metavar="TARGET")
    arguments = parser.parse_args()
    if arguments.one:
        fuzz_one(arguments.one, arguments.rest)
    # Not above: what fuzzes is instrumented while it is imported.
    from tests.fuzz.targets import TARGETS

    faults = 0
    for name in arguments.rest or TARGETS:
        result = fuzz(name, arguments.seconds)
        faults += "FAULT" in result
        print(result, flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
