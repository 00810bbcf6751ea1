"""Run the two programs as their users do, and make models for them."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

SERVER = (
    Path(__file__).parents[2] / "fixtures/packages/sglang/site-packages/sglang/launch_server.py"
)
"""The stand-in for sglang.launch_server."""

DEFAULT_ID = "microsoft/Phi-4-mini-instruct-FP8-TORCHAO"
COMMIT = "f3a5b1c9d7e2468ace013579bdf02468ace13579"
OTHER_COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKENIZER = {"tokenizer_class": "TokenizersBackend", "model_max_length": 131072}


@frozen
class Outcome:
    """How a program ended."""

    status: int
    stdout: bytes
    stderr: str


@frozen
class Environment:
    """An activated environment: its models, its cache and its modules."""

    home: Path

    def make(self) -> None:
        """Begin with no model, an empty cache, and an sglang that has nothing but its server."""
        self.hub.mkdir(parents=True)
        self.cache.mkdir()
        package = self.site_packages / "sglang"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "launch_server.py").symlink_to(SERVER)

    @property
    def flox_env(self) -> Path:
        return self.home / "flox-env"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def site_packages(self) -> Path:
        return self.home / "site-packages"

    @property
    def hub(self) -> Path:
        return self.flox_env / "share/models/hub"

    @property
    def user_hub(self) -> Path:
        return self.home / "huggingface/hub"

    @property
    def shadow(self) -> Path:
        """The only shadow, in its entry of the cache."""
        (shadow,) = (self.cache / "sglang-compat").glob("*/*")
        return shadow

    def environ(self, changes: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "FLOX_ENV": str(self.flox_env),
            "FLOX_ENV_CACHE": str(self.cache),
            "HF_HOME": str(self.user_hub.parent),
            "SGLANG_PYTHON": sys.executable,
            "PYTHONPATH": str(self.site_packages),
            **changes,
        }

    def resolve(self, *prefix: str, **changes: str) -> Outcome:
        return run([*prefix, *program("resolve")], self.environ(changes))

    def resolve_shadow(self, **changes: str) -> Path:
        """Resolve a model that needs a shadow, and give it."""
        outcome = self.resolve(**changes)
        assert outcome.status == 0, outcome.stderr
        return self.shadow

    def serve(self, *options: str, **changes: str) -> Outcome:
        return run([*program("serve"), *options], self.environ(changes))


def program(name: str) -> list[str]:
    """Give the command that the console script stands for, deaf to the server's PYTHONPATH."""
    return [sys.executable, "-I", "-m", f"nixenv.sglang.{name}"]


def run(command: list[str], environ: Mapping[str, str]) -> Outcome:
    """Run a command to its end."""
    done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=60)
    return Outcome(done.returncode, done.stdout, done.stderr.decode(errors="backslashreplace"))


def without_root_rights(*command: str) -> list[str]:
    """Let root be refused what file modes refuse."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]


def make_model(directory: Path, **files: object) -> Path:
    """Make a model: config.json, and other files by their names, double underscores for dots."""
    directory.mkdir(parents=True)
    for name, content in {"config__json": {"model_type": "phi3"}, **files}.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def bundle_model(
    environment: Environment,
    *,
    model_id: str = DEFAULT_ID,
    commit: str = COMMIT,
    ref: str | None = COMMIT,
    **files: object,
) -> Path:
    """Put a model into the environment, as a model package does; give its snapshot."""
    repository = environment.hub / f"models--{model_id.replace('/', '--')}"
    if ref is not None:
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs/main").write_text(ref)
    return make_model(repository / "snapshots" / commit, **files)


def cache_model(
    environment: Environment, model_id: str, *, weights: bool = True, **files: object
) -> Path:
    """Put a model into the user's own Hugging Face cache, as its client does; give its snapshot.

    Each file is a link to a blob; without weights the download was cut short.
    """
    repository = environment.user_hub / f"models--{model_id.replace('/', '--')}"
    loose = make_model(repository / "loose", **files)
    if weights:
        (loose / "model.safetensors").write_text("weights")
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in loose.iterdir():
        blob = hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(repository / "blobs" / blob)
        (snapshot / file.name).symlink_to(f"../../blobs/{blob}")
    loose.rmdir()
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return snapshot


def read_values(outcome: Outcome) -> dict[str, str]:
    """Read the .env file that the resolver names, where nothing in it is encoded."""
    text = Path(os.fsdecode(outcome.stdout).rstrip("\n")).read_text()
    return dict(line.split("=", 1) for line in text.splitlines())
