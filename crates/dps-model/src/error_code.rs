//! The catalogue of failures: one row per six-digit code. Owns what each means and whose fault it is; must not know
//! how a protocol renders it (that is device-api's `reject`).
//!
//! `code / 1000` is the HTTP status, a rule that clients compute with. Azure gives 401002 two meanings (the device's
//! certificate, the linked hub's key): they are two rows, told apart by name. Numbers that Azure does not document are
//! listed in docs/divergences.md (D-201).

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device or its firmware.
    Device,
    /// Whoever configures this service.
    Operator,
    /// A linked hub.
    Hub,
    /// A custom-allocation webhook.
    Webhook,
    /// This server.
    Service,
}

impl Fault {
    /// `ResultType` of the log row: who must act decides between `ClientError` and `Failure`.
    pub fn result_type(self) -> &'static str {
        match self {
            Self::Device | Self::Operator => "ClientError",
            Self::Hub | Self::Webhook | Self::Service => "Failure",
        }
    }
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Six digits; the first three are the HTTP status.
    pub code: u32,
    /// Stable name, as logs show it.
    pub name: &'static str,
    /// May the same request succeed later without a change?
    pub retryable: bool,
    /// Who must act.
    pub fault: Fault,
    /// The message a client gets when none is more exact.
    pub message: &'static str,
    /// What happened, for the operator.
    pub meaning: &'static str,
    /// What to do about it.
    pub action: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $code:literal, $retry:literal, $fault:ident, $message:literal, $meaning:literal, $action:literal;)*) => {
        /// A failure that this service can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name,)*
        }

        impl ErrorCode {
            /// Every row, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The row of this failure.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        code: $code, name: stringify!($name), retryable: $retry, fault: Fault::$fault,
                        message: $message, meaning: $meaning, action: $action,
                    },)*
                }
            }
        }
    };
}

catalogue! {
    ApiVersionUnknown = 400_001, false, Device, "Unknown api version.",
        "The request names no api-version, or one that was never published.",
        "Send one of the published versions, e.g. api-version=2021-10-01.";
    ArgumentInvalid = 400_004, false, Device, "Invalid argument.",
        "A field, id or header of the request breaks a rule; the message names it.",
        "Correct the field that the message names.";
    BodyMalformed = 400_006, false, Device, "The request body is not valid JSON of the expected shape.",
        "The body is no JSON, or a member has the wrong type; the message names line, column and path.",
        "Correct the body at the place that the message names.";
    CustomAllocationFailed = 400_207, false, Webhook, "Custom allocation failed.",
        "The custom-allocation webhook answered with an error, or named a hub that is not linked.",
        "Look at the webhook's answer in the device's timeline and mend the webhook.";
    CustomAllocationHubNotSpecified = 400_208, false, Webhook, "Custom allocation did not specify an IoT hub.",
        "The custom-allocation webhook answered 200 without a hub.",
        "Make the webhook answer with iotHubHostName.";
    CustomAllocationUnauthorized = 400_209, false, Webhook, "Custom allocation was not authorized.",
        "The custom-allocation webhook answered 401.",
        "Add the function key to the webhook's URL (?code=…).";
    NoHubAvailable = 400_210, false, Operator, "No linked IoT hub is available for this enrollment.",
        "The enrollment passed, but none of the hubs it may use is linked and open for allocation.",
        "Link a hub, or correct iotHubs of the enrollment.";
    Unauthorized = 401_000, false, Device, "Unauthorized",
        "The SAS token is missing, malformed, expired or signed with another key, or no enrollment knows the device.",
        "Check the key, the clock and the registration id of the device.";
    HubNotFound = 401_001, false, Operator, "iothub not found",
        "The linked hub does not exist any more, or its host name does not resolve.",
        "Correct or remove the linked hub.";
    CertificateRejected = 401_002, false, Device, "Unauthorized",
        "The presented certificate does not prove this registration under any enrollment.",
        "Compare the presented chain with the enrollment; the attempt record shows where the path breaks.";
    HubUnauthorized = 401_002, false, Operator, "ErrorCode:IotHubUnauthorizedAccess;Unauthorized",
        "The linked hub refused this service's own key.",
        "Update the connection string of the linked hub.";
    QuotaExceeded = 403_001, false, Operator, "A quota of the service is used up.",
        "The provisioning service has as many enrollments or groups as its profile of limits allows.",
        "Delete what is not needed, or run the server with another profile of limits.";
    AuthorizationFailed = 403_002, false, Operator, "The caller is not authorized to perform this action.",
        "The control plane knows the caller, but no role assignment allows what it asked for.",
        "Assign a role that has the action, on the resource or above it.";
    HubQuotaExceeded = 403_003, false, Hub, "ErrorCode:IotHubQuotaExceeded;Quota exceeded.",
        "The linked hub has no room for the device, or its daily quota is used up.",
        "Raise the hub's units or remove devices there; or spread the devices over more hubs.";
    RouteNotFound = 404_000, false, Device, "Not found.",
        "The path is none of this server's, or belongs to a capability that it does not have yet.",
        "Check the path; docs/divergences.md lists capabilities to come.";
    EnrollmentNotFound = 404_201, false, Device, "Enrollment not found.",
        "No enrollment or enrollment group of that id exists.",
        "Create the enrollment, or correct the id.";
    RegistrationNotFound = 404_202, false, Device, "Registration not found.",
        "The device never registered, or its registration record was deleted.",
        "Register the device.";
    OperationNotFound = 404_203, false, Device, "Operation not found.",
        "The operationId is unknown for this registration: it was never issued, or newer registrations replaced it.",
        "Register again and poll the operationId of that answer.";
    IdScopeNotFound = 404_204, false, Device, "ID scope not found.",
        "No provisioning service of this server has that id scope.",
        "Correct the id scope on the device.";
    InstanceNotFound = 404_205, false, Operator, "Provisioning service not found.",
        "No provisioning service of that name exists in the named resource group.",
        "Check subscription, resource group and name; list the provisioning services of the subscription.";
    CaCertificateNotFound = 404_206, false, Operator, "Certificate not found.",
        "No CA certificate of that name was uploaded to the provisioning service.",
        "List its certificates and correct the name.";
    AccessPolicyNotFound = 404_207, false, Operator, "Shared access policy not found.",
        "The provisioning service has no shared access policy of that name.",
        "List its keys and correct the name.";
    ManagedOperationNotFound = 404_208, false, Operator, "Operation not found.",
        "The id of an asynchronous operation is none that this server gave for that provisioning service.",
        "Poll the URL of the azure-asyncoperation header as it came.";
    DiagnosticSettingNotFound = 404_210, false, Operator, "Diagnostic setting not found.",
        "The provisioning service has no diagnostic setting, or no category of logs or metrics, of that name.",
        "List its diagnostic settings, or their categories, and correct the name.";
    MethodNotAllowed = 405_000, false, Device, "Method not allowed.",
        "The path exists, but not with this method; often the registration id is missing from the path.",
        "Use the method that the Allow header names.";
    EnrollmentExists = 409_201, false, Operator, "Enrollment already exists.",
        "A create met an existing enrollment of that id.",
        "Send If-Match with the enrollment's etag to update it.";
    RegistrationConflict = 409_203, true, Device, "Precondition failed.",
        "Two requests changed the registration of one device at the same time.",
        "Register again.";
    CertificateInUse = 409_204, false, Operator, "The certificate is used by another enrollment.",
        "A certificate may stand in one enrollment only.",
        "Remove it from the enrollment that the message names, or use another certificate.";
    InstanceExists = 409_205, false, Operator, "A provisioning service of that name exists already.",
        "The name of a provisioning service is unique on a server, whatever its resource group.",
        "Choose another name.";
    InstanceIsDefault = 409_206, false, Operator, "The server's default provisioning service cannot be deleted.",
        "It answers for every host name that names no other, so the server cannot be without it.",
        "Delete its enrollments instead, or start the server with another data directory.";
    CaCertificateInUse = 409_207, false, Operator, "The certificate is referred to by enrollments.",
        "A CA certificate that enrollments refer to cannot be deleted: their devices would be locked out.",
        "Let the enrollments that the message names refer to another CA certificate first.";
    DiagnosticSettingConflict = 409_210, false, Operator,
        "Another diagnostic setting sends the same category to the same destination.",
        "Two diagnostic settings of a provisioning service would send one category to one destination.",
        "Change or delete the setting that the message names, or send to another destination.";
    EtagMismatch = 412_001, false, Operator, "ETag is invalid.",
        "If-Match names a version that is not the current one, or the thing does not exist.",
        "Read the current version, apply the change to it and send its etag.";
    BodyTooLarge = 413_000, false, Device, "The request body is too large.",
        "The body is larger than a message may be.",
        "Send at most 96 KB.";
    MediaTypeUnsupported = 415_000, false, Device, "Unsupported media type.",
        "The request has a body whose Content-Type is not JSON.",
        "Send Content-Type: application/json.";
    Throttled = 429_001, true, Device, "Too many requests.",
        "A limit of the service or of this device was reached.",
        "Wait for Retry-After, then retry with exponential backoff and jitter.";
    HubThrottled = 429_003, true, Hub, "ErrorCode:ThrottlingBacklogTimeout;The request has been throttled.",
        "The linked hub throttled this service.",
        "Nothing, if it passes; else raise the hub's units or spread the devices over more hubs.";
    Internal = 500_000, true, Service, "Internal server error.",
        "The server met a failure of its own; the log row of this tracking id has it.",
        "Retry with backoff; report it with the tracking id if it stays.";
    HubUnreachable = 500_101, true, Hub, "An error occurred while sending the request.",
        "The linked hub could not be reached or answered with a server error.",
        "Check the hub and the network between this server and the hub.";
    Unavailable = 503_001, true, Service, "The service is shutting down or overloaded.",
        "The server takes no new work at the moment.",
        "Retry with backoff, honouring Retry-After.";
    QueryTooSlow = 504_001, true, Operator, "The query ran too long.",
        "A query of logs was ended because it ran longer than its client waits for it.",
        "Ask for less time, filter earlier, summarize by fewer keys, or wait longer (Prefer: wait=600).";
}

impl ErrorCode {
    /// The HTTP status: `code / 1000`.
    pub const fn status(self) -> u16 {
        #[allow(clippy::cast_possible_truncation)] // codes have six digits: the quotient has three
        let status = (self.row().code / 1000) as u16;
        status
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn catalogue_codes_are_in_order_and_only_azures_two_meanings_share_one() {
        let codes: Vec<u32> = ErrorCode::ALL.iter().map(|code| code.row().code).collect();
        assert!(codes.is_sorted());
        assert!(codes.iter().all(|code| (400_000..600_000).contains(code)));
        let shared: Vec<u32> =
            codes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(shared, [401_002]);
    }
}
