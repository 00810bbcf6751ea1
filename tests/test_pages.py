"""The worked pages of docs/, tried as far as a machine without their services goes."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from fixtures.environments import Environments
from tests.documents import blocks
from tests.real_shells import SEARCH_PATH, require_tool

ASK = "import os, sys; print(os.environ['CUDA_HOME'], sys.executable, sep='\\n')"

# Jupyter's own client, on the environment's Python: it starts a kernel and asks it.
ASK_KERNEL = f"""\
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="nix-torch")
client.execute({ASK!r})
while (message := client.get_iopub_msg(timeout=60))["msg_type"] != "stream":
    pass
print(message["content"]["text"])
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


class Project:
    """A directory with a link `env` to an environment, and nixenv on PATH."""

    def __init__(self, directory: Path, environments: Environments) -> None:
        self.directory = directory
        self.environment = environments.paths["pytorch"]
        self.store_dir = environments.store.store_dir
        programs = directory / "programs"
        programs.mkdir()
        self.nixenv = programs / "nixenv"
        self.nixenv.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m nixenv "$@"\n')
        self.nixenv.chmod(0o755)
        self.environ = {
            **environments.store.environ,
            "PATH": f"{programs}:{SEARCH_PATH}",
            "HOME": str(directory / "home"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        (directory / "env").symlink_to(self.environment)

    def run(
        self, *command: str, environ: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.directory,
            env=environ or self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def assert_told(self, text: str) -> None:
        """CUDA_HOME and the interpreter are the store's."""
        cuda_home, executable = text.split()
        assert Path(cuda_home, "bin/nvcc").exists()
        assert cuda_home.startswith(f"{self.store_dir}/")
        assert executable.startswith(f"{self.store_dir}/")


@pytest.fixture
def project(environments: Environments, tmp_path: Path) -> Project:
    return Project(tmp_path, environments)


def test_direnv_brings_the_environment_and_takes_it_away(project: Project) -> None:
    """By the printed .envrc."""
    require_tool("direnv")
    (envrc,) = blocks("docs/direnv.md", "bash")
    (project.directory / ".envrc").write_text(envrc)
    assert project.run("direnv", "allow", ".").returncode == 0
    done = project.run("direnv", "exec", ".", "python3", "-c", ASK)
    project.assert_told(done.stdout)
    leave = 'eval "$(direnv export bash)"; cd /; eval "$(direnv export bash)"; exec env'
    after = project.run("bash", "-c", leave).stdout
    assert "CUDA_HOME" not in after
    assert "PYTHONPATH" not in after


def test_direnv_reports_a_failure(project: Project) -> None:
    """And sets nothing, what follows in the file included."""
    require_tool("direnv")
    (envrc,) = blocks("docs/direnv.md", "bash")
    (project.directory / ".envrc").write_text(f"{envrc}export AFTER=1\n")
    (project.directory / "env").unlink()
    project.run("direnv", "allow", ".")
    done = project.run("bash", "-c", 'eval "$(direnv export bash)"; echo "[${AFTER-}]"')
    assert done.stdout == "[]\n"
    assert "env does not exist" in done.stderr
    assert project.run("direnv", "exec", ".", "true").returncode != 0


def test_the_link_holds_the_closure(project: Project) -> None:
    """The second of the two commands, by which a store path becomes a garbage collector's root."""
    (commands,) = blocks("docs/direnv.md", "")
    command = next(line for line in commands.splitlines() if line.startswith("nix-store"))
    (project.directory / "env").unlink()
    done = project.run(*shlex.split(command.replace("/nix/store/...-my-env", project.environment)))
    assert done.returncode == 0, done.stderr
    roots = project.run("nix-store", "--gc", "--print-roots").stdout
    assert f"{project.directory}/env -> {project.environment}" in roots


def test_a_command_that_runs_holds_the_closure(
    project: Project, environments: Environments
) -> None:
    """By its variables, which Nix looks at; this environment has no link that Nix made."""
    ask = ("nix-store", "--gc", "--print-roots")
    environment = environments.paths["jax"]
    assert environment not in project.run(*ask).stdout
    done = project.run("nixenv", "run", "--root", environment, "--profile", "jax", "--", *ask)
    assert environment in done.stdout


def test_systemd_accepts_the_unit(project: Project) -> None:
    """With nixenv where it is here; the command runs with next to no environment."""
    require_tool("systemd-analyze")
    (unit,) = blocks("docs/systemd.md", "ini")
    printed = "/nix/var/nix/profiles/default/bin/nixenv"
    assert printed in unit
    file = project.directory / "app.service"
    file.write_text(unit.replace(printed, str(project.nixenv)))
    verified = project.run("systemd-analyze", "verify", str(file))
    assert (verified.returncode, verified.stderr) == (0, "")
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    command = shlex.split(line.removeprefix("ExecStart=").replace("-m app", f'-c "{ASK}"'))
    places = {
        printed: str(project.nixenv),
        "/var/lib/app/env": f"{project.directory}/env",
        "%C/app": f"{project.directory}/cache",
    }
    bare = {name: value for name, value in project.environ.items() if name.startswith("NIX")}
    done = project.run(
        *(places.get(word, word) for word in command), environ={**bare, "PATH": SEARCH_PATH}
    )
    project.assert_told(done.stdout)


def test_a_snapshot_stands_in_for_nix(project: Project) -> None:
    """As in the image: recorded where Nix is, run by the entry point where it is not."""
    (dockerfile,) = blocks("docs/containers.md", "dockerfile")
    lines = dockerfile.replace("\\\n", " ").splitlines()
    snapshot = str(project.directory / "env.json")
    record = shlex.split(next(line for line in lines if "nixenv snapshot" in line))
    record = record[record.index("/nixenv/bin/nixenv") :]
    entry = json.loads(next(x for x in lines if x.startswith("ENTRYPOINT")).partition(" ")[2])
    command = json.loads(next(x for x in lines if x.startswith("CMD")).partition(" ")[2])
    places = {
        "/nixenv/bin/nixenv": str(project.nixenv),
        "/env": f"{project.directory}/env",
        "/env.json": snapshot,
    }
    recorded = project.run(*(places.get(word, word) for word in record))
    assert recorded.returncode == 0, recorded.stderr
    without_nix = {**project.environ, "PATH": "/nowhere"}
    argv = [places.get(word, word) for word in (*entry, *command)]
    project.assert_told(project.run(*argv, "-c", ASK, environ=without_nix).stdout)


def test_jupyter_starts_a_kernel_in_the_environment(project: Project) -> None:
    """By the printed kernel.json, and Jupyter's own client."""
    _, text = blocks("docs/editors.md", "json")
    kernel = json.loads(text)
    root = kernel["argv"].index("--root") + 1
    assert kernel["argv"][root].endswith("/env")
    kernel["argv"][root] = f"{project.directory}/env"
    place = project.directory / "home/.local/share/jupyter/kernels/nix-torch"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(kernel))
    selection = ("--root", "env", "--profile", "pytorch")
    done = project.run("nixenv", "run", *selection, "--", "python3", "-c", ASK_KERNEL)
    assert done.returncode == 0, done.stderr
    project.assert_told(done.stdout)


def test_an_editor_finds_the_modules_by_a_link(project: Project) -> None:
    """The interpreter that the settings name knows them without any variable."""
    settings, _ = blocks("docs/editors.md", "json")
    path = json.loads(settings)["python.defaultInterpreterPath"]
    (link,) = blocks("docs/editors.md", "")
    export = "nixenv export --root env --profile pytorch --layout linked"
    made = project.run("bash", "-c", f'e=$({export}) && eval "$e" && {link}')
    assert made.returncode == 0, made.stderr
    interpreter = path.replace("${workspaceFolder}", str(project.directory))
    bare = {"HOME": str(project.directory), "PATH": SEARCH_PATH}
    done = project.run(interpreter, "-c", "import numba; print(numba.__file__)", environ=bare)
    assert "/.venv-nix/" in done.stdout, done.stderr


@pytest.mark.parametrize(("last", "status"), [("true", 0), ("false; echo reached", 1)])
def test_a_step_of_github_actions(project: Project, last: str, status: int) -> None:
    """The shell of the workflow, with the file of a step; it ends at what fails."""
    (text,) = blocks("docs/github-actions.md", "yaml")
    job = yaml.safe_load(text)["jobs"]["test"]
    step = project.directory / "step.sh"
    step.write_text(f'python3 -c "{ASK}"\n{last}\n')
    command = job["defaults"]["run"]["shell"].replace("{0}", str(step))
    done = project.run(*shlex.split(command))
    assert done.returncode == status, done.stderr
    project.assert_told(done.stdout)


def test_the_workflow_checks_its_environment(project: Project) -> None:
    """`inspect --check` passes one that is in order; `prove` comes at the end."""
    (text,) = blocks("docs/github-actions.md", "yaml")
    commands = [
        line.strip()
        for step in yaml.safe_load(text)["jobs"]["test"]["steps"]
        for line in step.get("run", "").splitlines()
        if line.strip().startswith("nixenv")
    ]
    assert [command.split()[1] for command in commands] == ["inspect", "prove"]
    done = project.run(*shlex.split(commands[0]))
    assert done.returncode == 0, done.stdout


def test_the_shell_hook_of_nix_develop(project: Project) -> None:
    """In bash, with the environment that Nix would put there."""
    (flake,) = blocks("docs/nix-develop.md", "nix")
    hook = flake.partition("shellHook = ''")[2].partition("'';")[0]
    code = hook.replace("${env}", shlex.quote(project.environment))
    done = project.run("bash", "-c", f"{code}\npython3 -c {shlex.quote(ASK)}")
    project.assert_told(done.stdout)


def test_a_link_that_leads_nowhere_is_named(project: Project) -> None:
    """Whichever page it was made by."""
    os.unlink(project.directory / "env")
    done = project.run("nixenv", "run", "--root", "env", "--", "true")
    assert done.returncode == 125
    assert f"{project.directory}/env does not exist" in done.stderr
    assert "next: make a link to a store path there" in done.stderr
