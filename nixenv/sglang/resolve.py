"""``sglang-resolve-model``: find the model, and leave what was found to sglang-serve."""

import os
from collections.abc import Mapping
from typing import NoReturn

import click
from attrs import evolve

from nixenv import __version__
from nixenv.console import emit, run_program, say
from nixenv.sglang.cache import locate_cache
from nixenv.sglang.envfile import locate_env_file, write_env_file
from nixenv.sglang.errors import TokenizerConfigUnreadable
from nixenv.sglang.model import Resolution, find_model, requested_model
from nixenv.sglang.tokenizer import make_shadow, patch_tokenizer_config

PROGRAM = "sglang-resolve-model"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Find the model that SGLANG_MODEL names, and write an .env file for sglang-serve.

    A directory with config.json is taken as it is. A Hugging Face ID is looked up below
    $FLOX_ENV/share/models, and otherwise left for SGLang to download. The file's path goes
    to stdout. docs/sglang.md has the variables.

    \b
    Exit codes: 0 done; 1 a bundled model that cannot be used, or a cache that cannot be
    written; 2 usage.
    """
    resolution = find_model(requested_model(os.environ), os.environ)
    served = _with_known_tokenizer(resolution, os.environ)
    file = locate_env_file(resolution.requested, os.environ)
    write_env_file(file, served, os.environ)
    say(PROGRAM, describe(resolution))
    emit(f"{file}\n")


def describe(resolution: Resolution) -> str:
    """Say in one line where the model will come from."""
    if resolution.bundled:
        return f"{resolution.requested} (bundled) in {resolution.model!r}"
    if resolution.is_local:
        return f"{resolution.model!r} (local directory)"
    return f"{resolution.requested} (will download from HF)"


def main() -> NoReturn:
    """Run sglang-resolve-model."""
    run_program(PROGRAM, lambda: cli(prog_name=PROGRAM))


def _with_known_tokenizer(resolution: Resolution, environ: Mapping[str, str]) -> Resolution:
    if not resolution.is_local:
        return resolution
    try:
        tokenizer_config = patch_tokenizer_config(resolution.model)
    except TokenizerConfigUnreadable as error:
        say(PROGRAM, f"warning: {error}")
        return resolution
    if tokenizer_config is None:
        return resolution
    shadows = locate_cache("sglang-compat", environ)
    shadow = make_shadow(resolution.model, tokenizer_config, shadows)
    return evolve(resolution, model=shadow)


if __name__ == "__main__":
    main()
