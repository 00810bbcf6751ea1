"""Text from elsewhere that is shown to a person. Pure."""


def printable(text: str) -> str:
    """Show what could move the cursor or be no text at all as escapes, line breaks included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
