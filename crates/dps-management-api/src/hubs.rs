//! `properties.iotHubs`: linked hubs as a client writes them and as it reads them. Owns the rules and the masking of keys;
//! must not know what a hub is used for.

use dps_model::connection_string::ConnectionString;
use dps_model::hub::LinkedHub;
use dps_model::member::Member;
use dps_model::{Error, HubName, limits};
use serde_json::{Value, json};

/// What stands in place of a key.
const MASK: &str = "****";

/// A link as a client wants it.
pub struct WantedHub {
    path: String,
    name: HubName,
    connection: ConnectionString,
    /// The key was not sent but its mask: the stored one stays.
    masked: bool,
    weight: u32,
    apply: bool,
    location: String,
}

/// Reads the list; none when it is absent.
pub(crate) fn read(member: &Member<'_>) -> Result<Option<Vec<WantedHub>>, Error> {
    let Some(items) = member.list(limits::MAX_LINKED_HUBS)? else { return Ok(None) };
    let mut hubs: Vec<WantedHub> = Vec::with_capacity(items.len());
    for item in &items {
        let hub = read_one(item)?;
        if hubs.iter().any(|other| other.name.key() == hub.name.key()) {
            // Azure's own words and code.
            let message = format!(
                "Cannot have duplicate iot hubs in description: {}. errorcode: IH400303.",
                hub.name.as_str()
            );
            return Err(Error { message: message.into(), ..item.wrong("") });
        }
        hubs.push(hub);
    }
    Ok(Some(hubs))
}

fn read_one(item: &Member<'_>) -> Result<WantedHub, Error> {
    let kind = item.get("authenticationType");
    if kind.text()?.is_some_and(|kind| !kind.eq_ignore_ascii_case("KeyBased")) {
        return Err(kind.wrong("must be KeyBased: this server has no managed identities"));
    }
    let text = item.get("connectionString");
    let (connection, masked) = connection(text.required()?).map_err(|why| text.wrong(&why))?;
    let name = HubName::parse(dps_access::without_port(&connection.host))
        .map_err(|why| text.wrong(&format!("has no host name in HostName: {why}")))?;
    let weight = item.get("allocationWeight");
    let most = limits::MAX_ALLOCATION_WEIGHT;
    let in_range = |given: i64| u32::try_from(given).ok().filter(|given| (1..=most).contains(given));
    let given = weight.integer()?.unwrap_or(1);
    let location = item.get("location");
    let place = location.text()?.unwrap_or_default().trim();
    if place.len() > limits::MAX_LOCATION {
        return Err(location.wrong("is too long"));
    }
    Ok(WantedHub {
        path: name.as_str().to_owned(),
        name,
        connection,
        masked,
        weight: in_range(given).ok_or_else(|| weight.wrong(&format!("must be 1 to {most}")))?,
        apply: item.get("applyAllocationPolicy").boolean()?.unwrap_or(true),
        location: place.to_owned(),
    })
}

/// The connection string, and whether its key is a mask. What is said of it never repeats a part of it.
fn connection(text: &str) -> Result<(ConnectionString, bool), String> {
    if text.len() > limits::MAX_CONNECTION_STRING {
        return Err("is longer than a connection string may be".into());
    }
    let mut masked = false;
    let parts: Vec<String> = text
        .split(';')
        .map(|part| match part.split_once('=') {
            Some((name, key))
                if name.trim().eq_ignore_ascii_case("SharedAccessKey") && is_mask(key.trim()) =>
            {
                masked = true;
                format!("{name}=AA==")
            }
            _ => part.to_owned(),
        })
        .collect();
    let connection =
        ConnectionString::parse(&parts.join(";")).map_err(|why| format!("is no connection string: {why}"))?;
    if connection.policy.is_empty() || connection.key.expose().is_empty() {
        return Err("needs SharedAccessKeyName and SharedAccessKey with values".into());
    }
    Ok((connection, masked))
}

fn is_mask(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte == b'*')
}

/// The links that a client wants, with the kept keys where it sent their mask.
pub(crate) fn resolve(wanted: &[WantedHub], kept: &[LinkedHub]) -> Result<Vec<LinkedHub>, Error> {
    wanted.iter().map(|hub| resolve_one(hub, kept)).collect()
}

fn resolve_one(wanted: &WantedHub, kept: &[LinkedHub]) -> Result<LinkedHub, Error> {
    let mut connection = wanted.connection.clone();
    if wanted.masked {
        // Host and policy must be those that the key was sent for: nobody turns a key that he cannot read elsewhere.
        let same = |hub: &&LinkedHub| {
            hub.connection.host.eq_ignore_ascii_case(&connection.host)
                && hub.connection.policy == connection.policy
        };
        let found = kept.iter().find(same).ok_or_else(|| {
            Error::argument(format!(
                "The connection string of {} has {MASK} in place of its key, and no key is kept for that host and \
                 policy; send the key.",
                wanted.path
            ))
        })?;
        connection.key = found.connection.key.clone();
    }
    Ok(LinkedHub {
        name: wanted.name.clone(),
        connection,
        allocation_weight: wanted.weight,
        apply_allocation_policy: wanted.apply,
        location: wanted.location.clone(),
    })
}

/// The same links in the same order?
pub(crate) fn same(one: &[LinkedHub], other: &[LinkedHub]) -> bool {
    let same = |(one, other): (&LinkedHub, &LinkedHub)| {
        one.name == other.name
            && one.connection == other.connection
            && one.allocation_weight == other.allocation_weight
            && one.apply_allocation_policy == other.apply_allocation_policy
            && one.location == other.location
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// A link as it is read: the key masked.
pub(crate) fn show(hub: &LinkedHub) -> Value {
    let ConnectionString { host, policy, .. } = &hub.connection;
    json!({
        "applyAllocationPolicy": hub.apply_allocation_policy,
        "allocationWeight": hub.allocation_weight,
        "name": hub.name.as_str(),
        "connectionString": format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={MASK}"),
        "location": hub.location,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{read, resolve, show};
    use dps_model::member::Member;

    fn link(connection: &str) -> serde_json::Value {
        json!({"hubs": [{"connectionString": connection, "location": "westus"}]})
    }

    fn read_links(body: &serde_json::Value) -> Result<Vec<super::WantedHub>, dps_model::Error> {
        Ok(read(&Member::body(body)?.get("hubs"))?.unwrap())
    }

    #[test]
    fn masked_key_is_the_kept_one_for_the_same_host_and_policy_alone() {
        let first = link("HostName=Hub.example:8443;SharedAccessKeyName=owner;SharedAccessKey=AQID");
        let kept = resolve(&read_links(&first).unwrap(), &[]).unwrap();
        let shown = show(&kept[0]);
        let text = "HostName=Hub.example:8443;SharedAccessKeyName=owner;SharedAccessKey=****";
        assert_eq!(shown["connectionString"], text);
        assert_eq!(shown["name"], "Hub.example");
        let echoed = resolve(&read_links(&json!({"hubs": [shown]})).unwrap(), &kept).unwrap();
        assert!(super::same(&echoed, &kept));
        for other in [
            "HostName=hub.example:1;SharedAccessKeyName=owner;SharedAccessKey=****",
            "HostName=hub.example:8443;SharedAccessKeyName=other;SharedAccessKey=****",
        ] {
            assert!(resolve(&read_links(&link(other)).unwrap(), &kept).is_err(), "{other}");
        }
    }

    #[test]
    fn broken_link_names_its_member_and_never_its_key() {
        let said = |body: serde_json::Value| read_links(&body).err().unwrap().message.into_owned();
        let no_base64 = said(link("HostName=a.example;SharedAccessKeyName=o;SharedAccessKey=s3cr3t!"));
        assert!(no_base64.starts_with("hubs[0].connectionString is no connection string"), "{no_base64}");
        assert!(!no_base64.contains("s3cr3t"));
        let good = "HostName=a.example;SharedAccessKeyName=o;SharedAccessKey=AQID";
        for weight in [0, 1_001, -1] {
            let body = json!({"hubs": [{"connectionString": good, "allocationWeight": weight}]});
            assert_eq!(said(body), "hubs[0].allocationWeight must be 1 to 1000.");
        }
        let twice =
            json!({"hubs": [{"connectionString": good}, {"connectionString": good.replace("a.", "A.")}]});
        assert!(said(twice).starts_with("Cannot have duplicate iot hubs in description"));
        let identity = json!({"hubs": [{"authenticationType": "SystemAssigned", "hostName": "a.example"}]});
        assert!(said(identity).starts_with("hubs[0].authenticationType must be KeyBased"));
    }
}
