"""The README's examples are run, and its table of commands is the command line's own."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Nixenv
from tests.documents import blocks
from tests.real_shells import EVAL, evaluate
from tests.sglang.programs import Environment, bundle_model
from tests.sglang.servers import serving

README = Path("README.md").read_text()


def test_the_python_example_prints_an_environment(environ: dict[str, str], tmp_path: Path) -> None:
    """Pasted as it is, it gives text that sets CUDA_HOME, in about ten lines."""
    (code,) = blocks("README.md", "python")
    assert code.count("nixenv.") <= 12
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    found = evaluate(EVAL["bash"], done.stdout, environ, tmp_path)
    assert found["CUDA_HOME"].endswith("cuda12.8-cuda_nvcc-12.8.93")


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


@pytest.mark.parametrize("block", blocks("README.md", "console"))
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
        for block in blocks("README.md", "sh")
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
