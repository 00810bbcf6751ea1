"""What the documents say can be done is done: their code runs, and their links lead somewhere."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from fixtures.closure import SglangClosure
from fixtures.environments import Environments
from nixenv.cli import COMMANDS
from nixenv.road.profile import parse_profile
from tests.documents import DOCUMENTS, ROOT, anchors, blocks, commands, links
from tests.real_shells import require_tool


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """To a file that is there, and to a heading of it."""
    for target, anchor in links(document):
        if "://" in target:
            continue
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_have_the_options_that_are_shown(document: Path) -> None:
    """Wherever `nixenv COMMAND` stands."""
    for line in commands(document):
        for name, rest in re.findall(r"\bnixenv (\w+)((?: [^|&;#`]+)?)", line):
            if name not in COMMANDS:
                continue
            params = getattr(import_module(f"nixenv.cli.{name}"), name).params
            known = {word for param in params for word in (*param.opts, *param.secondary_opts)}
            options = re.findall(r"(?<=[\s\[(])--?[a-z][a-z-]*", rest.partition(" -- ")[0])
            assert set(options) <= known, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_has_the_targets_that_are_shown(document: Path) -> None:
    """And a script that is named is there."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in commands(document):
        if match := re.match(r"make ([a-z][\w-]*)", line):
            assert match[1] in targets, line
        if match := re.match(r"(?:\.ci|scripts)/[\w.]+", line):
            assert (ROOT / match[0]).exists(), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_of_the_project_are_where_they_are_said_to_be(document: Path) -> None:
    """What a document names by its path is there, but for the new one in an example."""
    for line in commands(document):
        if re.fullmatch(r"(?:nixenv|tests|fixtures|scripts|hooks|benchmarks)/[\w./-]+", line):
            assert (ROOT / line).exists() or line == "nixenv/shells/xonsh.py", line


def test_the_example_of_a_profile_is_one() -> None:
    """All of its keys are known, and every part of the schema is in it."""
    (example,) = blocks("docs/profiles.md", "toml")
    profile = parse_profile(tomllib.loads(example), "example")
    assert (profile.binary, profile.cuda, profile.layout) == ("comfyui", "12.8", "linked")
    tables = ("cache", "defaults", "fixed", "prepended", "appended", "removed")
    assert all(getattr(profile, table) for table in tables)


HOOKS = [
    (f"{document}: {hook.partition('NIXENV_PROFILE=')[2].partition(chr(10))[0]}", hook)
    for document in ("README.md", "docs/from-the-bash-walk.md", "docs/flox.md")
    for manifest in map(tomllib.loads, blocks(document, "toml"))
    if (hook := manifest.get("hook", {}).get("on-activate"))
]


@pytest.mark.parametrize("hook", [hook for _, hook in HOOKS], ids=[name for name, _ in HOOKS])
def test_hooks_in_manifests_activate(
    hook: str,
    nixenv_on_path: dict[str, str],
    sglang: SglangClosure,
    environments: Environments,
) -> None:
    """Each [hook] that is shown, in bash, in an environment of the profile that it names."""
    (profile,) = re.findall(r"NIXENV_PROFILE=(\S+)", hook)
    of_servers = {"sglang": sglang.flox_env, "vllm": sglang.joined}
    packages = of_servers.get(profile) or environments.paths[profile]
    store = (environments if profile in environments.paths else sglang).store
    code = hook.replace("$FLOX_ENV/share/nixenv/", f"{ROOT}/hooks/")
    assert code != hook
    done = subprocess.run(
        ["bash", "-c", f'{code}\necho "$CUDA_HOME"'],
        env={
            **nixenv_on_path,
            **store.environ,
            "PATH": f"{packages}/bin:{nixenv_on_path['PATH']}",
            "FLOX_ENV": packages,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(f"{store.store_dir}/"), done.stderr


def test_the_fixtures_example_builds_a_closure(tmp_path: Path) -> None:
    """As it is printed, in a directory of its own."""
    require_tool("nix-store")
    (example,) = blocks("fixtures/README.md", "python")
    code = (
        "from pathlib import Path\nfrom fixtures.closure import build_sglang_closure\n"
        "from fixtures.private_store import PrivateStore\n"
        f"{example}\nassert store.closure(closure.root)[-1] == closure.root\nstore.delete()"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True
    )


def test_the_example_of_an_overlay_changes_what_is_there() -> None:
    """It takes directories that exist, and patches the Deployment that is in them."""
    (example,) = blocks("docs/kubernetes.md", "yaml")
    overlay = yaml.safe_load(example)
    for place in (*overlay["resources"], *overlay["components"]):
        assert (ROOT / place.partition("YOUR-FORK/")[2] / "kustomization.yaml").exists(), place
    deployment = yaml.safe_load((ROOT / "k8s/base/deployment.yaml").read_text())
    (patch,) = (yaml.safe_load(patch["patch"]) for patch in overlay["patches"])
    assert patch["kind"] == deployment["kind"]
    assert patch["metadata"]["name"] == deployment["metadata"]["name"]
    (annotation,) = patch["spec"]["template"]["metadata"]["annotations"]
    assert annotation in deployment["spec"]["template"]["metadata"]["annotations"]
