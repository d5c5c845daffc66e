//! Causes about linked hubs, webhooks and allocation.

use super::{Entry, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "HUB_LINK_UNAUTHORIZED",
        "The linked hub refused the service's own key",
        "Attestation passed. The connection string of the linked hub is stale: its key was rolled, its policy was removed or \
         lacks RegistryReadWrite and ServiceConnect.",
        "Give the linked hub its current connection string.",
    ),
    proven(
        "HUB_NOT_FOUND",
        "The linked hub does not exist",
        "Attestation passed. The hub was deleted, its host name does not resolve, or it is linked no more.",
        "Correct the linked hub's host name, or remove the link.",
    ),
    proven(
        "HUB_UNREACHABLE",
        "The linked hub could not be reached",
        "Attestation passed. No answer came from the hub, or an error of its own; the stage says whether it was the name, \
         the connection, TLS or the answer.",
        "Look at the network between this server and the hub; the device tries again by itself.",
    ),
    proven(
        "HUB_THROTTLED",
        "The linked hub throttled the service",
        "Attestation passed. The hub takes no more identities at the moment; creating identities is one of its throttled operations.",
        "Nothing, if it passes: the operation is retried. Otherwise raise the hub's units, or spread devices over more hubs.",
    ),
    proven(
        "HUB_QUOTA_EXCEEDED",
        "The linked hub is full",
        "Attestation passed. The hub has as many devices as it may, or its messages of the day are used up (a free hub has 500 and 8,000).",
        "Raise the hub's units or tier, remove devices there, or link another hub.",
    ),
    proven(
        "HUB_REFUSED_IDENTITY",
        "The linked hub refused the identity",
        "Attestation passed. The hub answered that the identity or its twin is invalid.",
        "Look at deviceId and initialTwin of the enrollment: names in a twin must not begin with $ or contain a dot.",
    ),
    proven(
        "NO_HUB_AVAILABLE",
        "No linked hub may take the device",
        "Attestation passed, but none of the hubs that the enrollment names is linked and open for allocation.",
        "Link a hub, set its allocation weight above 0, or correct iotHubs of the enrollment.",
    ),
    proven(
        "WEBHOOK_UNAUTHORIZED",
        "The webhook answered that it is not authorized",
        "Custom allocation: a function of Azure answers 401 when its key is not in the URL.",
        "Add the function's key to the webhook's URL: ?code=….",
    ),
    proven(
        "WEBHOOK_UNREACHABLE",
        "The webhook could not be reached",
        "Custom allocation: no answer came from the webhook; the answer says whether it was the name, the connection, TLS or time.",
        "Look at the webhook's URL and at the network between this server and it.",
    ),
    proven(
        "WEBHOOK_FAILED",
        "The webhook answered with an error",
        "Custom allocation: the webhook answered with a status that is no success, or with something that is no allocation.",
        "Look at the webhook's answer in the device's timeline, and at the webhook's own log.",
    ),
    proven(
        "WEBHOOK_NAMED_NO_HUB",
        "The webhook named no hub",
        "Custom allocation: the webhook answered 200 without iotHubHostName.",
        "Let the webhook answer {\"iotHubHostName\": \"…\"} with one of the linkedHubs that it was told.",
    ),
    proven(
        "WEBHOOK_NAMED_UNKNOWN_HUB",
        "The webhook named a hub that it was not offered",
        "Custom allocation: iotHubHostName is none of the linkedHubs of the request.",
        "Let the webhook choose among linkedHubs; link the hub, or name it in iotHubs of the enrollment.",
    ),
];
