//! Causes that an operator's own call meets.

use super::{Entry, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "POP_WRONG_ISSUER",
        "The verification certificate was signed by another CA",
        "The certificate that is to prove possession names another issuer than the CA certificate that was uploaded, or \
         another key signed it.",
        "Sign the verification certificate with the key of the very CA certificate that was uploaded.",
    ),
    proven(
        "POP_WRONG_CODE",
        "The verification certificate is for another code",
        "Its common name is not the verification code that was generated last; each code replaces the one before.",
        "Generate a code, and sign a certificate with CN={code} before another is generated.",
    ),
    proven(
        "POP_INVALID",
        "The verification certificate cannot be used",
        "It cannot be read, is not one certificate, or is not valid now.",
        "Send the one certificate that the CA signed over the code, in PEM.",
    ),
    proven(
        "ETAG_STALE",
        "Somebody else changed it meanwhile",
        "The etag that was sent is not the current one: each step of a verification, each update gives a new one.",
        "Read it again, apply the change to what is there now, and send the new etag.",
    ),
    proven(
        "EXISTS_ALREADY",
        "It exists already",
        "Something of that name is there.",
        "Update it, or choose another name.",
    ),
    proven(
        "IN_USE",
        "It is still used",
        "A CA certificate or certificate that enrollments refer to cannot be removed or used twice.",
        "Change the enrollments that the message names first.",
    ),
    proven(
        "NOT_FOUND",
        "There is no such thing",
        "Nothing of that name exists in the provisioning service.",
        "List what there is, and correct the name.",
    ),
    proven(
        "CALLER_NOT_AUTHENTICATED",
        "It is not proven who calls",
        "The call shows no credential, or one that does not hold; the log names the reason.",
        "Check policy name and key, or the token's issuer, audience and expiry.",
    ),
    proven(
        "CALLER_NOT_ALLOWED",
        "The caller may not do this",
        "The policy lacks the right, or no role of the caller allows the action there.",
        "Use a policy with the right, or assign a role that has the action.",
    ),
];
