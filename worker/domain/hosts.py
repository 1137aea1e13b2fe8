"""Whether a host is this machine itself, where nobody else can listen in."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host name or an IP address (a zone may follow) means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
