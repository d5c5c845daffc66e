"""Who may do what: bearer tokens of an identity provider (made by PyJWT) and the server's own, through the official
Python service client, and what becomes of tokens that nobody should accept.
"""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from azure.core.credentials import AccessToken
from azure.iot.deviceprovisioning import DeviceProvisioningClient
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cases import SUITE
from cases.dev_mode import Own
from harness import python_sdk, raw_https
from harness.device_sdks import expect_error_body
from harness.errors import expect, expect_member, refusal
from harness.server import FREE_PORTS

AUDIENCE = "https://azure-devices-provisioning.net"
CONTRIBUTOR = "Device Provisioning Service Data Contributor"
READER = "Device Provisioning Service Data Reader"
BODY = {"attestation": {"type": "symmetricKey"}}


class Provider:
    """An OIDC provider: a discovery document and a key set, over plain HTTP on this machine."""

    def __init__(self, case):
        self.keys = {}
        self.asked = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append(self.path)
                documents = {
                    "/.well-known/openid-configuration": {
                        "issuer": provider.issuer,
                        "jwks_uri": f"{provider.issuer}/keys",
                    },
                    "/keys": {"keys": [public for _, public in provider.keys.values()]},
                }
                body = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.at_end(self.server.server_close)
        case.at_end(self.server.shutdown)

    def add(self, key_id, algorithm):
        """A new key of the kind that the algorithm takes."""
        if algorithm.startswith("ES"):
            key = ec.generate_private_key(ec.SECP256R1())
            public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        self.keys[key_id] = (key, {**public, "kid": key_id, "use": "sig"})

    def token(self, key_id, algorithm, role=CONTRIBUTOR, key=None, **claims):
        """A token of somebody with that role."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": "somebody", "roles": [role], "jti": "token-1",
            "iat": now, "nbf": now, "exp": now + 600, **claims,
        }  # fmt: skip
        key = self.keys[key_id][0] if key is None else key
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})

    def settings(self, folder):
        """The file for `--identity-provider`."""
        lines = [f'issuer = "{self.issuer}"']
        for role in (CONTRIBUTOR, READER):
            lines += ["[[role_assignments]]", 'claim = "roles"', f'value = "{role}"', f'role = "{role}"']
        path = folder / "provider.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)


class Static:
    """A credential that has its token already, and notes the scope that it is asked for."""

    def __init__(self, token):
        self.token = token
        self.scopes = set()

    def get_token(self, *scopes, **_):
        self.scopes.update(scopes)
        return AccessToken(self.token, int(time.time()) + 600)


def started(case):
    """A provider with two keys, and a server that believes it."""
    provider = Provider(case)
    provider.add("rsa-1", "RS256")
    provider.add("ec-1", "ES256")
    arguments = (*FREE_PORTS, "--identity-provider", provider.settings(case.scratch()))
    return provider, Own(case, *arguments).start()


def client(case, server, token):
    """The official client, with a credential instead of a connection string."""
    credential = Static(token)
    url = f"https://{server.host}:{server.https_port}"
    made = DeviceProvisioningClient(url, credential, connection_verify=str(server.ca_file))
    case.at_end(made.close)
    return made, credential


def call(server, method, path, authorization, body=None, host=None):
    headers = {"Host": host or f"{server.host}:{server.https_port}"}
    if authorization is not None:
        headers["Authorization"] = authorization
    return raw_https.request(server, method, f"{path}?api-version=2021-10-01", body, headers)


@SUITE.case("access/python/bearer-roles", own_server=True)
def bearer_roles(case):
    """A contributor writes and sees keys, a reader reads; both are asked for Azure's scope."""
    provider, server = started(case)
    for key_id, algorithm in (("rsa-1", "RS256"), ("rsa-1", "PS256"), ("ec-1", "ES256")):
        registration_id = case.name()
        writer, credential = client(case, server, provider.token(key_id, algorithm))
        made = writer.enrollment.create_or_update(registration_id, {**BODY, "registrationId": registration_id})
        expect(made["registrationId"], registration_id, f"enrollment with {algorithm}")
        expect(credential.scopes, {f"{AUDIENCE}/.default"}, "scope that the client asks a token for")
        keys = writer.enrollment.get_attestation_mechanism(registration_id)
        expect(keys["symmetricKey"], made["attestation"]["symmetricKey"], "keys")

        reader, _ = client(case, server, provider.token(key_id, algorithm, role=READER))
        got = reader.enrollment.get(registration_id)
        expect(got["etag"], made["etag"], "etag that the reader sees")
        for what in (
            lambda name=registration_id: reader.enrollment.delete(name),
            lambda name=registration_id: reader.enrollment.get_attestation_mechanism(name),
        ):
            with_sdk = refusal("ClientAuthenticationError", refused, what)
            expect(with_sdk.status, 401, "status for a reader")
        writer.enrollment.delete(registration_id)
    expect(sorted(set(provider.asked)), ["/.well-known/openid-configuration", "/keys"], "documents asked for")


def refused(what):
    """The client's exception as the harness compares it."""
    with python_sdk.raised():
        return what()


@SUITE.case("access/python/development-token")
def development_token(case):
    """`MUSTER_BEARER_TOKEN` does everything on the service API, through the official client."""
    registration_id = case.name()
    service, _ = client(case, case, case.env["MUSTER_BEARER_TOKEN"])
    case.at_end(service.enrollment.delete, registration_id)
    made = service.enrollment.create_or_update(registration_id, {**BODY, "registrationId": registration_id})
    expect(service.enrollment.get(registration_id)["etag"], made["etag"], "etag")
    wrong, _ = client(case, case, case.env["MUSTER_BEARER_TOKEN"][:-1])
    error = refusal("ClientAuthenticationError", refused, lambda: wrong.enrollment.get(registration_id))
    expect(error.status, 401, "status with a part of the token")


@SUITE.case("access/hostile-tokens", own_server=True)
def hostile_tokens(case):
    """What PyJWT and a forger can make, and the server must not take: one answer for all."""
    provider, server = started(case)
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = provider.token("rsa-1", "RS256")
    header, claims, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa-1"}').decode().rstrip("=")
    forged = base64.urlsafe_b64encode(json.dumps({"sub": "root"}).encode()).decode().rstrip("=")
    # The public key as the secret of a MAC.
    secret = provider.keys["rsa-1"][1]["n"]
    for what, token in {
        "none": f"{unsigned}.{claims}.",
        "HS256": provider.token("rsa-1", "HS256", key=secret),
        "another's key": provider.token("rsa-1", "RS256", key=stranger),
        "a key id that is not there": provider.token("nobody", "RS256", key=stranger),
        "other claims": f"{header}.{forged}.{signature}",
        "expired": provider.token("rsa-1", "RS256", exp=now - 3_600),
        "to come": provider.token("rsa-1", "RS256", nbf=now + 3_600),
        "another audience": provider.token("rsa-1", "RS256", aud="https://iothubs.azure.net"),
        "another issuer": provider.token("rsa-1", "RS256", iss="https://evil.test"),
        "no role": provider.token("rsa-1", "RS256", role="Owner"),
        "too long": provider.token("rsa-1", "RS256", padding="x" * 20_000),
        "nonsense": "nonsense",
    }.items():
        answer = call(server, "GET", "/enrollments/a", f"Bearer {token}")
        expect_error_body(answer.json, 401000, ("Unauthorized",))
        expect(answer.status, 401, f"status for {what}")
    answer = call(server, "GET", "/enrollments/a", f"Bearer {good}")
    expect(answer.status, 404, "status with the good token: there is no such enrollment")
    expect_member(provider.asked.count("/keys"), (1, 2), "how often the keys were asked for")
