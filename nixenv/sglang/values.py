"""What the values of the SGLANG_* variables may be.

Each function takes a variable's text and gives the text of the server's argument, or raises
ValueError with what is wrong. SGLang would refuse many of these too, a minute of imports later.
"""

import ipaddress
import json
import re

DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
"""The choices of ``--dtype`` (sglang 0.5.9, srt/server_args.py)."""

_ON = {"1", "true", "yes", "on", "y", "t", "enable", "enabled"}
_OFF = {"0", "false", "no", "off", "n", "f", "disable", "disabled"}

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[^:]+)")


def parse_host(text: str) -> str:
    """Check a host name or an IP address, IPv6 without brackets."""
    if not _HOST_NAME.fullmatch(text) and not _is_ip_address(text):
        raise ValueError(f"{text!r} is no host name and no IP address (IPv6 without brackets)")
    return text


def parse_port(text: str) -> str:
    """Check a TCP port."""
    return _parse_number(text, 1, 65_535)


def parse_count(text: str) -> str:
    """Check a number of things: at least one."""
    return _parse_number(text, 1)


def parse_rank(text: str) -> str:
    """Check a position that is counted from 0."""
    return _parse_number(text, 0)


def parse_address(text: str) -> str:
    """Check ``host:port``, an IPv6 host in brackets."""
    parts = _ADDRESS.fullmatch(text)
    ipv6 = parts["ipv6"] if parts else None
    if parts is None or (ipv6 and not (":" in ipv6 and _is_ip_address(ipv6))):
        raise ValueError(f"{text!r} is no host:port (an IPv6 address stands in brackets)")
    if ipv6 is None:
        parse_host(parts["host"])
    parse_port(parts["port"])
    return text


def parse_served_name(text: str) -> str:
    """Check a model's name in the API: SGLang keeps the colon for LoRA adapters."""
    if ":" in text or not text.isprintable():
        raise ValueError(f"{text!r} holds a colon or a character that cannot be printed")
    return text


def parse_backend(text: str) -> str:
    """Check a name such as ``flashinfer``; which there are, each SGLang knows itself."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise ValueError(f"{text!r} is no name of a backend")
    return text


def parse_dtype(text: str) -> str:
    """Check a data type of weights."""
    if text not in DTYPES:
        raise ValueError(f"{text!r} is none of {', '.join(DTYPES)}")
    return text


def parse_sampling_params(text: str) -> str:
    """Check a JSON object."""
    try:
        params = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(params, dict):
        raise ValueError('it is JSON, but no object such as {"temperature": 0.7}')  # noqa: TRY004 -- a wrong value of the text
    return text


def parse_switch(text: str) -> bool:
    """Read an on or off, in the words that people use for it."""
    word = text.strip().lower()
    if word not in _ON | _OFF:
        raise ValueError(f"{text!r} is neither 1 (true, yes, on) nor 0 (false, no, off)")
    return word in _ON


def _parse_number(text: str, least: int, most: int | None = None) -> str:
    # int() would take " 1_0 " and the digits of other scripts, too; SGLang's own int() as well.
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if number < least or (most is not None and number > most):
        bound = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise ValueError(f"{text!r} is no whole number {bound}")
    return str(number)


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
