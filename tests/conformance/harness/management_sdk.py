"""The Python client of the control plane, `azure-mgmt-iothubprovisioningservices`, unmodified: only its base URL and its
credential are ours.

Owns: making the client. It must not judge what it answers.
"""

import time

from azure.core.credentials import AccessToken
from azure.mgmt.iothubprovisioningservices import IotDpsClient

TOKEN_SECONDS = 3600


class StaticToken:
    """A credential that is one bearer token."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, int(time.time()) + TOKEN_SECONDS)


def client(env, token=None, api_version=None):
    """A client for the subscription of a server that said this in its `dev.env`."""
    subscription = env["MUSTER_RESOURCE_ID"].split("/")[2]
    options = {"api_version": api_version} if api_version else {}
    return IotDpsClient(
        StaticToken(token or env["MUSTER_BEARER_TOKEN"]),
        subscription,
        base_url=env["MUSTER_MANAGEMENT_URL"],
        connection_verify=env["MUSTER_CA_FILE"],
        **options,
    )
