//! Who may do what at a hub: the policy's SAS for services, the device's SAS or certificate for devices.
//! Pure judgement; must not know which protocol carried the proof. Reasons are for the operator alone.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use dps_attestation::sas_token::SasToken;
use dps_model::{Secret, Timestamp};

use crate::POLICY;
use crate::registry::{Authentication, Device};

/// A host without its port; an IPv6 address in brackets keeps them.
pub(crate) fn host_of(text: &str) -> &str {
    if let Some(end) = text.starts_with('[').then(|| text.find(']')).flatten() {
        return text.get(..=end).unwrap_or(text);
    }
    match text.split_once(':') {
        // More than one colon: a bare IPv6 address.
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    }
}

/// Why access is refused, in one sentence for the operator.
pub(crate) type Denied = String;

/// A service's token opens this path of a hub when it is signed with the policy's key for one of the hub's names, or
/// for what the path lies below. Gives the Unix second of its expiry.
pub(crate) fn service(
    authorization: Option<&str>,
    hosts: [&str; 2],
    path: &str,
    key: &Secret,
    now: Timestamp,
) -> Result<i64, Denied> {
    let text = authorization.ok_or("the request has no Authorization header")?;
    let token = SasToken::parse(text).map_err(|error| format!("the token cannot be read: {error}"))?;
    policy(&token, hosts, path, key, now).map(|()| token.expiry())
}

/// The policy's own token: `sr` is a hub's host, or something below it that it is confined to.
fn policy(
    token: &SasToken,
    hosts: [&str; 2],
    path: &str,
    key: &Secret,
    now: Timestamp,
) -> Result<(), Denied> {
    if token.policy() != Some(POLICY) {
        return Err(format!("skn is not {POLICY}, the only policy of this hub"));
    }
    let (resource, below) = token.resource().split_once('/').unwrap_or((token.resource(), ""));
    if !hosts.iter().any(|host| host_of(resource).eq_ignore_ascii_case(host_of(host))) {
        return Err(format!("sr is for {resource}, not for {}", hosts[0]));
    }
    if !lies_below(path, below) {
        return Err(format!("sr is for {below} alone"));
    }
    signed(token, [key, key], now)
}

/// Is it the place itself, or something below it? The letters' case does not count, as in a device's own token.
fn lies_below(path: &str, place: &str) -> bool {
    let segments = |text: &str| {
        text.split('/').filter(|part| !part.is_empty()).map(str::to_ascii_lowercase).collect::<Vec<_>>()
    };
    segments(path).starts_with(&segments(place))
}

fn signed(token: &SasToken, keys: [&Secret; 2], now: Timestamp) -> Result<(), Denied> {
    token.check(keys, now).map(drop).map_err(|reason| format!("the token is refused: {reason:?}"))
}

/// How long a device's proof holds: Unix seconds of its token's expiry.
pub(crate) struct Admitted {
    pub(crate) until: Option<i64>,
}

/// What a device shows at its hub.
pub(crate) struct Shown<'a> {
    pub(crate) password: Option<&'a str>,
    pub(crate) leaf: Option<&'a [u8]>,
}

/// Judges a device by what its identity asks for.
pub(crate) fn device(
    device: &Device,
    hub: &str,
    policy_key: &Secret,
    shown: &Shown<'_>,
    now: Timestamp,
) -> Result<Admitted, Denied> {
    if !device.is_enabled() {
        return Err("the device is disabled".into());
    }
    if let Some(password) = shown.password.filter(|password| !password.is_empty()) {
        let token =
            SasToken::parse(password).map_err(|error| format!("the token cannot be read: {error}"))?;
        let until = Some(token.expiry());
        if token.policy().is_some() {
            policy(&token, [hub, hub], &format!("devices/{}", device.id), policy_key, now)?;
            return Ok(Admitted { until });
        }
        let Authentication::Sas { primary, secondary } = &device.authentication else {
            return Err(format!(
                "the device sent a token, but its authentication is {}",
                device.authentication.kind()
            ));
        };
        let (host, path) = token.resource().split_once('/').unwrap_or((token.resource(), ""));
        if !host_of(host).eq_ignore_ascii_case(hub)
            || !path.eq_ignore_ascii_case(&format!("devices/{}", device.id))
        {
            return Err(format!("sr is not {hub}/devices/{}", device.id));
        }
        return signed(&token, [primary, secondary], now).map(|()| Admitted { until });
    }
    certificate(device, shown.leaf)
}

/// Possession of the leaf's key is proven by the handshake; here its thumbprint must be the device's.
fn certificate(device: &Device, leaf: Option<&[u8]>) -> Result<Admitted, Denied> {
    let Authentication::SelfSigned { primary, secondary } = &device.authentication else {
        return Err(format!(
            "the device sent no token, and its authentication is {}",
            device.authentication.kind()
        ));
    };
    let leaf = leaf.ok_or("the device sent neither a token nor a certificate")?;
    let presented =
        [&SHA256, &SHA1_FOR_LEGACY_USE_ONLY].map(|algorithm| hex::encode_upper(digest(algorithm, leaf)));
    if [primary, secondary].into_iter().flatten().any(|known| presented.contains(known)) {
        return Ok(Admitted { until: None });
    }
    let [sha256, _] = presented;
    Err(format!("the presented certificate's thumbprint {sha256} is none of the device's"))
}

#[cfg(test)]
mod tests {
    use dps_attestation::sas_token::SasToken;
    use dps_model::{Secret, Timestamp};

    use super::{host_of, service};

    #[test]
    fn host_of_strips_ports_alone() {
        for (text, host) in [
            ("a.b:8443", "a.b"),
            ("a.b", "a.b"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(host_of(text), host);
        }
    }

    #[test]
    fn service_token_judged_by_policy_host_key_and_time() {
        let (key, other) = (Secret::new(vec![1; 32]), Secret::new(vec![2; 32]));
        let now = Timestamp::from_millis(1_000_000_000_000);
        let soon = now.seconds() + 60;
        let names = ["hub.local", "127.0.0.1:8443"];
        let check = |token: &str| service(Some(token), names, "/devices/x/modules", &key, now);
        for host in
            ["hub.local", "HUB.local:8443", "127.0.0.1:8443", "hub.local/devices/x/", "hub.local/Devices"]
        {
            assert_eq!(check(&SasToken::sign(host, &key, soon, Some("iothubowner"))), Ok(soon), "{host}");
        }
        for token in [
            SasToken::sign("hub.local", &other, soon, Some("iothubowner")),
            SasToken::sign("hub.local", &key, soon - 3600, Some("iothubowner")),
            SasToken::sign("hub.local", &key, soon, Some("registryRead")),
            SasToken::sign("hub.local", &key, soon, None),
            SasToken::sign("hub.local.evil", &key, soon, Some("iothubowner")),
            SasToken::sign("hub.local/devices/y", &key, soon, Some("iothubowner")),
            SasToken::sign("hub.local/devices/x/modules/m", &key, soon, Some("iothubowner")),
            SasToken::sign("hub.local/dev", &key, soon, Some("iothubowner")),
            String::new(),
        ] {
            assert!(check(&token).is_err(), "{token}");
        }
        assert!(service(None, names, "", &key, now).is_err());
    }
}
