//! Does the resource that a token was signed for (`sr`) cover the resource that is called? Owns hosts, ports and URI
//! segments; must not know keys.

use percent_encoding::percent_decode_str;

/// True when `sr` (percent-decoded) is the called host or a prefix, by whole segments, of host and path.
///
/// Hosts are compared without ports and without regard to case: Node signs `host`, Python `host:443` for the same
/// call. Segments of the called path are percent-decoded before they are compared, without regard to case.
pub fn covers(sr: &str, host: &str, path: &str) -> bool {
    let (signed_host, signed_path) = sr.split_once('/').unwrap_or((sr, ""));
    let signed_host = without_port(signed_host);
    if signed_host.is_empty() || !signed_host.eq_ignore_ascii_case(without_port(host)) {
        return false;
    }
    let mut called = path.trim_matches('/').split('/');
    let signed_path = signed_path.trim_end_matches('/');
    signed_path.is_empty()
        || signed_path.split('/').all(|signed| {
            called.next().is_some_and(|segment| {
                percent_decode_str(segment)
                    .decode_utf8()
                    .is_ok_and(|segment| segment.eq_ignore_ascii_case(signed))
            })
        })
}

/// The host of a `Host` header or of an `sr`: without `:port`, an IPv6 address with its brackets.
pub fn without_port(host: &str) -> &str {
    let end = match host.strip_prefix('[').and_then(|inside| inside.find(']')) {
        Some(bracket) => bracket + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    host.get(..end).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{covers, without_port};

    #[test]
    fn host_port_and_brackets_stripped() {
        for (host, bare) in [
            ("localhost", "localhost"),
            ("localhost:443", "localhost"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("[::1", "["),
            ("", ""),
        ] {
            assert_eq!(without_port(host), bare);
        }
    }

    #[test]
    fn resource_same_host_covered_with_and_without_port() {
        let path = "/enrollments/dev%3A1";
        for sr in ["localhost", "LocalHost", "localhost:443", "localhost:1", "localhost/"] {
            assert!(covers(sr, "localhost:8443", path), "{sr}");
            assert!(covers(sr, "localhost", path), "{sr}");
        }
        assert!(covers("[::1]:8443", "[::1]", path));
    }

    #[test]
    fn resource_prefix_by_whole_segments_covered() {
        let path = "/enrollments/dev%3A1/attestationmechanism";
        for sr in ["h/enrollments", "h/Enrollments/dev:1", "h/enrollments/dev:1/attestationmechanism/"] {
            assert!(covers(sr, "h", path), "{sr}");
        }
        for sr in
            ["h/enroll", "h/enrollments/dev", "h/enrollmentGroups", "h/enrollments/dev:1/x", "h//enrollments"]
        {
            assert!(!covers(sr, "h", path), "{sr}");
        }
    }

    #[test]
    fn resource_other_or_empty_host_not_covered() {
        for sr in ["", "/", ":443", "localhost.evil", "evil.localhost", "local", "https://localhost"] {
            assert!(!covers(sr, "localhost", "/enrollments/a"), "{sr}");
        }
        assert!(!covers("", "", "/enrollments/a"));
    }
}
