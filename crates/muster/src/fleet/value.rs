//! Values of options that may stand in a file: `@FILE`, and `-` or `@-` for standard input. Must not know what they mean.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::api::Failure;
use super::limits::MAX_VALUE_FILE;

/// The text, or the content of the file that it names.
pub fn value_or_file(text: &str) -> Result<String, Failure> {
    match text.strip_prefix('@') {
        _ if text == "-" => file("-"),
        Some(path) => file(path),
        None => Ok(text.to_owned()),
    }
}

/// A secret, without the line feed that a file ends with.
pub fn secret(text: &str) -> Result<String, Failure> {
    value_or_file(text).map(|text| text.trim().to_owned())
}

/// A JSON object, or the file that holds it.
pub fn object(text: &str, option: &str) -> Result<Value, Failure> {
    let text = value_or_file(text)?;
    match serde_json::from_str(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Failure::Usage(format!(
            "{option} is no JSON object; write '{{\"name\":\"value\"}}' or @FILE"
        ))),
        Err(error) => Err(Failure::Usage(format!("{option} is no JSON: {error}"))),
    }
}

/// A file's bytes; `-` is standard input.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let name = path.display();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_VALUE_FILE + 1).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("{name} cannot be read"))?;
        file.take(MAX_VALUE_FILE + 1).read_to_end(&mut bytes)
    };
    read.with_context(|| format!("{name} cannot be read"))?;
    if bytes.len() as u64 > MAX_VALUE_FILE {
        return Err(Failure::Usage(format!("{name} is larger than {MAX_VALUE_FILE} bytes")));
    }
    Ok(bytes)
}

fn file(path: &str) -> Result<String, Failure> {
    let bytes = bytes(Path::new(path))?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{path} is no text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_stands_in_the_option_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "c2VjcmV0\n").unwrap();
        assert_eq!(secret("c2VjcmV0").ok().unwrap(), "c2VjcmV0");
        assert_eq!(secret(&format!("@{}", path.display())).ok().unwrap(), "c2VjcmV0");
        let missing = secret("@/nowhere/at/all").err().unwrap();
        assert_eq!((missing.exit_status(), missing.to_string().contains("/nowhere/at/all")), (1, true));
    }

    #[test]
    fn object_that_is_none_names_its_option() {
        assert!(object(r#"{"a":1}"#, "--initial-twin-tags").is_ok());
        for bad in ["[1]", "{", "'a'"] {
            let failure = object(bad, "--initial-twin-tags").err().unwrap();
            assert!(failure.to_string().starts_with("--initial-twin-tags is no JSON"), "{failure}");
            assert_eq!(failure.exit_status(), 2);
        }
    }

    #[test]
    fn file_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, vec![b'a'; usize::try_from(MAX_VALUE_FILE).unwrap() + 1]).unwrap();
        assert_eq!(bytes(&path).err().unwrap().exit_status(), 2);
    }
}
