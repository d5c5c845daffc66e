//! Lines of a file as batches that one request can carry. Owns what a line must be; must not know what is done with it.

use std::io::{BufRead, Read as _};

use serde_json::Value;

use super::Reject;
use super::progress::Done;
use crate::fleet::api::Collection;
use crate::fleet::enrollments::READ_ONLY;
use crate::fleet::limits::{MAX_BULK_BODY, MAX_BULK_ITEMS};
use crate::fleet::output::MASK;

/// A line that can be sent.
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    pub id: String,
    pub item: Value,
    /// As it stands in the file.
    pub text: String,
}

/// Lines that follow each other: those to send, and those that are settled already.
#[derive(Default)]
pub struct Batch {
    pub first: usize,
    pub last: usize,
    pub lines: Vec<Line>,
    pub rejects: Vec<Reject>,
    /// Lines that an earlier run settled.
    pub resumed: usize,
    bytes: usize,
}

/// What becomes of a line's etag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etags {
    /// Sent as it is.
    Kept,
    /// Left out: any version is meant, or none.
    Dropped,
    /// Replaced by the one that stands for any version.
    Any,
}

/// The batches of a file, read as they are asked for.
pub struct Batches {
    reader: Box<dyn BufRead + Send>,
    collection: Collection,
    etags: Etags,
    done: Done,
    number: usize,
    /// A line that did not fit into the last batch.
    kept: Option<Line>,
    ended: bool,
}

impl Batches {
    pub fn new(reader: Box<dyn BufRead + Send>, collection: Collection, etags: Etags, done: Done) -> Self {
        Self { reader, collection, etags, done, number: 0, kept: None, ended: false }
    }

    /// The next line; none at the end. A line that is too long is read to its end and kept in part.
    fn read_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_BULK_BODY).unwrap_or(u64::MAX) + 1;
        if self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut ended = bytes.ends_with(b"\n") || bytes.len() <= MAX_BULK_BODY;
        while !ended {
            let mut rest = Vec::new();
            let more = self.reader.by_ref().take(limit).read_until(b'\n', &mut rest)?;
            ended = more == 0 || rest.ends_with(b"\n");
        }
        Ok(Some(bytes))
    }

    fn line(&self, bytes: &[u8]) -> Result<Line, Reject> {
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        let reject =
            |id: &str, why: String, text: String| Reject { line: self.number, id: id.to_owned(), why, text };
        if bytes.len() > MAX_BULK_BODY {
            return Err(reject("?", format!("the line is longer than {MAX_BULK_BODY} bytes"), text));
        }
        let mut item: Value = match serde_json::from_str(&text) {
            Ok(item) => item,
            // serde's sentence is about the grammar and repeats nothing of the line.
            Err(error) => return Err(reject("?", format!("it is no JSON: {error}"), text)),
        };
        let member = self.collection.id_member();
        let Some(id) = item[member].as_str().map(ToOwned::to_owned) else {
            return Err(reject("?", format!("it has no {member}"), text));
        };
        let url = item["customAllocationDefinition"]["webhookUrl"].as_str().unwrap_or_default();
        if url.ends_with(MASK) {
            return Err(reject(&id, "its webhookUrl is masked: export it with --show-keys".to_owned(), text));
        }
        if let Some(members) = item.as_object_mut() {
            members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
            match self.etags {
                Etags::Kept => None,
                Etags::Dropped => members.remove("etag"),
                Etags::Any => members.insert("etag".into(), "*".into()),
            };
        }
        Ok(Line { number: self.number, id, item, text })
    }

    /// Fills the batch until no more fits or the file ends.
    fn fill(&mut self, batch: &mut Batch) -> std::io::Result<()> {
        if let Some(line) = self.kept.take() {
            batch.push(line);
        }
        while batch.lines.len() < MAX_BULK_ITEMS && batch.rejects.len() < MAX_BULK_ITEMS {
            let Some(bytes) = self.read_line()? else {
                self.ended = true;
                return Ok(());
            };
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if self.done.contains(self.number) {
                batch.resumed += 1;
                // What is sent is one run of lines; settled ones may go on without end.
                if batch.lines.is_empty() && batch.rejects.is_empty() {
                    continue;
                }
                return Ok(());
            }
            batch.cover(self.number);
            match self.line(&bytes) {
                Err(reject) => batch.rejects.push(reject),
                Ok(line) if batch.fits(&line) => batch.push(line),
                Ok(line) => {
                    // Its batch is the next one.
                    batch.last = line.number - 1;
                    self.kept = Some(line);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Iterator for Batches {
    type Item = std::io::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended && self.kept.is_none() {
            return None;
        }
        let mut batch = Batch::default();
        if let Err(error) = self.fill(&mut batch) {
            self.ended = true;
            self.kept = None;
            return Some(Err(error));
        }
        let empty = batch.lines.is_empty() && batch.rejects.is_empty() && batch.resumed == 0;
        (!empty).then_some(Ok(batch))
    }
}

impl Batch {
    fn cover(&mut self, number: usize) {
        if self.first == 0 {
            self.first = number;
        }
        self.last = number;
    }

    fn fits(&self, line: &Line) -> bool {
        // A line alone is always sent: the service says what it thinks of it. An answer tells items apart by their ids.
        let is_new = self.lines.iter().all(|other| !other.id.eq_ignore_ascii_case(&line.id));
        self.lines.is_empty() || is_new && self.bytes + line.text.len() < MAX_BULK_BODY
    }

    fn push(&mut self, line: Line) {
        self.cover(line.number);
        self.bytes += line.text.len() + 1;
        self.lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn batches(text: &str, done: Done) -> Vec<Batch> {
        let reader = Box::new(Cursor::new(text.to_owned().into_bytes()));
        Batches::new(reader, Collection::Enrollments, Etags::Dropped, done).map(Result::unwrap).collect()
    }

    fn enrollments(count: usize) -> String {
        let line = |number| format!("{{\"registrationId\":\"d{number}\",\"etag\":\"x\"}}\n");
        (1..=count).map(line).collect::<Vec<_>>().concat()
    }

    fn shape(batches: &[Batch]) -> Vec<(usize, usize, usize)> {
        batches.iter().map(|batch| (batch.first, batch.last, batch.lines.len())).collect()
    }

    #[test]
    fn lines_come_ten_to_a_batch_without_what_the_service_fills_in() {
        let text = enrollments(23).replace("\"etag\"", "\"registrationState\":{},\"etag\"");
        let batches = batches(&text, Done::default());
        assert_eq!(shape(&batches), [(1, 10, 10), (11, 20, 10), (21, 23, 3)]);
        assert_eq!(batches[2].lines[2].item.to_string(), r#"{"registrationId":"d23"}"#);
    }

    #[test]
    fn bad_lines_are_rejected_and_the_others_go_on() {
        let text = "{\"registrationId\":\"a\"}\n\nnonsense\n{\"deviceId\":\"b\"}\n[]\n{\"registrationId\":\"c\",\
                    \"customAllocationDefinition\":{\"webhookUrl\":\"https://f?****\"}}\n{\"registrationId\":\"d\"}";
        let batches = batches(text, Done::default());
        assert_eq!(shape(&batches), [(1, 7, 2)]);
        let rejects: Vec<(usize, &str)> =
            batches[0].rejects.iter().map(|reject| (reject.line, reject.why.as_str())).collect();
        assert_eq!(rejects[0].0, 3);
        assert!(rejects[0].1.starts_with("it is no JSON: expected ident at line 1"), "{rejects:?}");
        assert_eq!(rejects[1..3], [(4, "it has no registrationId"), (5, "it has no registrationId")]);
        assert_eq!(rejects[3].0, 6);
        assert!(rejects[3].1.contains("--show-keys"));
    }

    #[test]
    fn large_lines_share_no_batch_and_too_large_ones_are_rejected() {
        let large = |id: &str, size: usize| {
            format!("{{\"registrationId\":\"{id}\",\"x\":\"{}\"}}\n", "y".repeat(size))
        };
        let text = [large("a", 60_000), large("b", 60_000), large("c", 300_000), large("d", 10)].concat();
        let batches = batches(&text, Done::default());
        assert_eq!(shape(&batches), [(1, 1, 1), (2, 4, 2)]);
        assert_eq!((batches[1].rejects[0].line, batches[1].lines[1].id.as_str()), (3, "d"));
    }

    #[test]
    fn etags_are_what_the_mode_needs() {
        for (etags, sent) in [
            (Etags::Kept, r#"{"etag":"x","registrationId":"d1"}"#),
            (Etags::Dropped, r#"{"registrationId":"d1"}"#),
            (Etags::Any, r#"{"etag":"*","registrationId":"d1"}"#),
        ] {
            let reader = Box::new(Cursor::new(enrollments(1).into_bytes()));
            let mut batches = Batches::new(reader, Collection::Enrollments, etags, Done::default());
            assert_eq!(batches.next().unwrap().unwrap().lines[0].item.to_string(), sent);
        }
    }

    #[test]
    fn lines_of_one_id_share_no_batch() {
        let text = "{\"registrationId\":\"a\"}\n{\"registrationId\":\"A\"}\n{\"registrationId\":\"b\"}\n";
        assert_eq!(shape(&batches(text, Done::default())), [(1, 1, 1), (2, 3, 2)]);
    }

    #[test]
    fn lines_that_are_done_are_left_out() {
        let done = Done::read("1 10\n15 17\n");
        let batches = batches(&enrollments(21), done);
        assert_eq!(shape(&batches), [(11, 14, 4), (18, 21, 4)]);
        assert_eq!(batches.iter().map(|batch| batch.resumed).sum::<usize>(), 13);
        let all = self::batches(&enrollments(3), Done::read("1 3\n"));
        assert_eq!((all.len(), all[0].lines.len(), all[0].resumed), (1, 0, 3));
    }
}
