//! Return codes of a TPM 2.0 (TCG, TPM 2.0 Library Part 2 §6.6): their names, and what a person can do about the ones
//! that are met here. Must not know commands.

use std::fmt;

/// `TPM_RC`, as it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ReturnCode(pub(super) u32);

/// The bits of the TPM's own code.
const TPM: u32 = 0xfff;
/// Codes of format one carry the number of a handle, a session or a parameter.
const FORMAT_ONE: u32 = 0x080;
/// What is left of such a code without that number.
const FORMAT_ONE_CODE: u32 = 0x0bf;

impl ReturnCode {
    pub(super) const SUCCESS: Self = Self(0);
    /// The TPM has not been started, or it has been before.
    pub(super) const INITIALIZE: Self = Self(0x100);
    const HANDLE: u32 = 0x08b;
    const RETRIES: [u32; 5] = [0x908, 0x90a, 0x920, 0x922, 0x923];
    const AUTHORISATION: [u32; 2] = [0x08e, 0x0a2];

    /// Without the number of what it is about, and without the layer that a resource manager sets above.
    fn kind(self) -> u32 {
        let code = self.0 & TPM;
        if code & FORMAT_ONE == 0 { code } else { code & FORMAT_ONE_CODE }
    }

    /// The command will be taken when it is sent again.
    pub(super) fn passes(self) -> bool {
        Self::RETRIES.contains(&self.kind())
    }

    /// There is nothing at that handle.
    pub(super) fn no_such_handle(self) -> bool {
        self.kind() == Self::HANDLE
    }

    /// What was to be authorised has a password.
    pub(super) fn wants_authorisation(self) -> bool {
        Self::AUTHORISATION.contains(&self.kind())
    }

    fn name(self) -> Option<&'static str> {
        let kind = self.kind();
        NAMES.iter().find(|(code, _, _)| *code == kind).map(|(_, name, _)| *name)
    }

    fn advice(self) -> Option<&'static str> {
        let kind = self.kind();
        NAMES
            .iter()
            .find(|(code, _, _)| *code == kind)
            .map(|(_, _, advice)| *advice)
            .filter(|it| !it.is_empty())
    }
}

/// The codes that a device meets, with what mends them where that is known.
const NAMES: &[(u32, &str, &str)] = &[
    (0x01e, "TPM_RC_BAD_TAG", "this is a TPM 1.2, and a TPM 2.0 is needed"),
    (0x100, "TPM_RC_INITIALIZE", ""),
    (0x101, "TPM_RC_FAILURE", "the TPM is in failure mode: restart the machine"),
    (0x143, "TPM_RC_COMMAND_CODE", "the TPM does not have this command"),
    (0x120, "TPM_RC_DISABLED", "enable the TPM's hierarchies in the firmware's setup"),
    (0x14b, "TPM_RC_NV_SPACE", "the TPM's memory is full: remove a persistent key that nobody needs"),
    (0x082, "TPM_RC_ATTRIBUTES", ""),
    (0x084, "TPM_RC_VALUE", ""),
    (0x085, "TPM_RC_HIERARCHY", "enable the TPM's hierarchies in the firmware's setup"),
    (0x08a, "TPM_RC_TYPE", ""),
    (0x08b, "TPM_RC_HANDLE", ""),
    (0x08e, "TPM_RC_AUTH_FAIL", PASSWORD),
    (0x095, "TPM_RC_SIZE", ""),
    (0x09c, "TPM_RC_KEY", ""),
    (
        0x09d,
        "TPM_RC_POLICY_FAIL",
        "the key at the endorsement key's handle has another policy than the standard one",
    ),
    (
        0x09f,
        "TPM_RC_INTEGRITY",
        "what the service sent was made for another TPM, or for keys that this one no longer has",
    ),
    (0x0a2, "TPM_RC_BAD_AUTH", PASSWORD),
    (0x902, "TPM_RC_OBJECT_MEMORY", SLOTS),
    (0x903, "TPM_RC_SESSION_MEMORY", SLOTS),
    (0x905, "TPM_RC_SESSION_HANDLES", SLOTS),
    (0x906, "TPM_RC_OBJECT_HANDLES", SLOTS),
    (0x908, "TPM_RC_YIELDED", BUSY),
    (0x90a, "TPM_RC_TESTING", BUSY),
    (0x920, "TPM_RC_NV_RATE", "the TPM spares its memory: try again in a minute"),
    (0x921, "TPM_RC_LOCKOUT", "too many wrong passwords were tried: wait, or reset the TPM's lockout"),
    (0x922, "TPM_RC_RETRY", BUSY),
    (0x923, "TPM_RC_NV_UNAVAILABLE", BUSY),
];

const BUSY: &str = "the TPM is busy: try again";
const PASSWORD: &str = "its owner or endorsement hierarchy has a password; only an empty one is used here";
const SLOTS: &str = "its slots are taken by other programs: flush them, or use a device with a resource manager \
                     (/dev/tpmrm0)";

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({:#x})", self.0)?,
            None => write!(f, "return code {:#x}", self.0)?,
        }
        match self.advice() {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReturnCode({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_named_whatever_handle_or_parameter_it_is_about() {
        // Handle 1, session 1, parameter 2.
        for code in [0x18b, 0x98b, 0x2cb] {
            assert!(ReturnCode(code).no_such_handle(), "{code:#x}");
            assert!(ReturnCode(code).to_string().starts_with("TPM_RC_HANDLE ("), "{code:#x}");
        }
        assert!(ReturnCode(0x9a2).wants_authorisation() && ReturnCode(0x98e).wants_authorisation());
        assert!(!ReturnCode(0x10b).no_such_handle(), "TPM_RC_PRIVATE");
    }

    #[test]
    fn code_shown_says_what_can_be_done() {
        assert_eq!(ReturnCode(0x9a2).to_string(), format!("TPM_RC_BAD_AUTH (0x9a2): {PASSWORD}"));
        assert!(ReturnCode(0xb0143).to_string().starts_with("TPM_RC_COMMAND_CODE (0xb0143): "));
        assert_eq!(ReturnCode(0x777).to_string(), "return code 0x777");
    }

    #[test]
    fn code_of_a_busy_tpm_passes() {
        for code in [0x908, 0x90a, 0x920, 0x922, 0x923] {
            assert!(ReturnCode(code).passes());
        }
        assert!(!ReturnCode(0x921).passes() && !ReturnCode(0x101).passes());
    }
}
