"""`muster dev` as a program: `dev.env`, ports, restarts, kill -9, a second process, a taken port.

Each case starts servers of its own on free ports, in a data folder of its own.
"""

import base64
import contextlib
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cases import SUITE
from cases.device_https import poll
from harness import raw_https, sas
from harness.errors import Unexpected, expect, expect_member, expect_that
from harness.raw_https import HttpDevice
from harness.raw_mqtt import RawMqtt
from harness.server import FREE_PORTS, Muster

KEYS = {
    "MUSTER_ID_SCOPE", "MUSTER_DEVICE_HOST", "MUSTER_HTTPS_PORT", "MUSTER_MQTT_PORT",
    "MUSTER_AMQP_PORT", "MUSTER_HTTP_PORT", "MUSTER_CA_FILE", "MUSTER_SERVICE_CONNECTION_STRING",
    "MUSTER_HUB_HOST", "MUSTER_HUB_CONNECTION_STRING", "MUSTER_RESOURCE_ID", "MUSTER_MANAGEMENT_URL",
    "MUSTER_LOGS_URL", "MUSTER_WORKSPACE_ID", "MUSTER_BEARER_TOKEN", "MUSTER_PORTAL_URL",
}  # fmt: skip
KEPT = (
    "MUSTER_ID_SCOPE", "MUSTER_SERVICE_CONNECTION_STRING", "MUSTER_HUB_CONNECTION_STRING",
    "MUSTER_WORKSPACE_ID", "MUSTER_RESOURCE_ID",
)  # fmt: skip
ENDS_SECONDS = 30


class Own:
    """A server of this case's own, in the shape that the raw clients take."""

    def __init__(self, case, *arguments, data_dir=None):
        self.server = Muster(case.muster, data_dir or case.scratch() / "data", *(arguments or FREE_PORTS))
        case.at_end(self.server.kill)

    def start(self):
        """Starts, and reads what `dev.env` says."""
        self.server.start()
        self.env = self.server.env
        self.host = self.env["MUSTER_DEVICE_HOST"]
        self.https_port = int(self.env["MUSTER_HTTPS_PORT"])
        self.mqtt_port = int(self.env["MUSTER_MQTT_PORT"])
        self.ca_file = self.env["MUSTER_CA_FILE"]
        self.id_scope = self.env["MUSTER_ID_SCOPE"]
        self.muster = None
        return self

    def service(self, method, path, body=None):
        """A request of the owner to the service API."""
        host = f"{self.host}:{self.https_port}" if self.https_port != 443 else self.host
        token = sas.service_token(self.env["MUSTER_SERVICE_CONNECTION_STRING"])
        headers = {"Authorization": token, "Host": host}
        return raw_https.request(self, method, f"{path}?api-version=2021-10-01", body, headers)

    def enroll(self, registration_id, key):
        """Enrolls a device with a symmetric key."""
        pair = {"primaryKey": key, "secondaryKey": sas.new_key()}
        body = {"registrationId": registration_id, "attestation": {"type": "symmetricKey", "symmetricKey": pair}}
        answer = self.service("PUT", f"/enrollments/{registration_id}", body)
        expect(answer.status, 200, f"status of the enrollment: {answer.raw[:200]}")
        return HttpDevice(self, registration_id, key)

    def hub(self, path):
        """A GET of the owner at the first hub."""
        text = self.env["MUSTER_HUB_CONNECTION_STRING"]
        headers = {"Authorization": sas.service_token(text), "Host": sas.parse(text)["HostName"]}
        return raw_https.request(self, "GET", f"{path}?api-version=2021-04-12", headers=headers)


def own(name, **options):
    """A case with servers of its own."""
    return SUITE.case(f"dev-mode/{name}", own_server=True, **options)


@own("dev-env")
def dev_env(case):
    """Every key is there, of the right form, in a file for its owner alone."""
    server = Own(case).start()
    env = server.env
    expect(set(env), KEYS, "keys of dev.env")
    expect(stat.S_IMODE(server.server.dev_env.stat().st_mode), 0o600, "mode of dev.env")
    expect_that(re.match(r"^0ne[0-9A-Za-z]{8}$", env["MUSTER_ID_SCOPE"]), f"scope {env['MUSTER_ID_SCOPE']}")
    for name in ("HTTPS", "MQTT", "AMQP"):
        expect_that(0 < int(env[f"MUSTER_{name}_PORT"]) < 65536, f"port of {name}")
    expect_member(env["MUSTER_HTTP_PORT"], ("0", ""), "the portal's port, turned off")
    expect((env["MUSTER_DEVICE_HOST"], env["MUSTER_HUB_HOST"]), ("localhost", "localhost"), "hosts")
    service, hub = (sas.parse(env[f"MUSTER_{name}_CONNECTION_STRING"]) for name in ("SERVICE", "HUB"))
    expect(service["SharedAccessKeyName"], "provisioningserviceowner", "policy of the service")
    expect(hub["SharedAccessKeyName"], "iothubowner", "policy of the hub")
    for fields in (service, hub):
        expect(fields["HostName"], f"localhost:{env['MUSTER_HTTPS_PORT']}", "HostName")
    pattern = r"^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Devices/provisioningServices/[^/]+$"
    expect_that(re.match(pattern, env["MUSTER_RESOURCE_ID"]), f"resource id {env['MUSTER_RESOURCE_ID']}")
    expect_that(re.match(r"^[0-9a-f-]{36}$", env["MUSTER_WORKSPACE_ID"]), "the workspace id is a GUID")
    expect_that(env["MUSTER_BEARER_TOKEN"], "there is a bearer token")
    shell = ["sh", "-c", f". '{server.server.dev_env}' && printf %s \"$MUSTER_HUB_CONNECTION_STRING\""]
    sourced = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=30).stdout
    expect(sourced, env["MUSTER_HUB_CONNECTION_STRING"], "a shell's reading of dev.env")
    expect(server.server.stop(), 0, "exit status after SIGTERM")
    expect(server.server.dev_env.exists(), False, "dev.env after the shutdown")


@own("sigint-ends-cleanly")
def sigint(case):
    """Ctrl-C ends it as SIGTERM does, while clients are connected."""
    server = Own(case).start()
    device = server.enroll("dev-1", sas.new_key())
    with RawMqtt(server) as idle, raw_https.connect(server):
        idle.connect_device(server, "dev-1", device.key)
        server.server.process.send_signal(signal.SIGINT)
        expect(server.server.process.wait(timeout=ENDS_SECONDS), 0, "exit status after SIGINT")
    expect(server.server.dev_env.exists(), False, "dev.env after the shutdown")


@own("restart-keeps-everything")
def restart(case):
    """Scope, keys, CA, enrollment, registration and hub identity outlive a clean restart."""
    options = ("--https-port", "--mqtt-port", "--amqp-port")
    ports = [word for option in options for word in (option, str(case.port()))] + ["--http-port", "0"]
    server = Own(case, *ports).start()
    device = server.enroll("kept", sas.new_key())
    before = poll(device, device.register().json["operationId"]).json["registrationState"]
    first, authority = server.env, Path(server.ca_file).read_bytes()
    expect(server.server.stop(), 0, "exit status")
    again = Own(case, *ports, data_dir=server.server.data_dir).start()
    for name in KEPT:
        expect(again.env[name], first[name], name)
    expect(Path(again.ca_file).read_bytes(), authority, "the CA")
    device = HttpDevice(again, "kept", device.key)
    expect(device.lookup().json, before, "the registration")
    expect(again.hub("/devices/kept").status, 200, "status of the hub identity")
    expect(poll(device, device.register().json["operationId"]).json["status"], "assigned", "status")


@own("names-may-change")
def names_may_change(case):
    """New names are in the server certificate after a restart; an unnamed hub keeps its data."""
    hubs = ("--hub", "hub-a.test")
    server = Own(case, *FREE_PORTS, *hubs).start()
    expect(server.env["MUSTER_HUB_HOST"], "hub-a.test", "MUSTER_HUB_HOST")
    device = server.enroll("moved", sas.new_key())
    state = poll(device, device.register().json["operationId"]).json["registrationState"]
    expect(state["assignedHub"], "hub-a.test", "assignedHub")
    expect(server.server.stop(), 0, "exit status")
    names = ("--host", "localhost", "--host", "127.0.0.1", "--hub", "hub-b.test")
    server = Own(case, *FREE_PORTS, *names, data_dir=server.server.data_dir).start()
    with socket.create_connection(("127.0.0.1", server.https_port), 10) as plain:
        # The handshake itself checks the address against the certificate.
        raw_https.context(server.ca_file).wrap_socket(plain, server_hostname="127.0.0.1").close()
    with socket.create_connection(("hub-b.test", server.https_port), 10) as plain:
        raw_https.context(server.ca_file).wrap_socket(plain, server_hostname="hub-b.test").close()
    device = server.enroll("later", sas.new_key())
    state = poll(device, device.register().json["operationId"]).json["registrationState"]
    expect(state["assignedHub"], "hub-b.test", "assignedHub of the next device")
    expect(server.server.stop(), 0, "exit status")
    server = Own(case, *FREE_PORTS, *hubs, data_dir=server.server.data_dir).start()
    expect(server.hub("/devices/moved").status, 200, "status of the identity at the hub that is back")


@own("kill-9-keeps-what-was-answered")
def kill_9(case):
    """Killed in the middle of registrations: every 202 is assigned once after the restart, same operation."""
    server = Own(case).start()
    devices = [server.enroll(f"storm-{number}", sas.new_key()) for number in range(24)]
    operations, lock = {}, threading.Lock()

    def attempt(device):
        with contextlib.suppress(OSError, ValueError, Unexpected):
            answer = device.register()
            if answer.status == 202:
                with lock:
                    operations[device.registration_id] = answer.json["operationId"]
                    if len(operations) == len(devices) // 2:
                        server.server.process.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, devices))
    server.server.kill()
    expect(server.server.process.returncode, -signal.SIGKILL, "the end of the first process")
    expect_that(server.server.dev_env.exists(), "a killed server leaves dev.env behind")
    server = Own(case, data_dir=server.server.data_dir).start()
    for device in devices:
        again = HttpDevice(server, device.registration_id, device.key)
        operation_id = operations.get(device.registration_id) or again.register().json["operationId"]
        state = poll(again, operation_id).json["registrationState"]
        expect((state["status"], state["deviceId"]), ("assigned", device.registration_id), "after the restart")
        identity = server.hub(f"/devices/{device.registration_id}")
        expect(identity.status, 200, f"status of the hub identity of {device.registration_id}")
    listed = [identity["deviceId"] for identity in server.hub("/devices").json]
    expect(sorted(listed), sorted(device.registration_id for device in devices), "identities at the hub")


@own("stale-dev-env-goes-first")
def stale_dev_env(case):
    """A leftover `dev.env` is gone before anything is bound, and stays away when the start fails."""
    server = Own(case)
    server.server.data_dir.mkdir(parents=True)
    server.server.dev_env.write_text("MUSTER_ID_SCOPE=stale\n", encoding="ascii")
    with taken_port() as port:
        status, output = run_to_end(case, server.server, "--https-port", str(port))
    expect_that(status != 0, "a taken port is a failure")
    expect(server.server.dev_env.exists(), False, f"the stale dev.env is still there ({output})")


@own("second-process-is-refused")
def second_process(case):
    """One data folder, one process; the first does not notice."""
    server = Own(case).start()
    before = server.server.dev_env.read_bytes()
    second = Muster(case.muster, server.server.data_dir, *FREE_PORTS)
    second.log = case.scratch() / "second.log"
    status, output = run_to_end(case, second, *FREE_PORTS)
    expect_that(status not in (0, None), f"exit status of the second process: {status}")
    expect_one_line(output, str(server.server.data_dir.name))
    expect(server.server.dev_env.read_bytes(), before, "dev.env of the first process")
    expect(server.enroll("still", sas.new_key()).register().status, 202, "status at the first process")
    expect(server.server.stop(), 0, "exit status of the first process")


@own("taken-port-is-one-clear-line")
def taken_port_is_told(case):
    """Whichever port is taken, the program ends at once and says which."""
    for option in ("--https-port", "--mqtt-port", "--amqp-port", "--http-port"):
        with taken_port() as port:
            ports = list(FREE_PORTS)
            ports[ports.index(option) + 1] = str(port)
            server = Muster(case.muster, case.scratch() / "data", *ports)
            status, output = run_to_end(case, server, *ports)
            expect_that(status not in (0, None), f"exit status with {option} taken: {status}")
            expect_one_line(output, str(port))
            expect(server.dev_env.exists(), False, f"dev.env with {option} taken")


@own("portal-port-and-metrics")
def portal_port(case):
    """The plain port serves `/metrics` on loopback alone."""
    port = case.port()
    ports = [*FREE_PORTS[:-1], str(port)]
    server = Own(case, *ports).start()
    expect(server.env["MUSTER_HTTP_PORT"], str(port), "MUSTER_HTTP_PORT")
    device = server.enroll("metered", sas.new_key())
    poll(device, device.register().json["operationId"])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
        expect_that(answer.headers["Content-Type"].startswith("text/plain"), "Content-Type of /metrics")
    expect_that(re.search(r"^# TYPE \S+ counter$", text, re.M), f"no counter in /metrics: {text[:300]}")
    expect_that(re.search(r"^# TYPE \S+ histogram$", text, re.M), f"no histogram in /metrics: {text[:300]}")


@own("metrics-pass-promtool", needs=("promtool",))
def promtool(case):
    """Names and texts of `/metrics` are as Prometheus' own tool wants them, in the older format; the newer one is served too."""
    port = case.port()
    server = Own(case, *FREE_PORTS[:-1], str(port)).start()
    device = server.enroll("scraped", sas.new_key())
    poll(device, device.register().json["operationId"])
    HttpDevice(server, "scraped", sas.new_key()).register()
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read()
    for name in (b"dps_attestation_attempts_total{", b"dps_device_assignments_total{", b"dps_operation_duration_seconds_"):
        expect_that(name in text, f"{name} is not in /metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    expect((done.returncode, done.stdout + done.stderr), (0, b""), "what promtool says")
    request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        expect_that(answer.headers["Content-Type"].startswith("application/openmetrics-text"), "OpenMetrics' type")
        expect_that(answer.read().endswith(b"# EOF\n"), "OpenMetrics' end")


def attempts_of(server):
    """Attestation attempts of the last hour, by status, as the metrics API tells them."""
    path = f"{server.env['MUSTER_RESOURCE_ID']}/providers/Microsoft.Insights/metrics"
    query = "api-version=2024-02-01&metricnames=AttestationAttempts&interval=FULL&$filter=Status%20eq%20'*'"
    token = {"Authorization": f"Bearer {server.env['MUSTER_BEARER_TOKEN']}"}
    answer = raw_https.request(server, "GET", f"{path}?{query}", headers=token)
    expect(answer.status, 200, f"status of {path}: {answer.json}")
    series = answer.json["value"][0]["timeseries"]
    return {one["metadatavalues"][0]["value"]: one["data"][0]["total"] for one in series}


@own("metrics-outlive-a-restart")
def metrics_restart(case):
    """What was counted is there within two seconds, and after a clean restart, and is counted on from there."""
    server = Own(case).start()
    key = sas.new_key()
    device = server.enroll("counted", key)
    poll(device, device.register().json["operationId"])
    HttpDevice(server, "counted", sas.new_key()).register()
    deadline = time.monotonic() + 2
    while (seen := attempts_of(server)) != {"Success": 1, "ClientError": 1}:
        expect_that(time.monotonic() < deadline, f"attempts after two seconds: {seen}")
        time.sleep(0.05)
    expect(server.server.stop(), 0, "exit status")
    server.start()
    expect(attempts_of(server), {"Success": 1, "ClientError": 1}, "after the restart")
    HttpDevice(server, "counted", key).register()
    deadline = time.monotonic() + 2
    while (seen := attempts_of(server)) != {"Success": 2, "ClientError": 1}:
        expect_that(time.monotonic() < deadline, f"attempts after the restart and two seconds: {seen}")
        time.sleep(0.05)


@own("secrets-are-not-on-disk-in-the-clear")
def secrets_on_disk(case):
    """Neither an enrollment's key nor a hub key can be read from the data folder."""
    server = Own(case).start()
    key = sas.new_key()
    device = server.enroll("secret", key)
    poll(device, device.register().json["operationId"])
    expect(server.server.stop(), 0, "exit status")
    for path in server.server.data_dir.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            expect_that(key.encode() not in data, f"the key is in {path.name} as text")
            expect_that(base64.b64decode(key) not in data, f"the key is in {path.name} as bytes")
    expect_that(key not in server.server.log.read_text(encoding="utf-8"), "the key is in the output")
    private = [path for path in server.server.data_dir.rglob("*key*") if path.is_file()]
    expect_that(private, "there are key files")
    for path in private:
        expect(stat.S_IMODE(path.stat().st_mode), 0o600, f"mode of {path.name}")


@own("attempts-are-printed")
def attempts_are_printed(case):
    """Every attempt is in the output as it happens, the refused one too, and the ID scope is."""
    server = Own(case).start()
    device = server.enroll("seen-well", sas.new_key())
    expect(device.register().status, 202, "status")
    expect(HttpDevice(server, "seen-badly", sas.new_key()).register().status, 401, "status")
    expect(server.server.stop(), 0, "exit status")
    output = server.server.log.read_text(encoding="utf-8")
    for text in ("seen-well", "seen-badly", server.id_scope):
        expect_that(text in output, f"{text} is not in the output: {server.server.tail()}")


@own("what-is-not-built-answers-cleanly")
def not_built(case):
    """What Azure has there and this server has not: a 404 with the error body of the API that it belongs to."""
    server = Own(case).start()
    token = {"Authorization": f"Bearer {server.env['MUSTER_BEARER_TOKEN']}"}
    baselines = f"{server.env['MUSTER_RESOURCE_ID']}/providers/Microsoft.Insights/metricBaselines"
    answer = raw_https.request(server, "GET", f"{baselines}?api-version=2019-03-01", headers=token)
    expect((answer.status, answer.json["error"]["code"]), (404, "InvalidResourceType"), f"answer of {baselines}")
    expect_that(answer.json["trackingId"], "the error names its tracking id")


@contextlib.contextmanager
def taken_port():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def run_to_end(case, server, *arguments):
    """Starts a server that is to end by itself; returns (exit status, what it printed)."""
    server.arguments = list(arguments)
    process = server.spawn()
    case.at_end(server.kill)
    try:
        status = process.wait(timeout=ENDS_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unexpected(f"still running after {ENDS_SECONDS} s: {server.tail()}") from None
    return status, server.log.read_text(encoding="utf-8", errors="replace")


def expect_one_line(output, mentions):
    """One line that names what is wrong, and no backtrace."""
    lines = [line for line in output.splitlines() if line.strip()]
    expect(len(lines), 1, f"number of lines printed ({output!r})")
    expect_that(mentions in lines[0], f"{mentions} is not named: {lines[0]}")
    expect_that("panicked" not in lines[0], f"a panic: {lines[0]}")
