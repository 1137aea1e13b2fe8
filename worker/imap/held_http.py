"""HTTP over connections that another thread can break: requests bounds each read, and an answer has many."""

from typing import Any

from requests.adapters import HTTPAdapter

from worker.deadline import Wire


class HeldAdapter(HTTPAdapter):
    """For one request: gives its connection to the wire before TLS begins on it, also where a proxy is in between."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        """The library's own, but that its connections are held."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        pool.ConnectionCls = _held(pool.ConnectionCls, self._wire)
        return pool


def _held(library: Any, wire: Wire) -> Any:
    """The place that urllib3's own connections through a SOCKS proxy take."""

    class Held(library):  # type: ignore[misc] # known at run time alone
        def _new_conn(self) -> Any:
            connection = super()._new_conn()
            wire.hold(connection)
            return connection

    return Held
