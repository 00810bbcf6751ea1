"""``sglang-resolve-model``: find the model, and leave what was found to sglang-serve."""

import os
from typing import NoReturn

import click

from nixenv import __version__
from nixenv.commandline import run_command_line
from nixenv.console import emit, say
from nixenv.sglang.banner import describe_origin, describe_server
from nixenv.sglang.capability import describe_incapable, find_gpus_without_fp8
from nixenv.sglang.envfile import locate_env_file, write_env_file
from nixenv.sglang.resolving import Resolved, resolve_model
from nixenv.sglang.shadow import make_shadow
from nixenv.text import mask_urls

PROGRAM = "sglang-resolve-model"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--banner", is_flag=True, help="Write one line for the prompt, and nothing else.")
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli(*, banner: bool) -> None:
    """Find the model that SGLANG_MODEL names, and write an .env file for sglang-serve.

    A directory, a GGUF file or a URL is taken as it is. A Hugging Face ID is looked up below
    $FLOX_ENV/share/models, and otherwise left to SGLang. What SGLang's transformers could
    not read is mended in a copy made of links. The file's path goes to stdout.
    SGLANG_MODEL_ENV_FILE says where the file is to be.

    \b
    Exit codes: 0 done; 1 a model that cannot be served, or a cache that cannot be written;
    2 usage.
    """
    if banner:
        emit(f"{describe_server(os.environ)}\n")
        return
    resolved = resolve_model(os.environ)
    if resolved.shadow is not None:
        make_shadow(resolved.shadow)
    resolution = resolved.resolution
    file = locate_env_file(resolution.requested, os.environ)
    write_env_file(file, resolution, os.environ)
    say(PROGRAM, describe(resolved))
    emit(f"{file}\n")


def describe(resolved: Resolved) -> str:
    """Say where the model will come from, and what to know about it."""
    resolution = resolved.resolution
    place = f" in {resolution.model!r}" if resolution.is_local else ""
    lines = [f"{resolution.requested} ({describe_origin(resolution)}){place}", *resolved.notes]
    if incapable := describe_incapable(resolution.requested, find_gpus_without_fp8()):
        lines.append(f"warning: {resolution.requested} {incapable}")
    return mask_urls(f"\n{PROGRAM}: ".join(lines))


def main() -> NoReturn:
    """Run sglang-resolve-model."""
    run_command_line(PROGRAM, cli)


if __name__ == "__main__":
    main()
