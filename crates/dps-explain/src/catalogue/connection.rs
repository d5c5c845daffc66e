//! Causes about connections that ended before there was a request.

use super::{Entry, inferred, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "TLS_CLIENT_ALERT_UNKNOWN_CA",
        "The device does not trust the server's certificate",
        "The device ended the handshake with unknown_ca: the root that it has pinned is not the one that the server's \
         certificate leads to.",
        "Install the root certificate of this server on the device; in development that is ca.pem of the data directory.",
    ),
    proven(
        "TLS_CLIENT_ALERT_CERTIFICATE",
        "The device refused the server's certificate",
        "The device ended the handshake with an alert about the certificate: bad, expired, revoked, unsupported or of another name.",
        "Compare the name that the device dials with the certificate's names, and the device's clock with its validity.",
    ),
    proven(
        "TLS_CLIENT_ALERT",
        "The device ended the handshake",
        "The device sent a TLS alert of its own.",
        "Look at the device's TLS log; muster doctor shows what the server offers.",
    ),
    proven(
        "TLS_VERSION",
        "The device offers no TLS version that is accepted",
        "TLS 1.2 and 1.3 are accepted.",
        "Update the device's TLS stack, or enable TLS 1.2 in it.",
    ),
    proven(
        "TLS_CIPHERS",
        "The device and the server share no cipher suite",
        "What the device offers is none of the suites with forward secrecy that are accepted.",
        "Enable ECDHE suites with AES-GCM or ChaCha20-Poly1305 on the device.",
    ),
    proven(
        "TLS_CLIENT_KEY",
        "The device does not hold its certificate's key",
        "The device presented a client certificate, but the handshake's signature was not made by its key.",
        "Install certificate and key that belong together.",
    ),
    proven(
        "TLS_NOT_SPOKEN",
        "The peer does not speak TLS",
        "What came is no TLS record: plain HTTP, plain MQTT, a port scan, or a proxy that is no tunnel.",
        "Connect with TLS; look at proxies between the device and the service.",
    ),
    proven(
        "TLS_HANDSHAKE_TIMEOUT",
        "The handshake was not finished in time",
        "The peer connected and stopped speaking: a load balancer's probe, a lossy network, or a device that sleeps.",
        "Nothing for probes. For devices look at the network, and at how long their handshake takes.",
    ),
    proven(
        "TLS_HANDSHAKE_FAILED",
        "The TLS handshake failed",
        "The handshake broke for another reason, which the log names.",
        "Look at the reason; muster doctor tries the same from the device's side.",
    ),
    proven(
        "PROTOCOL_ERROR",
        "The peer breaks the protocol",
        "After TLS the peer sent what MQTT, AMQP or HTTP do not allow.",
        "Look at the reason; check that the port fits the protocol: 8883 MQTT, 5671 AMQP, 443 HTTPS and WebSockets.",
    ),
    proven(
        "CONNECTION_LIMIT",
        "The connection was turned away for lack of room",
        "As many connections or handshakes are open as are allowed.",
        "Nothing, if it passes: devices come again. Otherwise raise the limits, or add a server.",
    ),
    inferred(
        "CONNECTION_REFUSED",
        "The connection was refused",
        "The connection ended before there was a request, for the reason that the log names.",
        "Look at the reason.",
    ),
    proven(
        "MQTT_CONNECT_REFUSED",
        "MQTT's CONNECT was refused",
        "User name or client id are not those of a device: {idScope}/registrations/{registrationId}/api-version=… and {registrationId}.",
        "Correct user name and client id.",
    ),
    proven(
        "IP_FILTER_REJECTED",
        "An IP filter rule rejects the device's address",
        "A rule of the provisioning service keeps the address out; the device hears what a wrong key hears.",
        "Put a rule that accepts the address before the one that rejects it.",
    ),
    proven(
        "PUBLIC_NETWORK_ACCESS_DISABLED",
        "The device calls from a public address",
        "The provisioning service has publicNetworkAccess disabled, and the address is no private one.",
        "Enable public network access, or let the device call from the private network.",
    ),
];
