"""What systemd is told, by its datagram protocol (sd_notify(3)); without systemd nobody is told anything."""

import os
import socket
import time
from contextlib import suppress


class Systemd:
    """The manager that started this process, if one did."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        # sd_watchdog_enabled(3) asks for twice within each interval. Far more often, so that it barks after a whole
        # interval without progress and no sooner: a poll that hangs ends by its own deadline, which says so.
        self._pause = int(os.environ.get("WATCHDOG_USEC") or 0) / 40_000_000
        self._fed_at = 0.0
        self._is_ready = False
        self._status = ""

    def ready(self) -> None:
        """The start is complete; told once."""
        if not self._is_ready:
            self._is_ready = True
            self._tell("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def feed_watchdog(self) -> None:
        """Something was really done; may be called as often as one likes."""
        now = time.monotonic()
        if self._pause and now - self._fed_at >= self._pause:
            self._fed_at = now
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            sender.sendto(text.encode(), self._address)
