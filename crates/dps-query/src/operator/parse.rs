//! `parse`: texts taken out of a text by a pattern.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use regex::Regex;

use super::{Run, Start, Transform};

/// The operator.
#[derive(Debug)]
pub struct Parse {
    /// The text's column.
    pub source: String,
    /// The whole pattern, whose groups `c0`, `c1` … are what is taken.
    pub pattern: Regex,
    /// Name of the column that says whether the pattern matched.
    pub matched: String,
    /// Names of the columns of the groups, in their order; empty where nothing matched.
    pub taken: Vec<String>,
}

impl Transform for Parse {
    fn name(&self) -> &'static str {
        "Parse"
    }

    fn operands(&self) -> Vec<&str> {
        vec![&self.source]
    }

    fn made(&self) -> Vec<(String, DataType)> {
        let matched = (self.matched.clone(), DataType::Boolean);
        std::iter::once(matched).chain(self.taken.iter().map(|name| (name.clone(), DataType::Utf8))).collect()
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let names: Vec<_> = self.pattern.capture_names().collect();
        let group = |index: usize| names.iter().position(|name| *name == Some(&group_name(index)));
        Ok(Box::new(Parsing {
            place: start.input.index_of(&self.source)?,
            groups: (0..self.taken.len()).map(|index| group(index).unwrap_or(0)).collect(),
            pattern: self.pattern.clone(),
            output: start.output,
            parsed: None,
        }))
    }
}

/// The name of the group of the column with that number.
pub fn group_name(index: usize) -> String {
    format!("c{index}")
}

struct Parsing {
    place: usize,
    groups: Vec<usize>,
    pattern: Regex,
    output: SchemaRef,
    parsed: Option<RecordBatch>,
}

impl Run for Parsing {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let texts = batch.column(self.place).as_string::<i32>();
        let mut matched = BooleanBuilder::with_capacity(batch.num_rows());
        let mut taken: Vec<_> = self.groups.iter().map(|_| StringBuilder::new()).collect();
        let mut found = self.pattern.capture_locations();
        for row in 0..batch.num_rows() {
            let text = if texts.is_valid(row) { texts.value(row) } else { "" };
            let matches = self.pattern.captures_read(&mut found, text).is_some();
            matched.append_value(matches);
            for (column, group) in taken.iter_mut().zip(&self.groups) {
                let part = found.get(*group).filter(|_| matches);
                column.append_value(part.and_then(|(from, to)| text.get(from..to)).unwrap_or(""));
            }
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(matched.finish()));
        columns.extend(taken.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef));
        self.parsed = Some(super::batch(&self.output, columns, batch.num_rows())?);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.parsed.take())
    }
}
