"""HTTP over connections that another thread can break. requests bounds each read, but an answer has many of them."""

from typing import Any

from requests.adapters import HTTPAdapter

from worker.wire import Wire


class HeldAdapter(HTTPAdapter):
    """Gives each connection to the wire before TLS begins on it, also behind a proxy. For one thread."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        """Return the library's pool, which makes held connections from now on."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        if not hasattr(pool.ConnectionCls, "wire"):
            pool.ConnectionCls = _held(pool.ConnectionCls, self._wire)
        return pool


def _held(library: Any, wire: Wire) -> Any:
    """Make a connection class as urllib3 does for SOCKS proxies."""

    class Held(library):  # type: ignore[misc] # known at run time alone
        def _new_conn(self) -> Any:
            connection = super()._new_conn()
            wire.hold(connection)
            return connection

    Held.wire = wire
    return Held
