//! Which lines of a file are settled, in a file beside it, so that an import that was stopped goes on where it was.
//! Must not know what a line holds.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::fleet::api::Failure;

/// Runs of settled lines, in order.
#[derive(Clone, Debug, Default)]
pub struct Done(Vec<(usize, usize)>);

impl Done {
    /// Reads the lines of a progress file. A last line that was cut off is left out: its batch is sent again.
    pub fn read(text: &str) -> Self {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let run = |line: &str| {
            let (first, last) = line.split_once(' ')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let mut runs: Vec<(usize, usize)> = whole.lines().filter_map(run).collect();
        runs.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for (first, last) in runs {
            match joined.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    pub fn contains(&self, number: usize) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).is_some_and(|at| number <= self.0[at].1)
    }
}

/// The file of settled lines; none where the input cannot be read again.
pub struct Progress {
    file: Option<(std::fs::File, PathBuf)>,
    done: Done,
}

impl Progress {
    pub fn none() -> Self {
        Self { file: None, done: Done::default() }
    }

    /// Goes on with `INPUT.progress`, whose first line says what the import is, or begins one.
    pub fn open(input: &Path, head: &str, restart: bool) -> Result<Self, Failure> {
        let mut name = input.as_os_str().to_owned();
        name.push(".progress");
        let path = PathBuf::from(name);
        let before = if restart { None } else { std::fs::read_to_string(&path).ok() };
        let done = match before.as_deref().and_then(|text| text.split_once('\n')) {
            None => None,
            Some((its, lines)) if its == head => Some(Done::read(lines)),
            Some(_) => {
                return Err(Failure::Usage(format!(
                    "{} is of another import (another mode, service or content of the file): finish that one, or say \
                     --restart",
                    path.display()
                )));
            }
        };
        let text = done.as_ref().map_or_else(String::new, |done| {
            let runs = done.0.iter().map(|(first, last)| format!("{first} {last}\n"));
            runs.collect()
        });
        // Written anew: what was cut off must not run into what is added.
        let written = std::fs::write(&path, format!("{head}\n{text}"))
            .and_then(|()| std::fs::OpenOptions::new().append(true).open(&path));
        let file = written.with_context(|| format!("{} cannot be written", path.display()))?;
        if let Some(done) = &done {
            let count: usize = done.0.iter().map(|(first, last)| last - first + 1).sum();
            eprintln!("muster: going on after {count} lines that {} has as done", path.display());
        }
        Ok(Self { file: Some((file, path)), done: done.unwrap_or_default() })
    }

    pub fn done(&self) -> Done {
        self.done.clone()
    }

    /// These lines need nothing more.
    pub fn settle(&mut self, first: usize, last: usize) -> Result<(), Failure> {
        let Some((file, path)) = self.file.as_mut().filter(|_| first > 0) else { return Ok(()) };
        Ok(writeln!(file, "{first} {last}")
            .with_context(|| format!("{} cannot be written", path.display()))?)
    }

    /// What a person can do after the import ended early.
    pub fn hint(&self, input: &str) {
        if let Some((_, path)) = &self.file {
            eprintln!("muster: the same command goes on with {input} where it was: {} knows", path.display());
        }
    }

    /// Everything is settled.
    pub fn remove(self) -> Result<(), Failure> {
        match self.file {
            Some((_, path)) => Ok(std::fs::remove_file(&path)
                .with_context(|| format!("{} cannot be removed", path.display()))?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_lines_are_found_in_any_order_and_a_cut_off_run_is_not() {
        let done = Done::read("11 20\n1 10\n31 40\n25 25\n41 5");
        for number in [1, 10, 11, 20, 25, 31, 40] {
            assert!(done.contains(number), "{number}");
        }
        for number in [0, 21, 24, 26, 30, 41, 45] {
            assert!(!done.contains(number), "{number}");
        }
        assert_eq!(done.0, [(1, 20), (25, 25), (31, 40)]);
    }

    #[test]
    fn import_goes_on_with_its_own_progress_alone() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("devices.jsonl");
        let mut progress = Progress::open(&input, "head", false).ok().unwrap();
        progress.settle(1, 10).ok().unwrap();
        drop(progress);
        assert_eq!(Progress::open(&input, "other", false).err().unwrap().exit_status(), 2);
        let again = Progress::open(&input, "head", false).ok().unwrap();
        assert!(again.done().contains(10) && !again.done().contains(11));
        let anew = Progress::open(&input, "head", true).ok().unwrap();
        assert!(!anew.done().contains(10));
        anew.remove().ok().unwrap();
        assert!(!folder.path().join("devices.jsonl.progress").exists());
    }
}
