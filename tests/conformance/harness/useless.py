"""Servers that cannot be used: one whose certificate is of a CA that nobody trusts, one that takes a connection and says
nothing.

Owns: their listeners and certificates. They must not speak beyond the handshake.
"""

import contextlib
import socket
import ssl
import threading

from harness import pki


class Mute:
    """Listens until the case is over and closes every connection; `port` is where, on this machine."""

    def __init__(self, case):
        self._listener = socket.create_server(("127.0.0.1", case.port()))
        self.port = self._listener.getsockname()[1]
        case.at_end(self._listener.close)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with contextlib.suppress(OSError):
                    client.settimeout(10)
                    self.serve(client)

    def serve(self, client):
        """Reads something, so that the other side has sent its request, and closes."""
        client.recv(4096)
        client.close()


class ForeignTls(Mute):
    """The same with TLS, under a certificate of a foreign CA."""

    def __init__(self, case, host="localhost"):
        identity = pki.server(host, pki.authority("Somebody Else's CA"))
        folder = case.scratch()
        for name, text in (("chain", identity.pem), ("key", identity.key_pem)):
            (folder / name).write_text(text, encoding="ascii")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "chain", folder / "key")
        super().__init__(case)

    def serve(self, client):
        """Shakes hands, which no client does to the end."""
        self._tls.wrap_socket(client, server_side=True).close()
