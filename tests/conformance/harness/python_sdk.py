"""The Python SDKs, called in this process: `azure-iot-device` and `azure-iot-deviceprovisioning`.

Owns: turning their results and exceptions into what the cases compare. It must not judge them.
"""

import asyncio
import contextlib
import json

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.iot.device import IoTHubDeviceClient, ProvisioningDeviceClient, X509
from azure.iot.device.aio import ProvisioningDeviceClient as AsyncProvisioningDeviceClient
from azure.iot.deviceprovisioning import DeviceProvisioningClient

from harness.errors import SdkError

# The condition under which the SDKs send an etag.
IF_NOT_MODIFIED = MatchConditions.IfNotModified


def provision(host, id_scope, registration_id, ca_pem, key=None, files=None, payload=None, websockets=False):
    """Registers with the synchronous client; returns the result as the JSON it came from."""
    client = _create(ProvisioningDeviceClient, host, id_scope, registration_id, ca_pem, key, files, websockets)
    client.provisioning_payload = payload
    try:
        with raised():
            return _result(client.register())
    finally:
        # Already shut down after success; after an error the client would keep its threads.
        with contextlib.suppress(Exception):
            client._pipeline.shutdown(callback=lambda **_: None)


def provision_async(host, id_scope, registration_id, ca_pem, key=None, files=None, payload=None):
    """The same with the asynchronous client."""

    async def register():
        client = _create(AsyncProvisioningDeviceClient, host, id_scope, registration_id, ca_pem, key, files)
        client.provisioning_payload = payload
        return await client.register()

    with raised():
        return _result(asyncio.run(register()))


def device(host, device_id, ca_pem, key=None, files=None, websockets=False):
    """A connected device of a hub; the caller shuts it down."""
    options = {"server_verification_cert": ca_pem, "connection_retry": False, "auto_connect": True}
    options["websockets"] = websockets
    if key is not None:
        client = IoTHubDeviceClient.create_from_symmetric_key(key, host, device_id, **options)
    else:
        client = IoTHubDeviceClient.create_from_x509_certificate(X509(*files), host, device_id, **options)
    try:
        with raised():
            client.connect()
    except SdkError:
        client.shutdown()
        raise
    return client


def service_client(connection_string, ca_file):
    """A client of the service API."""
    return DeviceProvisioningClient.from_connection_string(connection_string, connection_verify=str(ca_file))


@contextlib.contextmanager
def raised():
    """Turns the SDK's exceptions into `SdkError`."""
    try:
        yield
    except SdkError:
        raise
    except HttpResponseError as error:
        body = error.response.json() if error.response is not None and error.response.text() else None
        raise SdkError(type(error).__name__, str(error), result=body, status=error.status_code) from error
    except Exception as error:  # noqa: BLE001, every class is an outcome here
        cause = error.__cause__
        below = f"{type(cause).__name__}: {cause}" if cause is not None else None
        raise SdkError(type(error).__name__, str(error), cause=below) from error


def _create(client_class, host, id_scope, registration_id, ca_pem, key, files, websockets=False):
    options = {"server_verification_cert": ca_pem, "websockets": websockets}
    if key is not None:
        return client_class.create_from_symmetric_key(host, registration_id, id_scope, key, **options)
    return client_class.create_from_x509_certificate(host, registration_id, id_scope, X509(*files), **options)


def _result(result):
    state = result.registration_state
    return {
        "operationId": result.operation_id,
        "status": result.status,
        "registrationId": None,
        "deviceId": state.device_id,
        "assignedHub": state.assigned_hub,
        "substatus": state.sub_status,
        "createdDateTimeUtc": state.created_date_time,
        "lastUpdatedDateTimeUtc": state.last_update_date_time,
        "etag": state.etag,
        "payload": json.loads(state.response_payload),
    }
