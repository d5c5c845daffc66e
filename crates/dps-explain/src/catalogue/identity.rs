//! Causes about who a device says it is.

use super::{Entry, inferred, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "ENROLLMENT_NOT_FOUND",
        "No enrollment knows this device",
        "No individual enrollment has the registration id, and what the device showed leads to no enrollment group.",
        "Create an individual enrollment for the device, or a group for what it shows; the inbox has it ready.",
    ),
    inferred(
        "ENROLLMENT_NEAR_MISS",
        "An enrollment has nearly this registration id",
        "Nobody is enrolled under the registration id, but somebody is whose id differs by a letter or two: a typing error \
         on one of the two sides.",
        "Correct the registration id on the device, or enroll it under the id that it uses.",
    ),
    proven(
        "ENROLLMENT_IN_OTHER_SERVICE",
        "The device is enrolled in another provisioning service",
        "Another provisioning service of this server has an enrollment of exactly this registration id: the device uses the \
         wrong id scope.",
        "Give the device the id scope of the provisioning service that it is enrolled in.",
    ),
    proven(
        "ENROLLMENT_DISABLED",
        "The enrollment is disabled",
        "The device proved who it is, but its enrollment has provisioningStatus disabled.",
        "Enable the enrollment, if the device shall be let in.",
    ),
    proven(
        "ID_SCOPE_UNKNOWN",
        "No provisioning service has this id scope",
        "The device names an id scope that is none of this server's.",
        "Copy the id scope of the provisioning service to the device; it is no secret and no name.",
    ),
    inferred(
        "ID_SCOPE_NEAR_MISS",
        "A provisioning service has nearly this id scope",
        "The id scope that the device names differs by a letter or two from one of this server's: O for 0 is the commonest.",
        "Correct the id scope on the device.",
    ),
    proven(
        "REGID_CHARSET",
        "The registration id has a character that is not allowed",
        "A registration id is letters, digits and - . _ : and ends with a letter, a digit or -. A device id on a hub allows \
         more: an id with @ can be the deviceId of an individual enrollment.",
        "Change the registration id; keep the other name as deviceId of an individual enrollment.",
    ),
    proven(
        "REGID_LENGTH",
        "The registration id is empty or too long",
        "A registration id has 1 to 128 characters; the common name of a certificate has room for 64.",
        "Shorten the registration id.",
    ),
    proven(
        "REGID_MISMATCH",
        "The request names two registration ids",
        "The registration id in the body, the client id or the link address is not the one that the connection is addressed to.",
        "Send the same registration id in both places.",
    ),
    proven(
        "REGID_CASE",
        "The registration id is spelt in other letters than its enrollment",
        "Registration ids are compared without regard to case, so the device is let in; what derives from the id, as a \
         group's device key, does not ignore case.",
        "Spell the id alike on both sides.",
    ),
    proven(
        "REGISTRATION_NOT_FOUND",
        "The device has not registered",
        "A registration was looked up that does not exist: the device never registered, or its record was deleted.",
        "Let the device register; if it keeps credentials of an earlier assignment, make it discard them.",
    ),
    proven(
        "OPERATION_NOT_FOUND",
        "The operation is not known",
        "The device polls an operationId that this service did not give it for this registration, or that a later \
         registration replaced.",
        "Let the device register again and poll the operationId of that answer.",
    ),
    proven(
        "REGISTRATION_CONFLICT",
        "Two requests changed the registration at the same time",
        "The device registered twice at once, or somebody deleted its registration meanwhile; the second was turned away.",
        "Nothing, if it happens once: the device tries again. If it happens often, two devices use one registration id.",
    ),
];
