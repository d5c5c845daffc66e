//! Reads the operator's files of client networks and measured latencies. Must not know their form.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use dps_core::allocation::regions::{RegionFile, RegionMap};
use dps_model::limits::MAX_REGION_FILE;

/// What both files say; one that is not named says nothing. Errors name the file, the line and the column.
pub fn read(networks: Option<&Path>, latencies: Option<&Path>) -> anyhow::Result<RegionMap> {
    let map = RegionMap::parse(&text(networks)?, &text(latencies)?);
    map.map_err(|error| {
        let file = match error.file {
            RegionFile::Networks => networks,
            RegionFile::Latencies => latencies,
        };
        let file = file.map_or_else(String::new, |path| format!("{}: ", path.display()));
        anyhow::anyhow!("{file}{error}")
    })
}

fn text(path: Option<&Path>) -> anyhow::Result<String> {
    let Some(path) = path else { return Ok(String::new()) };
    let mut text = String::new();
    let most = u64::try_from(MAX_REGION_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn mistake_in_a_file_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (networks, latencies) = (folder.path().join("networks"), folder.path().join("latencies"));
        std::fs::write(&networks, "10.0.0.0/8 eastus\n").unwrap();
        std::fs::write(&latencies, "eastus hub.example many\n").unwrap();
        assert_eq!(read(Some(&networks), None).unwrap().networks(), 1);
        let why = read(Some(&networks), Some(&latencies)).err().unwrap().to_string();
        assert!(why.contains("latencies: line 1, column 20: \"many\" is no whole number"), "{why}");
        let why = read(Some(&folder.path().join("none")), None).err().unwrap().to_string();
        assert!(why.contains("cannot read") && why.contains("none"), "{why}");
        assert_eq!(read(None, None).unwrap().networks(), 0);
    }
}
