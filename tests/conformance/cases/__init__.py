"""The cases, one module per subject. A module declares its cases in `SUITE` when it is imported."""

from harness.runner import Suite

SUITE = Suite()

# Written, not yet built: `SUITE.pend(name, reason)`, taken out when the server can do it.

from cases import (  # noqa: E402, F401
    access,
    alerts,
    allocation,
    amqp_by_hand,
    amqp_links,
    amqp_protocol,
    bad_input,
    ci_guide,
    control_plane,
    dev_mode,
    device_https,
    device_mqtt,
    diagnostic_settings,
    hub_device,
    hub_registry,
    logs,
    metrics,
    mqtt_by_hand,
    production,
    provisioning_matrix,
    provisioning_more,
    service_api,
    service_queries,
    tpm,
    tpm_tools,
    websocket_by_hand,
)

import diagnosis  # noqa: E402, F401
