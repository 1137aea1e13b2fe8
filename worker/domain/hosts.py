"""Which hosts mean this machine alone, and which mean all of its addresses."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an IP address (a zone may follow) means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Tell whether listening there means all addresses of this machine: ``0.0.0.0``, ``::``, or ``0`` for short."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_unspecified
    except ValueError:
        return _is_zero(host)


def _is_zero(host: str) -> bool:
    """Read the short forms of IPv4 addresses (``0``, ``0x0``, ``0.0``) as the system does."""
    try:
        return not any(socket.inet_aton(host))
    except OSError:
        return False
