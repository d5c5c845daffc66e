"""The Node SDKs: one Node process that runs them, driven by lines of JSON.

Owns: that process and the matching of answers to calls. What a call does is in `node/worker.js`.
"""

import itertools
import json
import os
import subprocess
import threading
from concurrent.futures import Future, TimeoutError as FutureTimeout
from pathlib import Path

from harness.errors import SdkError

WORKER = Path(__file__).resolve().parent.parent / "node" / "worker.js"


class Node:
    """A running worker; calls may come from many threads at once."""

    def __init__(self, node_modules, ca_file, log):
        self.modules = node_modules
        # Node reads NODE_EXTRA_CA_CERTS once, at its start: the SDKs have no option of their own.
        environment = dict(os.environ, NODE_PATH=str(node_modules), NODE_EXTRA_CA_CERTS=str(ca_file))
        self._log = open(log, "ab")  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            ["node", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        self._ids = itertools.count()
        self._waiting = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, name, timeout=60, **arguments):
        """Calls a function of the worker; returns its value or raises its `SdkError`."""
        number, answer = next(self._ids), Future()
        line = json.dumps({"id": number, "call": name, "arguments": arguments}) + "\n"
        with self._lock:
            self._waiting[number] = answer
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        try:
            return answer.result(timeout)
        except FutureTimeout:
            raise TimeoutError(f"no answer to {name} in {timeout} s") from None

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            with self._lock:
                answer = self._waiting.pop(message["id"])
            if "error" in message:
                answer.set_exception(SdkError(**message["error"]))
            else:
                answer.set_result(message.get("value"))
        with self._lock:
            left, self._waiting = self._waiting, {}
        for answer in left.values():
            answer.set_exception(ConnectionError("the Node worker ended"))
