//! Which right implies which. Must not know routes or tokens.

use dps_model::instance::Right;

/// The rights that Azure stores for the policy `provisioningserviceowner`, which may do everything.
const OWNER: [Right; 3] = [Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite];

/// Do these rights allow what needs `needed`? A write right implies its read right; the three rights of
/// `provisioningserviceowner` together imply all (docs: "Default permissions").
pub fn allow(granted: &[Right], needed: Right) -> bool {
    let has = |right: &Right| granted.contains(right);
    has(&needed) || implied_by(needed).is_some_and(|write| has(&write)) || OWNER.iter().all(has)
}

/// The write right that a read right follows from.
fn implied_by(needed: Right) -> Option<Right> {
    match needed {
        Right::EnrollmentRead => Some(Right::EnrollmentWrite),
        Right::RegistrationStatusRead => Some(Right::RegistrationStatusWrite),
        Right::ServiceConfig
        | Right::EnrollmentWrite
        | Right::DeviceConnect
        | Right::RegistrationStatusWrite => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{OWNER, allow};
    use dps_model::instance::Right;

    const ALL: [Right; 6] = [
        Right::ServiceConfig,
        Right::EnrollmentRead,
        Right::EnrollmentWrite,
        Right::DeviceConnect,
        Right::RegistrationStatusRead,
        Right::RegistrationStatusWrite,
    ];

    fn allowed(granted: &[Right]) -> Vec<Right> {
        ALL.into_iter().filter(|needed| allow(granted, *needed)).collect()
    }

    #[test]
    fn rights_write_implies_its_own_read_alone() {
        use Right::{EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite};
        assert_eq!(allowed(&[EnrollmentWrite]), [EnrollmentRead, EnrollmentWrite]);
        assert_eq!(allowed(&[RegistrationStatusWrite]), [RegistrationStatusRead, RegistrationStatusWrite]);
        assert_eq!(allowed(&[EnrollmentRead]), [EnrollmentRead]);
        assert_eq!(allowed(&[RegistrationStatusRead]), [RegistrationStatusRead]);
        assert_eq!(allowed(&[]), []);
    }

    #[test]
    fn rights_of_the_owner_allow_everything_and_two_of_them_do_not() {
        assert_eq!(allowed(&OWNER), ALL);
        assert_eq!(
            allowed(&[Right::ServiceConfig, Right::DeviceConnect]),
            [Right::ServiceConfig, Right::DeviceConnect]
        );
    }
}
