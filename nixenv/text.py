"""Text from elsewhere: shown to a person, or written in plain characters. Pure."""

import os
import re
from collections.abc import Iterable

MASK = "***"
"""What is shown in the place of a secret."""

# A user with a password, and the signature that opens Azure's storage. Not compiled here: every
# first activation would wait for it.
_HIDDEN_IN_URL = r"(?<=://)[^/?#\s@]*:[^/?#\s@]*(?=@)|(?<=[?&]sig=)[^&\s]+"


def printable(text: str) -> str:
    """Show what could move the cursor or be no text at all as escapes, line breaks included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def decode(data: bytes) -> str:
    r"""Read what another program wrote; what is no UTF-8 is kept, as Python does with file names.

    >>> decode(b"a\xff\xc3\xa9")
    'a\udcffé'
    """
    return data.decode(errors="surrogateescape")


def mask_urls(text: str) -> str:
    """Mask what of the URLs in a text is secret.

    >>> mask_urls("redis://me:pass@host/name")
    'redis://***@host/name'
    """
    return re.sub(_HIDDEN_IN_URL, MASK, text)


def shorten(text: str, longest: int = 300) -> str:
    """Cut what somebody else wrote to what a person would read of it.

    >>> shorten("abcdef", 3)
    'abc... (6 characters)'
    """
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which of what there is may be meant; nothing where none is like it.

    >>> suggest("exprot", ("export", "explain"))
    ': did you mean export?'
    >>> suggest("exprot", ("export", "explain", "export"))
    ': did you mean export?'
    """
    from difflib import get_close_matches  # noqa: PLC0415 -- only errors ask for it

    alike = get_close_matches(name[:100], dict.fromkeys(known), n=2)  # PATH may name one twice
    return f": did you mean {' or '.join(alike)}?" if alike else ""


def as_code(command: str) -> str:
    r"""Mark what is to be typed or pasted, for `split_code`.

    Args:
        command: The line. A backtick in it, which a quoted value may hold, is written in another
            way that bash and zsh read alike: it must not end the mark.

    >>> as_code("unset CC")
    '`unset CC`'
    >>> print(as_code("export CC='a`b'"))
    `export CC='a'$'\140''b'`
    """
    return "`{}`".format(command.replace("`", r"'$'\140''"))


def split_code(text: str) -> tuple[tuple[str, bool], ...]:
    """Take a text apart, with whether each part is code: what stands between backticks.

    Where they come in no pairs, all of it is text.

    >>> split_code("run `a b`, then go on")
    (('run ', False), ('a b', True), (', then go on', False))
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return ((text, False),)
    pairs = ((part, number % 2 == 1) for number, part in enumerate(parts))
    return tuple((part, is_code) for part, is_code in pairs if part)


def encode_word(value: str) -> str:
    """Write any bytes as one plain word: outside ``A-Z a-z 0-9 / . _ : @ + , = -`` as ``%XX``.

    >>> encode_word("a b%")
    'a%20b%25'
    """
    return re.sub(
        rb"[^A-Za-z0-9/._:@+,=-]", lambda byte: b"%%%02X" % ord(byte[0]), os.fsencode(value)
    ).decode()


def decode_word(word: str) -> str:
    """Read what `encode_word` writes.

    Raises:
        ValueError: a percent sign without two hexadecimal digits behind it, or no ASCII.
    """
    return os.fsdecode(
        re.sub(rb"%(.{0,2})", lambda code: bytes.fromhex(code[1].decode()), word.encode("ascii"))
    )
