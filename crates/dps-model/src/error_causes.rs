//! What usually lies behind each failure, the likeliest first: an operator's list to go through. Owns the words; what the
//! failure is stands in the catalogue.

use crate::ErrorCode;
use crate::ErrorCode as C;

impl ErrorCode {
    /// What usually lies behind it, the likeliest first.
    pub fn likely_causes(self) -> &'static [&'static str] {
        CAUSES.iter().find(|(code, _)| *code == self).map_or(&[], |(_, causes)| *causes)
    }

    /// The control plane alone answers so: the activity log has it, not the resource logs.
    pub const fn is_of_control_plane(self) -> bool {
        matches!(
            self,
            Self::AuthorizationFailed
                | Self::InstanceNotFound
                | Self::CaCertificateNotFound
                | Self::AccessPolicyNotFound
                | Self::ManagedOperationNotFound
                | Self::InstanceExists
                | Self::InstanceIsDefault
                | Self::CaCertificateInUse
                | Self::DiagnosticSettingNotFound
                | Self::DiagnosticSettingConflict
                | Self::QueryTooSlow
        )
    }
}

/// A test sees to it that every code has a row.
const CAUSES: &[(C, &[&str])] = &[
    (
        C::ApiVersionUnknown,
        &[
            "the api-version is missing from the query string, or from the MQTT user name",
            "a typing error in the version, or a preview that was never published",
        ],
    ),
    (
        C::ArgumentInvalid,
        &[
            "the registration id has a character that is not allowed, or is longer than 128",
            "a member of an enrollment contradicts another one",
            "the etag or the page size in a header is malformed",
        ],
    ),
    (
        C::BodyMalformed,
        &[
            "the firmware builds JSON by hand and leaves a quote or a comma out",
            "a member is a string where a number is due, or the reverse",
            "the body was cut by a buffer that is too small",
        ],
    ),
    (
        C::CustomAllocationFailed,
        &[
            "the webhook's function throws or does not start",
            "it names a hub that is not linked to this provisioning service",
            "it answers too late, or with a redirect",
        ],
    ),
    (C::CustomAllocationHubNotSpecified, &["the webhook's answer lacks iotHubHostName, or has it empty"]),
    (
        C::CustomAllocationUnauthorized,
        &["the URL of the webhook lacks the function key", "the function key was renewed"],
    ),
    (
        C::NoHubAvailable,
        &[
            "no hub is linked yet",
            "the hubs that the enrollment names were unlinked",
            "every linked hub is closed for allocation",
        ],
    ),
    (
        C::Unauthorized,
        &[
            "no enrollment has this registration id, or it is disabled",
            "the device signs with the group's key in place of its own derived one",
            "the device's clock is wrong, so the token is expired or its lifetime is too long",
            "the resource of the token is not {idScope}/registrations/{registrationId}, or is escaped otherwise than signed",
            "the key was renewed in the enrollment and not on the device",
            "it is the first half of TPM attestation: the device answers the challenge in its body and goes on",
        ],
    ),
    (
        C::HubNotFound,
        &[
            "the hub was deleted or renamed after it was linked",
            "its host name does not resolve from this server",
        ],
    ),
    (
        C::CertificateRejected,
        &[
            "the device sends its own certificate without the intermediate ones",
            "the root or intermediate certificate is uploaded but not verified",
            "the common name of the certificate is not the registration id",
            "the certificate has expired, or the device's certificate was renewed and the enrollment has the old one",
            "the CA was issued anew with the same name and another key",
        ],
    ),
    (
        C::HubUnauthorized,
        &[
            "the hub's shared access key was renewed after it was linked",
            "the linked policy lacks the rights to read and write the registry",
        ],
    ),
    (C::QuotaExceeded, &["the profile of limits `azure` is in force, whose quotas are Azure's"]),
    (
        C::AuthorizationFailed,
        &[
            "the principal has no role on this resource",
            "the role was assigned on another resource group or subscription",
        ],
    ),
    (C::HubQuotaExceeded, &["the hub's daily message quota or its number of devices is used up"]),
    (C::RouteNotFound, &["a typing error in the path", "the id scope is missing from a device's path"]),
    (C::EnrollmentNotFound, &["a typing error in the id", "the enrollment was deleted in the meantime"]),
    (
        C::RegistrationNotFound,
        &["the device has never registered", "somebody deleted its registration to make it register anew"],
    ),
    (
        C::OperationNotFound,
        &[
            "the device polls an operation of before its last registration",
            "the registration was deleted while the device polled",
            "the operationId was truncated or escaped twice by the client",
        ],
    ),
    (C::IdScopeNotFound, &["the device has another provisioning service's id scope"]),
    (C::InstanceNotFound, &["a typing error in the name or the resource group", "it was deleted"]),
    (C::CaCertificateNotFound, &["a typing error in the name", "it was deleted"]),
    (C::AccessPolicyNotFound, &["a typing error in the name", "the policy was removed or renamed"]),
    (C::ManagedOperationNotFound, &["the operation is older than what is kept", "its URL was altered"]),
    (C::DiagnosticSettingNotFound, &["a typing error in the name", "the setting was deleted"]),
    (
        C::MethodNotAllowed,
        &["the registration id is missing from the path", "POST where PUT is due, or the reverse"],
    ),
    (C::EnrollmentExists, &["a script that creates was run twice", "the id is used by another team"]),
    (
        C::RegistrationConflict,
        &[
            "the device registers over two connections at once",
            "two devices have the same registration id and key",
        ],
    ),
    (C::CertificateInUse, &["one certificate was enrolled for two devices"]),
    (C::InstanceExists, &["the name is taken in another resource group of this server"]),
    (C::InstanceIsDefault, &["the first provisioning service of a server was to be deleted"]),
    (C::CaCertificateInUse, &["enrollment groups still name the certificate"]),
    (
        C::DiagnosticSettingConflict,
        &[
            "a template of the organisation made a setting before this one",
            "an older setting of another name was meant to be replaced: a setting is replaced by its name",
        ],
    ),
    (
        C::EtagMismatch,
        &[
            "somebody else changed it between reading and writing",
            "a cached etag was sent; each step of verifying a certificate makes a new one",
            "a certificate is changed without If-Match",
        ],
    ),
    (C::BodyTooLarge, &["a bulk operation or an initial twin that is larger than a message may be"]),
    (C::MediaTypeUnsupported, &["the client leaves Content-Type out, or sends a form"]),
    (
        C::Throttled,
        &[
            "many devices start at the same moment, after a power cut for example",
            "the device polls without waiting for Retry-After",
            "the firmware registers anew at every start or every lost connection",
        ],
    ),
    (C::HubThrottled, &["the hub's units are too few for the rate of registrations"]),
    (C::Internal, &["the disk is full, or the database cannot be written", "a defect of the server"]),
    (
        C::HubUnreachable,
        &[
            "a firewall or DNS between this server and the hub",
            "the hub's certificate is not trusted here",
            "the hub fails at the moment",
        ],
    ),
    (
        C::QueryTooSlow,
        &[
            "the query reads more days than it needs: no condition on TimeGenerated",
            "it sorts or groups by something that every row has a value of its own of",
        ],
    ),
    (C::Unavailable, &["the server is being restarted", "an identity provider hands out no keys"]),
];
