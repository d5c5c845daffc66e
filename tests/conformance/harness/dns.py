"""A name server of this run's own, which knows no name: `*.gone.test` does not exist, of any other it cannot tell now.

Owns: one thread on port 53 of this run's network. Without it no resolver answers at all, which programs take as the
second. It must not know who asks.
"""

import socket
import threading

from harness.sandbox import NAME_SERVER

GONE = b"\x04gone\x04test\x00"
SERVER_FAILURE, NO_SUCH_NAME = 2, 3
HEADER = 12


class NoSuchName:
    """The server, started once."""

    _lock = threading.Lock()
    _running = False

    @classmethod
    def answer(cls):
        """From now on questions are answered."""
        with cls._lock:
            if not cls._running:
                listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                listener.bind((NAME_SERVER, 53))
                threading.Thread(target=cls._serve, args=(listener,), daemon=True).start()
                cls._running = True

    @staticmethod
    def _serve(listener):
        while True:
            question, peer = listener.recvfrom(512)
            if len(question) > HEADER:
                code = NO_SUCH_NAME if GONE in question.lower() else SERVER_FAILURE
                # The same id and question; an answer, recursion available, no records.
                head = question[:2] + bytes([0x81, 0x80 | code]) + b"\0\1" + bytes(6)
                end = question.find(b"\0", HEADER) + 5
                listener.sendto(head + question[HEADER:end], peer)
