//! Causes about TPMs.

use super::{Entry, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "EK_BYTE_ORDER",
        "The endorsement key is in the machine's byte order",
        "The blob's length fields are little-endian, as tpm2-tools writes its own files; its base64 begins OgE instead of AToA.",
        "Convert it: tpm2_readpublic -f tss … writes a TPM2B_PUBLIC in wire order.",
    ),
    proven(
        "EK_PARSE",
        "The endorsement key cannot be read",
        "The blob is no TPM2B_PUBLIC of an RSA key: cut short, a public key in another form, or that of another object.",
        "Read the key with tpm2_readpublic and send the TPM2B_PUBLIC in base64.",
    ),
    proven(
        "EK_ALGORITHM",
        "The endorsement key is of a kind that cannot be challenged",
        "A challenge is made for RSA keys of 2048 bits and more.",
        "Create the RSA endorsement key (template L-1, handle 0x81010001).",
    ),
    proven(
        "EK_TEMPLATE",
        "The endorsement key was created from another template",
        "Properties of the key, its attributes or its policy, are not those of the enrolled key or of an endorsement key.",
        "Create the key with the TCG's default template, and enroll that.",
    ),
    proven(
        "EK_CHANGED",
        "The device has another endorsement key than the enrolled one",
        "Another TPM (a swapped board, a cleared or simulated TPM), or the same TPM with another unique in the template.",
        "Enroll the endorsement key that the device presents.",
    ),
    proven(
        "EK_ENROLLED_UNDER_OTHER_ID",
        "The TPM is enrolled under another registration id",
        "The endorsement key that the device presents stands in an enrollment of another registration id: the board was \
         swapped, or the device uses the wrong id.",
        "Let the device use the id that its TPM is enrolled under, or move the endorsement key to the new enrollment.",
    ),
    proven(
        "SRK_MISSING",
        "The device sent no storage root key",
        "A challenge is wrapped so that this TPM alone can open it, which takes tpm.storageRootKey.",
        "Send tpm.storageRootKey with the register request, as the SDKs do.",
    ),
    proven(
        "SRK_PARSE",
        "The storage root key cannot be read",
        "The blob is no TPM2B_PUBLIC of an RSA key.",
        "Read the key with tpm2_readpublic and send the TPM2B_PUBLIC in base64.",
    ),
    proven(
        "SRK_ALGORITHM",
        "The storage root key is of a kind that nothing can be wrapped to",
        "A challenge is wrapped to an RSA storage root key.",
        "Create the RSA storage root key (handle 0x81000001).",
    ),
    proven(
        "SRK_TEMPLATE",
        "The storage root key was created from another template",
        "Its attributes are not those of a key that never leaves its TPM.",
        "Create the key with the TCG's default template.",
    ),
    proven(
        "TPM_CHALLENGE_UNANSWERED",
        "The device was challenged and has not answered",
        "The first request of a TPM is answered with a challenge; the second shows a token signed with what it holds.",
        "Nothing yet: it is how each TPM registration begins. If no answer follows, look at the device's TPM: owner \
         authorization, access to /dev/tpm0.",
    ),
    proven(
        "TPM_CHALLENGE_EXPIRED",
        "The challenge was answered too late",
        "The token is signed with the right key, after the challenge's time.",
        "Look at how long the TPM takes, and whether the device waits between the two requests.",
    ),
    proven(
        "TPM_KEY_NOT_ACTIVATED",
        "The answer is not signed with the challenge's key",
        "The device's TPM did not open the challenge, another key signed the token, or the answer was used already.",
        "Let the device register from the start: it gets a new challenge.",
    ),
    proven(
        "TPM_KEY_NOT_WRAPPED",
        "No challenge could be made for the device's keys",
        "The keys can be read, but nothing could be wrapped to them.",
        "Create endorsement key and storage root key with the TCG's default templates.",
    ),
];
