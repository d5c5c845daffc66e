"""A TPM 2.0 for one device: `swtpm` behind the protocol that the SDKs' TPM libraries speak to a simulator.

Owns: the swtpm process, and the bridge from the simulator's two ports (commands, platform) to it.
It must not know what a command means: bytes go through, framed anew.
"""

import contextlib
import socket
import struct
import subprocess
import threading

# No command of a TPM takes longer; making a 2048-bit key in software is the slowest.
COMMAND_SECONDS = 120
# What a TPM takes or gives is far below this; the bridge believes no length that is not.
LARGEST = 65_536

HOST = "127.0.0.1"
# The simulator protocol's signals.
POWER_ON, SEND_COMMAND, NV_ON, HANDSHAKE = 1, 8, 11, 15
VERSION = 1
PLATFORM_AVAILABLE = 1


class Swtpm:
    """A TPM with a state of its own; `port` is where a simulator's clients find it."""

    def __init__(self, folder):
        ours, theirs = socket.socketpair()
        ours.settimeout(COMMAND_SECONDS)
        command = ["swtpm", "socket", "--tpm2", "--fd", str(theirs.fileno())]
        command += ["--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear"]
        with theirs, open(folder / "swtpm.log", "ab") as log:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._chip = ours
        self._one_at_a_time = threading.Lock()
        self._commands, self._platform = listen_on_two()
        self.port = self._commands.getsockname()[1]
        for listener, serve in ((self._commands, self._command), (self._platform, self._signal)):
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def close(self):
        """Ends the TPM and the bridge."""
        for listener in (self._commands, self._platform):
            # Closing alone does not wake the thread that waits for a client.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._chip.close()
        self._process.kill()
        self._process.wait()

    @staticmethod
    def _accept(listener, serve):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=converse, args=(client, serve), daemon=True).start()

    def _command(self, client, signal):
        """The port of commands: a handshake, then commands until the session ends."""
        if signal == HANDSHAKE:
            read(client, 4)
            client.sendall(struct.pack(">III", VERSION, PLATFORM_AVAILABLE, 0))
        elif signal == SEND_COMMAND:
            _locality, length = struct.unpack(">BI", read(client, 5))
            answer = self._ask(read(client, length))
            client.sendall(struct.pack(">I", len(answer)) + answer + bytes(4))
        else:
            return False
        return True

    @staticmethod
    def _signal(client, signal):
        """The platform's port: this TPM is powered already."""
        if signal not in (POWER_ON, NV_ON):
            return False
        client.sendall(bytes(4))
        return True

    def _ask(self, command):
        with self._one_at_a_time:
            self._chip.sendall(command)
            head = read(self._chip, 10)
            return head + read(self._chip, struct.unpack(">I", head[2:6])[0] - len(head))


def converse(client, serve):
    """Serves one client until it ends the session, goes away or says what is no part of the protocol."""
    with client, contextlib.suppress(OSError, EOFError):
        while serve(client, struct.unpack(">I", read(client, 4))[0]):
            pass


def read(connection, length):
    """Exactly so many bytes."""
    if not 0 <= length <= LARGEST:
        raise EOFError(f"a length of {length}")
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError("the other side went away")
        data += more
    return data


def listen_on_two():
    """Listeners on a free port and the next one, as the simulator's clients assume."""
    for _ in range(100):
        first = socket.create_server((HOST, 0))
        try:
            return first, socket.create_server((HOST, first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
    raise OSError("no two free ports side by side")
