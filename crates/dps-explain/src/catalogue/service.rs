//! Causes that have nothing to do with who the device is.

use super::{Entry, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "API_VERSION_UNKNOWN",
        "The api-version is missing or unknown",
        "Each request names a published api-version.",
        "Send one of the published versions, e.g. api-version=2021-10-01.",
    ),
    proven(
        "ARGUMENT_INVALID",
        "A part of the request breaks a rule",
        "The message names the field, id or header.",
        "Correct what the message names.",
    ),
    proven(
        "BODY_MALFORMED",
        "The body is not the JSON that is expected",
        "The message names line, column and path.",
        "Correct the body at that place.",
    ),
    proven(
        "BODY_TOO_LARGE",
        "The body is larger than is read",
        "A register request has a bounded body; a custom payload is part of it.",
        "Send less; give the device what is large over its hub.",
    ),
    proven(
        "MEDIA_TYPE_UNSUPPORTED",
        "The body is not announced as JSON",
        "Content-Type is not application/json.",
        "Send Content-Type: application/json; charset=utf-8.",
    ),
    proven(
        "METHOD_NOT_ALLOWED",
        "The path does not take this method",
        "The path exists, with other methods.",
        "Use PUT to register, GET for the operation, POST for the registration.",
    ),
    proven(
        "ROUTE_NOT_FOUND",
        "The path, topic or address is not one of the service",
        "For example a registration id that was not escaped in an AMQP link address, or a hub's path.",
        "Use {idScope}/registrations/{registrationId}/… with the id escaped as in a URL.",
    ),
    proven(
        "THROTTLED",
        "The device asked too often, or the service has too much to do",
        "The answer said after how many seconds to try again.",
        "Wait for Retry-After, with random jitter, doubling the pause each time.",
    ),
    proven(
        "QUOTA_EXCEEDED",
        "A quota of the service is used up",
        "The provisioning service has as many enrollments or groups as its profile of limits allows.",
        "Delete what is not needed, or run the server with another profile of limits.",
    ),
    proven(
        "SERVICE_UNAVAILABLE",
        "The service was busy or closing",
        "The server could not take the request at that moment.",
        "Nothing: the device tries again after Retry-After, or uses its cached assignment.",
    ),
    proven(
        "INTERNAL",
        "The server failed",
        "A failure of this server, with its reason in the log.",
        "Look at the reason; report it if it is a defect.",
    ),
    proven(
        "ABANDONED",
        "The device went away before it was answered",
        "The connection ended while the request was handled.",
        "Look at the device's timeouts and at the network.",
    ),
    proven(
        "FAULT_INJECTED",
        "A fault was injected on purpose",
        "The development server was told to fail this request.",
        "Remove the fault when the test is over.",
    ),
];
