//! The Kafka endpoint of an Event Hubs namespace, as its connection string names it ("Event Hubs for Apache Kafka"). Owns the
//! string's parts; must not know the protocol.

use dps_model::Secret;

use super::KafkaSettings;
use crate::http::SetupError;
use crate::limits::MAX_CONNECTION_STRING;

/// Port of the Kafka endpoint.
const PORT: u16 = 9_093;

/// How the namespace is reached: `Endpoint=sb://NAME/;SharedAccessKeyName=…;SharedAccessKey=…`, and the event hub where the
/// string names one by `EntityPath`.
pub fn settings(connection_string: &Secret) -> Result<KafkaSettings, SetupError> {
    let wrong = |why: &str| SetupError(format!("the connection string of Event Hubs {why}"));
    let text = std::str::from_utf8(connection_string.expose()).map_err(|_| wrong("is no text"))?.trim();
    if text.len() > MAX_CONNECTION_STRING {
        return Err(wrong(&format!("is longer than {MAX_CONNECTION_STRING} bytes")));
    }
    let part = |name: &str| {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        let mut named = parts.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let endpoint = part("Endpoint").ok_or_else(|| wrong("lacks Endpoint=sb://…"))?;
    let host = endpoint.strip_prefix("sb://").map(|rest| rest.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains(['/', ':', '@', ' ']));
    let host =
        host.ok_or_else(|| wrong("has an Endpoint that is not sb://NAMESPACE.servicebus.windows.net/"))?;
    if part("SharedAccessKey").or_else(|| part("SharedAccessSignature")).is_none() {
        return Err(wrong("lacks SharedAccessKey"));
    }
    Ok(KafkaSettings {
        bootstrap: vec![format!("{host}:{PORT}")],
        tls: true,
        sasl: Some(("$ConnectionString".to_owned(), Secret::from(text.to_owned()))),
        topic: part("EntityPath").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use dps_model::Secret;

    use super::settings;

    #[test]
    fn namespace_is_reached_by_its_kafka_endpoint() {
        let text = "Endpoint=sb://plant.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=a2V5;EntityPath=logs";
        let read = settings(&Secret::from(format!("{text}\n"))).unwrap();
        assert_eq!(read.bootstrap, ["plant.servicebus.windows.net:9093"]);
        assert_eq!((read.tls, read.topic.as_deref()), (true, Some("logs")));
        let (user, password) = read.sasl.unwrap();
        assert!(user == "$ConnectionString" && password.matches(text.as_bytes()));
    }

    #[test]
    fn string_that_leads_nowhere_is_refused_without_its_secret() {
        for (text, why) in [
            ("", "lacks Endpoint"),
            ("SharedAccessKey=s3cret", "lacks Endpoint"),
            ("Endpoint=https://x/;SharedAccessKey=s3cret", "is not sb://"),
            ("Endpoint=sb://user@x/;SharedAccessKey=s3cret", "is not sb://"),
            ("Endpoint=sb://x/;SharedAccessKeyName=send", "lacks SharedAccessKey"),
        ] {
            let error = settings(&Secret::from(text.to_owned())).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(why) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
