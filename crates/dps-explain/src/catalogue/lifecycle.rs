//! Causes that show after a device was let in: gaps of its timeline.

use super::{Entry, inferred, proven};

pub(super) const ENTRIES: &[Entry] = &[
    inferred(
        "NEVER_POLLED",
        "Registered, never polled",
        "The device got 202 with an operationId and did not ask for the result. Told in the device's timeline; no log row has it.",
        "Look at the device's code after 202: it has to poll the operation after Retry-After until it is assigned.",
    ),
    inferred(
        "NEVER_SEEN_ON_HUB",
        "Assigned, never seen on the hub",
        "The device was told its hub and did not connect to it. Told in the device's timeline; no log row has it.",
        "Look at the network between the device and the hub, and whether the device uses assignedHub and deviceId of the answer.",
    ),
    inferred(
        "CHALLENGE_NEVER_ANSWERED",
        "Challenge issued, never answered",
        "The TPM was challenged and no second request came: on a device with one key slot its old identity is gone already. \
         Told in the device's timeline; no log row has it.",
        "Look at the device's TPM: owner authorization, rights on /dev/tpm0, a resource manager.",
    ),
    inferred(
        "NOT_RETRIED_SINCE",
        "The service would accept now, the device has not tried since",
        "The device was refused, its enrollment was mended since, and it has not come back. Told in the device's timeline; no \
         log row has it.",
        "Make the device register again; for IoT Edge: iotedge system reprovision.",
    ),
    proven(
        "HUB_REFUSED_DEVICE",
        "The hub refused the device after it was assigned",
        "The device connected to the hub with what the hub does not accept.",
        "Compare deviceId and credential with the hub's identity; use what the assignment said.",
    ),
    proven(
        "HUB_REFUSED_MODULE",
        "The device names a module that its hub does not have",
        "The client id on the hub is deviceId/moduleId, and there is no such module.",
        "Remove the module id from the device's configuration, or create the module.",
    ),
    proven(
        "ASSIGNED_BUT_HUB_MISSING",
        "Assigned, but the hub does not have the device",
        "The registration says assigned, the hub has no such identity: it was deleted there. Told when somebody asks whether \
         the hub still has the device; no log row has it.",
        "Let the device register again, or delete the registration.",
    ),
    proven(
        "REPROVISIONED",
        "The device was moved to another hub",
        "Its enrollment's reprovisioning policy moved it; its twin went along, was reset, or stayed.",
        "Nothing, if it was meant.",
    ),
    proven(
        "ATTESTED",
        "The device proved who it is",
        "Its evidence fits the enrollment that is named, and why others were passed over is told.",
        "Nothing.",
    ),
];
