//! Topics and user names as a stranger writes them. Whatever parses, and can be written, parses to itself again.
#![no_main]

use dps_wire::mqtt::topic::dps::{self, Request, Response};
use dps_wire::mqtt::topic::hub::{self, DeviceTopic, HubTopic};
use dps_wire::mqtt::topic::{TopicError, filter_matches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    again(text, Request::parse, Request::topic);
    again(text, Response::parse, Response::topic);
    again(text, DeviceTopic::parse, DeviceTopic::topic);
    again(text, HubTopic::parse, HubTopic::topic);
    again(text, dps::UserName::parse, |name| Ok(name.to_string()));
    again(text, hub::UserName::parse, |name| Ok(name.to_string()));
    if let Some((filter, topic)) = text.split_once('\n') {
        let _ = filter_matches(filter, topic);
    }
    // Whatever `$rid` comes in a PUBLISH, a response can carry. The decoder refuses these three before.
    if let (false, Ok(request)) = (text.contains(['+', '#', '\0']), Request::parse(text)) {
        let response = Response { status: 202, rid: request.rid().to_owned(), retry_after: Some(3) };
        response.topic().expect("a parsed $rid is legal");
    }
    // A topic without wildcards is a filter for itself alone.
    if !text.contains(['+', '#']) {
        assert!(filter_matches(text, text));
    }
});

fn again<T: PartialEq + std::fmt::Debug>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, TopicError>,
    write: impl Fn(&T) -> Result<String, TopicError>,
) {
    match parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(value) => {
            let Ok(written) = write(&value) else { return };
            match parse(&written) {
                // Percent-encoding may lengthen a text past its bound.
                Err(TopicError::TooLong { .. }) => {}
                outcome => assert_eq!(outcome.as_ref(), Ok(&value), "{written}"),
            }
        }
    }
}
