"""Whether a TCP port can be listened on."""

import socket


def find_port_trouble(host: str, port: int) -> OSError | None:
    """Bind every address of the host as asyncio's servers do, and let go; give what is against it.

    Args:
        host: A name or an address; empty for all of this machine's.
        port: From 1 to 65535.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host or "0.0.0.0",  # noqa: S104 -- bound for a moment, and nothing listens
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        ):
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind(address)
    except OSError as error:
        return error
    except ValueError as error:  # a host that is no text for a name server
        return OSError(str(error))
    return None
