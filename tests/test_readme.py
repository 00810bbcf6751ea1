"""The README's examples are run, and its table of commands is the command line's own.

So are the examples of the documents that go on where it ends.
"""

import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from tests.conftest import Nixenv
from tests.documents import ROOT, blocks
from tests.real_shells import EVAL, evaluate
from tests.sglang.programs import Environment, bundle_model
from tests.sglang.servers import serving

README = (ROOT / "README.md").read_text()


def run_python(code: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_python_example_prints_an_environment(environ: dict[str, str], tmp_path: Path) -> None:
    """Pasted as it is, it gives text that sets CUDA_HOME, in ten lines."""
    (code,) = blocks("README.md", "python")
    assert len(code.splitlines()) <= 10
    text = run_python(code, environ)
    found = evaluate(EVAL["bash"], text, environ, tmp_path)
    assert found["CUDA_HOME"].endswith("cuda12.8-cuda_nvcc-12.8.93")
    assert text.startswith(f"# {found['PATH'].partition(':')[0]}/python")


def test_the_python_example_honours_the_profile(
    environ: dict[str, str], sglang: SglangClosure, tmp_path: Path
) -> None:
    """All of it counts: the root, the layout, versions, and what it sets."""
    profile = tmp_path / "own.toml"
    profile.write_text(
        f'extends = "python-cuda"\nroot = "{sglang.root}"\nlayout = "linked"\n'
        '[set]\nOWN = "{cuda_home}"\n'
    )
    (code,) = blocks("README.md", "python")
    own = code.replace('"sglang"', "None", 1).replace('profile="sglang"', f'profile="{profile}"')
    found = evaluate(EVAL["bash"], run_python(own, environ), environ, tmp_path)
    assert found["OWN"] == found["CUDA_HOME"]
    assert found["VIRTUAL_ENV"].startswith(environ["FLOX_ENV_CACHE"])


def test_the_numbers_are_the_measured_ones() -> None:
    """Wherever the walk is set against nixenv: medians of the last `make bench`."""
    results = json.loads((ROOT / "benchmarks/results/activation.json").read_text())
    runs = results["activation, by store paths"]["2000"]
    median = {name: statistics.median(run["seconds"]) * 1e3 for name, run in runs.items()}
    told = (
        f"{median['bash walk']:.0f} ms",
        f"nixenv {median['cold, store']:.0f} ms the first time and {median['warm, store']:.1f} ms",
    )
    for document in ("README.md", "docs/from-the-bash-walk.md"):
        text = " ".join((ROOT / document).read_text().split())
        assert all(number in text for number in told), (document, told)


def test_the_bash_example_sets_the_environment(nixenv_on_path: dict[str, str]) -> None:
    """The eval line, in a real bash."""
    code, _ = blocks("README.md", "bash")
    done = subprocess.run(
        ["bash", "-c", f'{code}\necho "$CUDA_HOME"'],
        env=nixenv_on_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("cuda12.8-cuda_nvcc-12.8.93")


def test_the_command_that_is_run_has_the_environment(nixenv_on_path: dict[str, str]) -> None:
    """It starts the fixture's server, by the interpreter of the closure."""
    _, code = blocks("README.md", "bash")
    done = subprocess.run(
        ["bash", "-c", code], env=nixenv_on_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "--model-path" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("block", blocks("docs/inspect.md", "console"))
def test_what_is_shown_is_what_is_printed(block: str, nixenv: Nixenv) -> None:
    """Each command on the recorded closures; `...` stands for lines that are left out."""
    command, _, shown = block.partition("\n")
    done = nixenv(*shlex.split(command.removeprefix("$ nixenv ")))
    assert done.returncode == 0
    beginning, *ellipsis = shown.split("...\n")
    assert done.stdout.startswith(beginning.rstrip("\n"))
    assert ellipsis or done.stdout.rstrip("\n") == beginning.rstrip("\n")


@pytest.mark.parametrize("command", ["export", "run", "prove", "inspect", "explain", "snapshot"])
def test_each_command_is_in_the_readme_and_has_help(command: str, nixenv: Nixenv) -> None:
    """The options that --help shows are those that the README shows, in it or by reference."""
    shown = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", nixenv(command, "--help").stdout)) - {"--help"}
    table = README.partition("## Commands")[2].partition("```\n\n")[0]
    assert f"nixenv {command}" in table
    shown -= {"--output", "--machine"}  # there as -o, and as --no-machine
    assert shown <= set(re.findall(r"--[a-z]+(?:-[a-z]+)*", table))


def test_the_curl_examples_get_answers(tmp_path: Path) -> None:
    """Each against a server that the two programs started, with SGLang's answers in shape."""
    examples = [
        line
        for block in blocks("docs/sglang.md", "sh")
        for line in re.split(r"\n(?=curl)", block.strip())
    ]
    assert len(examples) == 7
    activated = Environment(tmp_path)
    activated.make()
    bundle_model(activated)
    with serving(activated) as server:
        answers = {}
        for example in examples:
            command = example.replace("http://127.0.0.1:30000", server.address)
            done = subprocess.run(
                ["bash", "-c", command.replace("curl ", "curl -sS --fail ", 1)],
                capture_output=True,
                text=True,
                check=True,
            )
            answers[re.findall(r"30000(\S+)", example)[0]] = done.stdout
    assert "chat.completion.chunk" in answers["/v1/chat/completions"]
    assert "data: [DONE]" in answers["/v1/chat/completions"]
    assert json.loads(answers["/v1/models"])["data"][0]["id"]
    assert json.loads(answers["/v1/completions"])["choices"][0]["text"]
    assert json.loads(answers["/generate"])["text"]
    assert json.loads(answers["/get_model_info"])["model_path"]
