//! A twin's sections: values, `$metadata`, `$version`, and the merge rules of a patch. Pure; must not know who asks.
//! Rules and bounds: IoT Hub, "Understand and use device twins" (tags, desired and reported properties).

use dps_model::Timestamp;
use dps_model::limits::MAX_TWIN_SECTION;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::HubFailure;

const LAST_UPDATED: &str = "$lastUpdated";
const LAST_UPDATED_VERSION: &str = "$lastUpdatedVersion";

/// One section with properties: desired or reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    pub(crate) values: Map<String, Value>,
    metadata: Map<String, Value>,
    pub(crate) version: u64,
}

impl Section {
    /// An empty section, version 1.
    pub(crate) fn empty(now: Timestamp) -> Self {
        let mut metadata = Map::new();
        metadata.insert(LAST_UPDATED.into(), Value::String(now.to_string()));
        Self { values: Map::new(), metadata, version: 1 }
    }

    /// Merges a patch: null removes, objects merge, everything else replaces. On an error nothing has changed.
    pub(crate) fn patch(
        &mut self,
        patch: &Map<String, Value>,
        now: Timestamp,
        versioned: bool,
    ) -> Result<(), HubFailure> {
        self.become_merged(self.clone(), patch, now, versioned)
    }

    /// Puts these properties in place of all others.
    pub(crate) fn replace(
        &mut self,
        values: &Map<String, Value>,
        now: Timestamp,
        versioned: bool,
    ) -> Result<(), HubFailure> {
        let bare = Self { version: self.version, ..Self::empty(now) };
        self.become_merged(bare, values, now, versioned)
    }

    fn become_merged(
        &mut self,
        mut base: Self,
        patch: &Map<String, Value>,
        now: Timestamp,
        versioned: bool,
    ) -> Result<(), HubFailure> {
        check(patch)?;
        base.version += 1;
        let stamp = Stamp { time: now.to_string(), version: versioned.then_some(base.version) };
        merge(&mut base.values, Some(&mut base.metadata), patch, &stamp);
        check_size(&base.values)?;
        *self = base;
        Ok(())
    }

    /// With `$version`, as devices read it.
    pub(crate) fn for_device(&self) -> Value {
        let mut shown = self.values.clone();
        shown.insert("$version".into(), self.version.into());
        Value::Object(shown)
    }

    /// With `$metadata` and `$version`, as services read it.
    pub(crate) fn for_service(&self) -> Value {
        let mut shown = self.values.clone();
        shown.insert("$metadata".into(), Value::Object(self.metadata.clone()));
        shown.insert("$version".into(), self.version.into());
        Value::Object(shown)
    }
}

/// Merges a patch into tags, which have neither metadata nor a version. On an error nothing has changed.
pub(crate) fn patch_tags(
    tags: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), HubFailure> {
    check(patch)?;
    let mut merged = tags.clone();
    merge(&mut merged, None, patch, &Stamp { time: String::new(), version: None });
    check_size(&merged)?;
    *tags = merged;
    Ok(())
}

struct Stamp {
    time: String,
    version: Option<u64>,
}

impl Stamp {
    fn put(&self, metadata: &mut Map<String, Value>) {
        metadata.insert(LAST_UPDATED.into(), Value::String(self.time.clone()));
        if let Some(version) = self.version {
            metadata.insert(LAST_UPDATED_VERSION.into(), version.into());
        }
    }
}

/// The depth is bounded by `check`, which every patch passes first.
fn merge(
    values: &mut Map<String, Value>,
    mut metadata: Option<&mut Map<String, Value>>,
    patch: &Map<String, Value>,
    stamp: &Stamp,
) {
    if let Some(metadata) = metadata.as_deref_mut() {
        stamp.put(metadata);
    }
    for (key, new) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        if new.is_null() {
            values.remove(key);
            if let Some(metadata) = metadata.as_deref_mut() {
                metadata.remove(key);
            }
            continue;
        }
        let below = metadata.as_deref_mut().map(|metadata| object(metadata, key, new.is_object()));
        match new {
            Value::Object(nested) => merge(object(values, key, true), below, nested, stamp),
            leaf => {
                values.insert(key.clone(), leaf.clone());
                if let Some(below) = below {
                    stamp.put(below);
                }
            }
        }
    }
}

/// The object under that key; what is there and must not stay (`keep` is false, or it is no object) is replaced.
fn object<'a>(parent: &'a mut Map<String, Value>, key: &str, keep: bool) -> &'a mut Map<String, Value> {
    let slot = parent.entry(key).or_insert(Value::Null);
    if !keep || !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("invariant: the lines above made it an object"),
    }
}

/// Refuses what a twin cannot hold.
fn check(section: &Map<String, Value>) -> Result<(), HubFailure> {
    dps_model::twin::check("The twin", section).map_err(HubFailure::argument)
}

fn check_size(section: &Map<String, Value>) -> Result<(), HubFailure> {
    let size = serde_json::to_vec(section).map_or(usize::MAX, |bytes| bytes.len());
    if size > MAX_TWIN_SECTION {
        return Err(HubFailure::argument(format!(
            "A section of a twin has at most {MAX_TWIN_SECTION} bytes; this one would have {size}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;
    use serde_json::{Map, Value, json};

    use super::{Section, patch_tags};

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn patch_merges_objects_and_null_removes() {
        let mut section = Section::empty(at(0));
        section.patch(&map(json!({"a": {"b": 1, "c": 2}, "d": [1]})), at(1), true).unwrap();
        section.patch(&map(json!({"a": {"b": null, "e": "x"}, "d": null, "f": null})), at(2), true).unwrap();
        assert_eq!(section.for_device(), json!({"a": {"c": 2, "e": "x"}, "$version": 3}));
    }

    #[test]
    fn patch_stamps_only_what_it_touches() {
        let mut section = Section::empty(at(0));
        section.patch(&map(json!({"a": {"b": 1}, "c": 1})), at(1000), true).unwrap();
        section.patch(&map(json!({"c": 2})), at(2000), true).unwrap();
        let shown = section.for_service();
        assert_eq!(shown["$metadata"]["a"]["b"]["$lastUpdatedVersion"], 2);
        assert_eq!(shown["$metadata"]["c"]["$lastUpdatedVersion"], 3);
        assert_eq!(shown["$metadata"]["a"]["$lastUpdated"], "1970-01-01T00:00:01.0000000Z");
        assert_eq!(shown["$metadata"]["$lastUpdated"], "1970-01-01T00:00:02.0000000Z");
    }

    #[test]
    fn replace_drops_what_is_not_named() {
        let mut section = Section::empty(at(0));
        section.patch(&map(json!({"a": 1})), at(1), false).unwrap();
        section.replace(&map(json!({"b": 2, "$version": 9, "$metadata": {}})), at(2), false).unwrap();
        assert_eq!(section.for_device(), json!({"b": 2, "$version": 3}));
        assert!(section.for_service()["$metadata"].get("a").is_none());
    }

    #[test]
    fn patch_leaf_over_object_and_back_leaves_no_metadata_behind() {
        let mut section = Section::empty(at(0));
        section.patch(&map(json!({"a": {"b": {"c": 1}}})), at(1), true).unwrap();
        section.patch(&map(json!({"a": 5})), at(2), true).unwrap();
        assert!(section.for_service()["$metadata"]["a"].get("b").is_none());
        section.patch(&map(json!({"a": {"x": 1}})), at(3), true).unwrap();
        assert_eq!(section.for_device(), json!({"a": {"x": 1}, "$version": 4}));
    }

    #[test]
    fn patch_beyond_a_bound_refused_and_changes_nothing() {
        let mut deep = json!(1);
        for _ in 0..11 {
            deep = json!({ "k": deep });
        }
        let many: Map<String, Value> = (0..10).map(|n| (format!("k{n}"), json!("x".repeat(4000)))).collect();
        let mut section = Section::empty(at(0));
        let before = section.clone();
        for bad in [
            map(deep),
            many.clone(),
            map(json!({"a.b": 1})),
            map(json!({"$x": 1})),
            map(json!({"a": {"b c": 1}})),
            map(json!({"": 1})),
            map(json!({"a": "x".repeat(5000)})),
            map(json!({"k".repeat(2000): 1})),
        ] {
            assert!(section.patch(&bad, at(1), true).is_err());
            assert_eq!(section, before);
        }
        let mut tags = Map::new();
        assert!(patch_tags(&mut tags, &many).is_err());
        assert!(tags.is_empty());
    }
}
