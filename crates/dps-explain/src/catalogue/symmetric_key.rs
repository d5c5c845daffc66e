//! Causes about keys, tokens and clocks.

use super::{Entry, inferred, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "EVIDENCE_MISSING",
        "The device showed nothing",
        "The device sent neither a SAS token nor a client certificate.",
        "Give the device the credential that its enrollment asks for; check that its TLS stack sends a client certificate.",
    ),
    proven(
        "EVIDENCE_OTHER_KIND",
        "The device showed another kind of credential than its enrollment asks for",
        "For example a SAS token where the enrollment is X.509.",
        "Change the device's attestation, or the enrollment's mechanism.",
    ),
    proven(
        "MECHANISM_UNAVAILABLE",
        "This server cannot check the enrollment's mechanism",
        "The enrollment has a mechanism that cannot be used here.",
        "Give the enrollment another mechanism.",
    ),
    proven(
        "SAS_MALFORMED",
        "The SAS token cannot be read",
        "It is no SharedAccessSignature with sr, sig and se.",
        "Build the token as SharedAccessSignature sr=…&sig=…&se=…&skn=registration.",
    ),
    proven(
        "SAS_RESOURCE_MISMATCH",
        "The SAS token is for something else",
        "sr is not {idScope}/registrations/{registrationId} of the request: another id scope, another device, or a token for a hub.",
        "Sign the token for {idScope}/registrations/{registrationId}.",
    ),
    proven(
        "SAS_EXPIRED",
        "The SAS token's time is over",
        "The signature is right, se is in the past. The device kept an old token, or its clock is behind.",
        "Make a new token for each registration, and set the device's clock before.",
    ),
    inferred(
        "CLOCK_SKEW",
        "The device's clock is wrong",
        "The token is signed with the right key and expired, as one is that was made moments ago by a clock that is behind.",
        "Set the device's clock (NTP, or the Date header of any answer of this service) before it makes a token.",
    ),
    inferred(
        "CLOCK_1970",
        "The device's clock was never set",
        "se lies near the start of the clock's count, 1970-01-01: the device has no battery-backed clock and did not ask for the time.",
        "Let the device ask for the time (NTP, or the Date header of any answer of this service) before it makes a token.",
    ),
    inferred(
        "CLOCK_AHEAD",
        "The device's clock is ahead, or its tokens never end",
        "se lies more than a year in the future.",
        "Set the device's clock; let tokens end within hours.",
    ),
    proven(
        "SAS_SIGNATURE_MISMATCH",
        "The SAS token is signed with another key",
        "Neither key of the enrollment made the signature, and none of the known mistakes explains it.",
        "Copy the enrollment's key to the device anew; for a group derive the device's key from it.",
    ),
    proven(
        "SAS_GROUP_KEY_USED",
        "The group's key was used as the device's",
        "The token is signed with the enrollment group's own key. A device signs with a key derived from it.",
        "Derive the device's key: HMAC-SHA256 of the registration id with the group's key.",
    ),
    proven(
        "SAS_DOUBLE_DERIVED",
        "The device's key was derived twice",
        "The token is signed with a key that was derived from the derived key: the device derives what is derived already.",
        "Derive once, either where the key is installed or on the device.",
    ),
    proven(
        "SAS_DERIVED_FROM_INDIVIDUAL_KEY",
        "A key was derived where none needs to be",
        "The device has an individual enrollment, whose key is used as it is; it signed with a key derived from it.",
        "Use the enrollment's key as it is.",
    ),
    proven(
        "SAS_DERIVED_FOR_OTHER_CASE",
        "The key was derived for the id in other letters",
        "The key was derived for the registration id in upper case. A derived key depends on the spelling.",
        "Derive the key for the registration id exactly as the device sends it.",
    ),
    proven(
        "SAS_KEY_NOT_DECODED",
        "The key's base64 text was used as the key",
        "The token is signed with the characters of the base64 text instead of the bytes that it stands for.",
        "Decode the key from base64 before it signs.",
    ),
    proven(
        "SAS_GROUP_KEY_NOT_DECODED",
        "The device's key was derived with the group key's base64 text",
        "The key of HMAC-SHA256 was the text of the group's key instead of the bytes that it stands for.",
        "Decode the group's key from base64 before the device's key is derived.",
    ),
    proven(
        "SAS_HEX_DIGEST",
        "The signature is hexadecimal text",
        "sig holds the digest as hexadecimal text, plain or in base64, instead of base64 of its bytes.",
        "Encode the digest's 32 bytes as base64.",
    ),
    proven(
        "SAS_LINE_FEED_MISSING",
        "The line feed between sr and se was not signed",
        "The text that is signed is sr, a line feed, se.",
        "Sign sr + \"\\n\" + se.",
    ),
    proven(
        "SAS_LINE_FEED_AT_END",
        "A line feed after se was signed",
        "The text that is signed is sr, a line feed, se, and no more.",
        "Sign sr + \"\\n\" + se; a shell's echo adds a line feed, printf does not.",
    ),
    proven(
        "SAS_SR_ENCODING",
        "sr was signed in another escaping than it was sent in",
        "The signature fits sr escaped in another way: %2F and %2f, or a colon left as it is.",
        "Sign the very text of sr that is sent.",
    ),
    proven(
        "SAS_OTHER_KEY_SLOT",
        "The secondary key was used",
        "The device signed with the enrollment's secondary key. Both are accepted, always.",
        "Nothing, while keys are rolled; afterwards move the device to the primary key.",
    ),
];
