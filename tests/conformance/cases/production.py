"""`muster serve`: official clients, unmodified, against a server with an operator's certificate that openssl made.

The server is a process of its own on a loopback address of its own, because the SDKs dial fixed ports. Its hub is a
development hub of this run, linked as any other: by its connection string, over TLS.
"""

import signal
import subprocess
import time
import urllib.request

from cases import SUITE
from harness import python_sdk, sas
from harness.credentials import symmetric_key
from harness.errors import Unexpected, expect, expect_that
from harness.sandbox import PRODUCTION, PRODUCTION_ADDRESS
from harness.server import read_dev_env

READY_SECONDS = 60
STOP_SECONDS = 60

SETTINGS = """
[server]
data_dir = "data"
drain = "20s"

[listeners]
bind = "{address}"
http_bind = "{address}"
http_port = 8080

[[certificate]]
chain = "chain.pem"
key = "leaf.key"

[[instance]]
name = "plant"
hosts = ["{host}"]
{links}
[hubs]
trusted_ca = "hub-ca.pem"
probe_interval = "{probe}"
"""
LINK = """
[[instance.hub]]
connection = {{ file = "hub-{number}.txt" }}
"""


def openssl(folder, *arguments):
    """Runs openssl in that folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def certificates(folder, host):
    """A root, an intermediate below it and the server's leaf, as an operator makes them."""
    (folder / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    (folder / "leaf.ext").write_text(
        f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:{host}\n"
    )
    for name, subject in (("root", "Plant Root"), ("sub", "Plant Issuing"), ("leaf", host)):
        openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={subject}", "-out", f"{name}.csr")
    sign = ("x509", "-req", "-days", "90", "-sha256")
    openssl(folder, *sign, "-in", "root.csr", "-signkey", "root.key", "-extfile", "ca.ext", "-out", "root.pem")
    below_root = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial")
    openssl(folder, *sign, "-in", "sub.csr", *below_root, "-extfile", "ca.ext", "-out", "sub.pem")
    below_sub = ("-CA", "sub.pem", "-CAkey", "sub.key", "-CAcreateserial")
    openssl(folder, *sign, "-in", "leaf.csr", *below_sub, "-extfile", "leaf.ext", "-out", "leaf.pem")
    (folder / "chain.pem").write_text((folder / "leaf.pem").read_text() + (folder / "sub.pem").read_text())
    (folder / "leaf.key").chmod(0o600)


class Production:
    """A production server of this case's own; `links` are connection strings of its hubs."""

    def __init__(self, case, host=PRODUCTION, address=PRODUCTION_ADDRESS, links=None, probe="60s"):
        self.folder, self.host, self.address, self.probe = case.scratch(), host, address, probe
        certificates(self.folder, host)
        (self.folder / "hub-ca.pem").write_text(case.ca_pem)
        self.link(links or [case.hub_connection_string(case.first_hub)])
        self.muster = str(case.muster)
        self.process = None
        case.at_end(self.kill)

    def link(self, links):
        """From the next start on it has those links."""
        for number, text in enumerate(links):
            file = self.folder / f"hub-{number}.txt"
            file.write_text(text + "\n")
            file.chmod(0o600)
        told = "".join(LINK.format(number=number) for number in range(len(links)))
        settings = SETTINGS.format(address=self.address, host=self.host, links=told, probe=self.probe)
        (self.folder / "muster.toml").write_text(settings)

    def start(self):
        """Starts, and returns when it says that it is ready."""
        log = open(self.folder / "log", "ab")  # noqa: SIM115, the process has it
        command = [self.muster, "serve", "--config", str(self.folder / "muster.toml")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Unexpected(f"muster serve ended: {(self.folder / 'log').read_text()}")
            if self.ready():
                return self
            time.sleep(0.05)
        raise Unexpected(f"not ready: {(self.folder / 'log').read_text()}")

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:8080/health/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def keys(self):
        """What was told once."""
        return read_dev_env(self.folder / "data" / "plant.env")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_SECONDS)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@SUITE.case("production/official-clients-with-an-operators-certificate", own_server=True, needs=("openssl",))
def official_clients(case):
    """Enrolled by the service client; provisioned by the device client over MQTT and over its WebSocket; a restart."""
    server = Production(case).start()
    keys, root = server.keys(), server.folder / "root.pem"
    host = sas.parse(keys["MUSTER_SERVICE_CONNECTION_STRING"])["HostName"]
    expect(host, PRODUCTION, "HostName of the connection string")
    service = python_sdk.service_client(keys["MUSTER_SERVICE_CONNECTION_STRING"], root)
    case.at_end(service.close)
    for websockets in (False, True):
        name, key = case.name(), sas.new_key()
        attestation = symmetric_key(key, sas.new_key())
        service.enrollment.create_or_update(id=name, enrollment={"registrationId": name, "attestation": attestation})
        result = python_sdk.provision(
            PRODUCTION, keys["MUSTER_ID_SCOPE"], name, root.read_text(), key=key, websockets=websockets
        )
        expect(result["assignedHub"], case.first_hub, "assignedHub")
        expect(case.registry(case.first_hub, "get", name)["deviceId"], name, "the identity on the hub")
    expect(server.stop(), 0, "exit status")
    server.start()
    kept = service.device_registration_state.get(id=name)
    expect_that(kept["assignedHub"] == case.first_hub, f"kept over a restart: {kept}")
    expect(server.stop(), 0, "exit status")
