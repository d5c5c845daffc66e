//! Opening: what a crash left is made whole. The manifest says which files are in, segments are replayed into memory; a
//! manifest that is lost is put together again from the files' own notes. Damage is set aside, counted and told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, RwLock};

use datafusion::object_store::GetRange;
use datafusion::object_store::path::Path;
use dps_monitor::{LogError, Table};

use super::disk::{self, Disk, LocalDisk, TEMPORARY};
use super::limits::{MAX_HOT_BYTES, MAX_META_BYTES};
use super::manifest::{self, Entry, Found, Manifest};
use super::parquet::{self, Footer};
use super::scan::DataFile;
use super::upkeep::{Doomed, Upkeep};
use super::{ParquetStore, Place, State, StoreOptions, Writer, archive::Archive, segment};

/// Bytes at a file's end that are read for its footer at first.
const TAIL: u64 = 64 << 10;

impl ParquetStore {
    /// Opens the store in a folder, or makes one.
    pub fn open(options: StoreOptions) -> Result<Self, LogError> {
        Self::open_on(options, Arc::new(LocalDisk))
    }

    /// The same on another disk.
    pub fn open_on(mut options: StoreOptions, disk: Arc<dyn Disk>) -> Result<Self, LogError> {
        options.hot_bytes = options.hot_bytes.min(MAX_HOT_BYTES);
        let segments = options.dir.join("segments");
        disk.create_dir(&segments).map_err(|e| LogError(format!("{}: {e}", segments.display())))?;
        let archive = match &options.files {
            Place::Folder(root) => Archive::folder(root.clone(), Arc::clone(&disk)).map_err(LogError)?,
            Place::Objects(objects) => Archive::objects(Arc::clone(objects)),
        };
        let store = Self {
            options,
            disk,
            segments,
            archive,
            upkeep: Mutex::new(Upkeep::default()),
            writer: Mutex::new(Writer { active: None, next: 1 }),
            state: RwLock::new(State::default()),
        };
        store.recover().map_err(LogError)?;
        Ok(store)
    }

    fn recover(&self) -> Result<(), String> {
        let mut upkeep = self.upkeep();
        let present = segment::list(&*self.disk, &self.segments).map_err(|e| e.to_string())?;
        let found = manifest::read(&*self.disk, &self.options.dir).map_err(|e| e.to_string())?;
        let listed = self.listed()?;
        upkeep.manifest = match found {
            Found::Whole(manifest) => self.compare(&mut upkeep, manifest, &listed, &present)?,
            Found::None if listed.is_empty() => Manifest { next: 1, ..Manifest::default() },
            Found::None => self.rebuild(&mut upkeep, &listed, &present)?,
            Found::Damaged => {
                let path = self.options.dir.join(manifest::NAME);
                disk::set_aside(&*self.disk, &path).map_err(|e| e.to_string())?;
                self.state_mut().damage.manifests += 1;
                tracing::error!("the log store's manifest is damaged; it is made anew from the files");
                self.rebuild(&mut upkeep, &listed, &present)?
            }
        };
        self.take_files(&upkeep.manifest);
        // Also that the disk can be written.
        self.commit(&mut upkeep, super::upkeep::Change::default())?;
        let rolled = upkeep.manifest.rolled;
        self.writer().next = present.last().copied().unwrap_or(0).max(rolled) + 1;
        for number in present {
            self.replay(&mut upkeep, number)?;
        }
        self.sweep(&mut upkeep);
        Ok(())
    }

    /// Our files with their sizes. What was not put in place is removed.
    fn listed(&self) -> Result<HashMap<Path, (Table, u64, u64)>, String> {
        let mut ours = HashMap::new();
        for (location, size) in self.archive.list()? {
            let whole = location.as_ref().strip_suffix(TEMPORARY);
            let unfinished = whole.and_then(|whole| Path::parse(whole).ok());
            if unfinished.is_some_and(|whole| parquet::parse_location(&whole).is_some()) {
                self.archive.remove(&location)?;
            } else if let Some((table, number)) = parquet::parse_location(&location) {
                ours.insert(location, (table, number, size));
            }
        }
        Ok(ours)
    }

    /// A manifest against what is there.
    fn compare(
        &self,
        upkeep: &mut Upkeep,
        mut manifest: Manifest,
        listed: &HashMap<Path, (Table, u64, u64)>,
        present: &[u64],
    ) -> Result<Manifest, String> {
        let mut known = HashSet::new();
        let mut missing = Vec::new();
        manifest.files.retain(|entry| {
            let Ok(location) = Path::parse(&entry.location) else { return false };
            let whole = listed.get(&location).is_some_and(|(_, _, size)| *size == entry.size);
            if !whole {
                missing.push(location.clone());
            }
            known.insert(location);
            whole
        });
        for location in missing {
            self.tell_damaged(&location);
        }
        let removed = manifest.removed.iter().filter_map(|text| Path::parse(text).ok());
        known.extend(removed.clone());
        upkeep.doomed = removed.map(|location| Doomed { location, file: None, committed: true }).collect();
        for (location, (_, _, size)) in listed {
            if known.contains(location) {
                continue;
            }
            // A crash left it between its writing and the manifest if its rows are in segments or in other files.
            let note = self.footer(location, *size)?.map(|footer| footer.note);
            let spare = note.is_some_and(|note| {
                let segments = note.first > manifest.rolled
                    && (note.first..=note.through).all(|number| present.binary_search(&number).is_ok());
                let files = !note.merged.is_empty()
                    && note.merged.iter().all(|from| manifest.files.iter().any(|e| e.location == *from));
                segments || files
            });
            if spare {
                upkeep.doomed.push(Doomed { location: location.clone(), file: None, committed: true });
            } else {
                tracing::warn!(%location, "a file that the log store does not know is left alone");
            }
        }
        let greatest = listed.values().map(|(_, number, _)| *number).max().unwrap_or(0);
        manifest.next = manifest.next.max(greatest + 1);
        Ok(manifest)
    }

    /// A manifest from the files' own notes and the segments that are there.
    fn rebuild(
        &self,
        upkeep: &mut Upkeep,
        listed: &HashMap<Path, (Table, u64, u64)>,
        present: &[u64],
    ) -> Result<Manifest, String> {
        let present: BTreeSet<u64> = present.iter().copied().collect();
        let mut readable = BTreeMap::new();
        let mut next = 1;
        for (location, (table, number, size)) in listed {
            next = next.max(number + 1);
            match self.footer(location, *size)? {
                Some(footer) => drop(readable.insert(*number, (location, *table, *size, footer))),
                None => self.tell_damaged(location),
            }
        }
        let merged: HashSet<String> =
            readable.values().flat_map(|(_, _, _, footer)| footer.note.merged.clone()).collect();
        let mut best: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (_, _, _, Footer { note, .. }) in readable.values() {
            let of = best.entry(note.first).or_default();
            *of = (*of).max((note.through, note.attempt));
        }
        let mut manifest = Manifest { next, ..Manifest::default() };
        for (location, table, size, Footer { note, rows, columns }) in readable.into_values() {
            let rolled = note.first > 0;
            let outdone = rolled && best.get(&note.first) != Some(&(note.through, note.attempt));
            // Segments go only after their rows are in files; if all are there, they are the ones to keep.
            let replayed = rolled && (note.first..=note.through).all(|number| present.contains(&number));
            if outdone || replayed || merged.contains(location.as_ref()) {
                upkeep.doomed.push(Doomed { location: location.clone(), file: None, committed: false });
                continue;
            }
            manifest.rolled = manifest.rolled.max(note.through);
            let (earliest, latest) = (note.earliest, note.latest);
            let file = DataFile { location: location.clone(), size, rows, earliest, latest, columns };
            manifest.files.push(Entry::new(table, &file));
        }
        Ok(manifest)
    }

    fn footer(&self, location: &Path, size: u64) -> Result<Option<Footer>, String> {
        let read = |length: u64| {
            let range = GetRange::Suffix(length.min(size));
            self.archive.read(location, Some(range)).map_err(|e| e.to_string())
        };
        if size < 8 {
            return Ok(None);
        }
        let tail = read(TAIL)?;
        let Some(length) = parquet::footer_length(&tail).filter(|l| *l <= size.min(MAX_META_BYTES)) else {
            return Ok(None);
        };
        let tail = if length > tail.len() as u64 { read(length)? } else { tail };
        let from = usize::try_from(length).ok().and_then(|length| tail.len().checked_sub(length));
        Ok(from.and_then(|from| parquet::footer(tail.get(from..)?)))
    }

    fn take_files(&self, manifest: &Manifest) {
        let mut state = self.state_mut();
        for (table, file) in manifest.files.iter().filter_map(Entry::file) {
            state.files.entry(table).or_default().push(Arc::new(file));
        }
        for files in state.files.values_mut() {
            files.sort_by(|a, b| (a.earliest, &a.location).cmp(&(b.earliest, &b.location)));
        }
    }

    fn replay(&self, upkeep: &mut Upkeep, number: u64) -> Result<(), String> {
        let path = segment::path(&self.segments, number);
        let bytes = self.disk.read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        self.state_mut().segment_bytes.insert(number, bytes.len() as u64);
        if number <= upkeep.manifest.rolled {
            upkeep.rolled_segments.insert(number);
            return Ok(());
        }
        let replay = segment::replay(&bytes);
        drop(bytes);
        if replay.damaged > 0 {
            let stretches = replay.damaged;
            tracing::error!(
                number,
                stretches,
                "a segment of the log store is damaged; what is whole is kept"
            );
            self.state_mut().damage.frames += stretches as u64;
            upkeep.damaged_segments.insert(number);
        }
        if replay.torn > 0 {
            tracing::info!(number, bytes = replay.torn, "an unfinished write to the log store was cut");
        }
        for rows in replay.appends {
            let batches = super::batches(&rows).map_err(|e| e.to_string())?;
            let mut state = self.state_mut();
            for (table, batch) in batches {
                state.hot.push(number, table, batch);
            }
        }
        Ok(())
    }

    /// Sets a file aside that is not in any more.
    pub(super) fn tell_damaged(&self, location: &Path) {
        self.state_mut().damage.files += 1;
        match self.archive.set_aside(location) {
            Ok(()) => tracing::error!(%location, "a file of the log store is damaged and was set aside"),
            Err(error) => tracing::error!(%location, error, "a file of the log store is missing or damaged"),
        }
    }
}
