"""Text from elsewhere that is shown to a person. Pure."""


def printable(text: str) -> str:
    """Show what could move the cursor or be no text at all as escapes, line breaks included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
