"""What must be known of SGLang's own command line: secrets, JSON, and how words become flags. Pure.

The flags are those of 0.5.9 and of 0.5.23; ``tests/sglang/test_real_arguments.py`` holds both lists
against the real parsers.
"""

import itertools
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence

from nixenv.text import MASK, mask_urls

SECRET_FLAGS = ("--api-key", "--admin-api-key", "--ssl-keyfile-password", "--watermark-config")
"""Flags whose value nobody else should see."""

JSON_FLAGS = (
    "--decoupled-spec-connect-endpoints",
    "--default-chat-template-kwargs",
    "--extra-metric-labels",
    "--forward-hooks",
    "--json-model-override-args",
    "--limit-mm-data-per-request",
    "--mm-process-config",
    "--model-loader-extra-config",
    "--preferred-sampling-params",
    "--radix-eviction-policy-config",
    "--remote-instance-weight-loader-send-weights-group-ports",
    "--sidecar-args",
    "--unified-cache-external-linker-config",
)
"""Flags whose value is JSON."""


def split_words(text: str) -> list[str]:
    """Split SGLANG_EXTRA_ARGS as a shell splits words, and see that JSON survived it.

    Raises:
        ValueError: it cannot be split, or what should be JSON is none. The text may hold a key, so
            the message does not repeat it.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"it cannot be split into words: {error}") from error
    for flag, value in _options(words):
        if flag in JSON_FLAGS:
            _require_json(flag, value)
    return words


def find_option(text: str, name: str) -> str | None:
    """Find the value of a flag in SGLANG_EXTRA_ARGS, the last one; None where it is not given."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None  # whoever starts the server says so
    values = [value for flag, value in _options(words) if _stands_for(flag, name)]
    return values[-1] if values else None


def format_command(command: Iterable[str]) -> str:
    """Write a command as a line to paste into a shell, with secrets masked."""
    shown = []
    is_secret = False
    for word in command:
        flag, equals, _ = word.partition("=")
        if is_secret:
            shown.append(MASK)
            is_secret = False
        elif any(_stands_for(flag, secret) for secret in SECRET_FLAGS):
            shown.append(f"{flag}={MASK}" if equals else flag)
            is_secret = not equals
        else:
            shown.append(mask_urls(word))
    return shlex.join(shown)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give each flag with the word that is its value, if it has one."""
    for word, following in itertools.pairwise([*words, ""]):
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            yield flag, value if equals else following


def _stands_for(flag: str, name: str) -> bool:
    # argparse takes abbreviations, too, unless they are a flag of their own.
    return len(flag) > 2 and name.startswith(flag) and flag != "--ssl-keyfile"


def _require_json(flag: str, value: str) -> None:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(
            f"what follows {flag} is not JSON; a shell's rules take quotes away, so put single "
            f"""quotes around it: {flag} '{{"name": "value"}}'"""
        ) from None
