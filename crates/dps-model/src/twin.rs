//! What a section of a device's twin may hold (IoT Hub, "Understand and use device twins"). Owns the rules of names, depth
//! and texts, and the place of what breaks one; must not know whose twin it is.

use serde_json::{Map, Value};

use crate::limits::{MAX_TWIN_DEPTH, MAX_TWIN_KEY, MAX_TWIN_NAME_SHOWN, MAX_TWIN_STRING};

/// Refuses what no twin can hold; the sentence begins with the place, `section` its first name. `$metadata` and `$version`
/// at the top are ignored, as Azure does.
pub fn check(section: &str, values: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in values.iter().filter(|(name, _)| !matches!(name.as_str(), "$metadata" | "$version"))
    {
        member(section, name, value, 1)?;
    }
    Ok(())
}

fn member(path: &str, name: &str, value: &Value, depth: usize) -> Result<(), String> {
    let legal = |c: char| !c.is_control() && !matches!(c, '.' | '$' | ' ');
    if name.is_empty() || name.len() > MAX_TWIN_KEY || !name.chars().all(legal) {
        return Err(format!(
            "{path} has the name {:?}; names of a twin have 1 to {MAX_TWIN_KEY} bytes, without '.', '$', spaces and \
             control characters",
            shown(name)
        ));
    }
    below(&format!("{path}.{}", shown(name)), value, depth)
}

fn below(path: &str, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_TWIN_DEPTH {
        return Err(format!("{path} lies deeper than {MAX_TWIN_DEPTH} levels, the most that a twin has"));
    }
    match value {
        Value::String(text) if text.len() > MAX_TWIN_STRING => {
            Err(format!("{path} has {} bytes; a text in a twin has at most {MAX_TWIN_STRING}", text.len()))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| below(&format!("{path}[{at}]"), item, depth + 1)),
        Value::Object(nested) => {
            nested.iter().try_for_each(|(name, value)| member(path, name, value, depth + 1))
        }
        _ => Ok(()),
    }
}

/// The beginning of a name that may be anything.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_TWIN_NAME_SHOWN)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;
    use crate::limits::{MAX_TWIN_DEPTH, MAX_TWIN_KEY, MAX_TWIN_STRING};

    fn why(values: &Value) -> Option<String> {
        check("tags", values.as_object().unwrap()).err()
    }

    #[test]
    fn what_breaks_a_rule_is_told_with_its_place() {
        for (values, said) in [
            (json!({"a.b": 1}), "tags has the name \"a.b\""),
            (json!({"site": {"$id": 1}}), "tags.site has the name \"$id\""),
            (json!({"list": [1, {"": 2}]}), "tags.list[1] has the name \"\""),
            (json!({"x": {"note": "é".repeat(MAX_TWIN_STRING)}}), "tags.x.note has 8192 bytes"),
            (json!({"k".repeat(MAX_TWIN_KEY + 1): 1}), "tags has the name \"kkk"),
        ] {
            let why = why(&values).unwrap();
            assert!(why.starts_with(said) && why.len() < 300, "{why}");
        }
        let deep = (0..MAX_TWIN_DEPTH).fold(json!(1), |deep, _| json!({ "a": deep }));
        assert_eq!(why(&deep), None);
        assert!(why(&json!({ "a": deep })).unwrap().starts_with("tags.a.a.a"));
    }

    #[test]
    fn what_azure_ignores_or_takes_is_taken() {
        let echoed =
            json!({"$version": 3, "$metadata": {"$lastUpdated": "x"}, "version": "7", "ümlaut-1": null});
        assert_eq!(why(&echoed), None);
    }
}
