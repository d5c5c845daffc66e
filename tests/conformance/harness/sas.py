"""Symmetric keys and shared access signatures, written by hand: for what the SDKs cannot be made to send.

Owns: the arithmetic of facts every SDK agrees on (HMAC-SHA256 over `sr`, newline, `se`).
"""

import base64
import hashlib
import hmac
import os
import time
from urllib.parse import quote


def new_key():
    """64 random bytes, base64: what the service itself generates."""
    return base64.b64encode(os.urandom(64)).decode()


def derived_key(group_key, registration_id):
    """The device's key under a symmetric-key enrollment group."""
    return _hmac(group_key, registration_id)


def device_token(id_scope, registration_id, key, lifetime=3600, skn="registration", expiry=None):
    """A device's token; `expiry` (seconds since the epoch) overrides the lifetime."""
    return token(f"{id_scope}/registrations/{registration_id}", key, skn, lifetime, expiry)


def service_token(connection_string, lifetime=3600):
    """A token of a connection string's policy, for the service and the hub REST."""
    fields = parse(connection_string)
    return token(fields["HostName"], fields["SharedAccessKey"], fields["SharedAccessKeyName"], lifetime)


def token(resource, key, skn, lifetime=3600, expiry=None):
    encoded = quote(resource, safe="")
    until = int(time.time()) + lifetime if expiry is None else expiry
    signature = quote(_hmac(key, f"{encoded}\n{until}"), safe="")
    name = f"&skn={skn}" if skn is not None else ""
    return f"SharedAccessSignature sr={encoded}&sig={signature}&se={until}{name}"


def parse(connection_string):
    """The fields of a connection string."""
    return dict(field.split("=", 1) for field in connection_string.split(";") if field)


def _hmac(key, text):
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
