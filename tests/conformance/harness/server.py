"""One `muster dev` process: start, wait for `dev.env`, stop, kill.

Owns: the process and the reading of `dev.env`. It must not know what the server answers.
"""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 20

FREE_PORTS = ("--https-port", "0", "--mqtt-port", "0", "--amqp-port", "0", "--http-port", "0")


class ServerError(Exception):
    """The server did not do what `muster dev` promises; the end of its output is in the text."""


def read_dev_env(path):
    """`dev.env` as a dictionary, unquoted the way a shell that sources it would."""
    values = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            key, _, value = " ".join(words).partition("=")
            values[key] = value
    return values


class Muster:
    """A development server of this run's own, in a data folder of its own."""

    def __init__(self, binary, data_dir, *arguments):
        self.binary = str(binary)
        self.data_dir = Path(data_dir)
        self.arguments = list(arguments)
        self.dev_env = self.data_dir / "dev.env"
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.process = None
        self.env = {}

    def spawn(self):
        """Starts the process and returns at once."""
        command = [self.binary, "dev", "--data-dir", str(self.data_dir), *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.process

    def start(self):
        """Starts the server and returns when its own, fresh `dev.env` is there."""
        stale = self._identity()
        self.spawn()
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"muster dev ended with {self.process.returncode}: {self.tail()}")
            if self._identity() not in (None, stale):
                self.env = read_dev_env(self.dev_env)
                return self
            time.sleep(0.02)
        self.kill()
        raise ServerError(f"no dev.env after {READY_SECONDS} s: {self.tail()}")

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"still running {STOP_SECONDS} s after SIGTERM: {self.tail()}") from None

    def kill(self):
        """SIGKILL, as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self, lines=12):
        """The end of what the server printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return " | ".join(text.splitlines()[-lines:])

    def _identity(self):
        try:
            status = os.stat(self.dev_env)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns
