//! `mv-expand`: a row for each element of a dynamic array or bag; several columns side by side.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;

use super::{Run, Start, Transform};
use crate::functions::json;

/// Bytes of text after which a batch is given, so that rows with long cells make small batches.
const BATCH_BYTES: usize = 8 << 20;

/// The operator.
#[derive(Debug)]
pub struct Expand {
    /// Dynamic columns of the input.
    pub sources: Vec<String>,
    /// Names of the elements' columns, one for each source.
    pub elements: Vec<String>,
    /// Name of the column with the element's number.
    pub item_index: Option<String>,
    /// A bag becomes pairs and not bags of one member.
    pub bag_as_array: bool,
    /// At most so many rows of each.
    pub limit: Option<u64>,
}

impl Transform for Expand {
    fn name(&self) -> &'static str {
        "MvExpand"
    }

    fn operands(&self) -> Vec<&str> {
        self.sources.iter().map(String::as_str).collect()
    }

    fn made(&self) -> Vec<(String, DataType)> {
        let elements = self.elements.iter().map(|name| (name.clone(), DataType::Utf8));
        elements.chain(self.item_index.iter().map(|name| (name.clone(), DataType::Int64))).collect()
    }

    fn start(&self, start: Start) -> Result<Box<dyn Run>> {
        let places =
            self.sources.iter().map(|name| start.input.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(Expanding {
            places,
            numbered: self.item_index.is_some(),
            bag_as_array: self.bag_as_array,
            limit: self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            batch: None,
            row: 0,
            element: 0,
            current: Vec::new(),
            output: start.output,
            batch_rows: start.batch_rows,
        }))
    }
}

struct Expanding {
    places: Vec<usize>,
    numbered: bool,
    bag_as_array: bool,
    limit: usize,
    batch: Option<RecordBatch>,
    /// The row at work and its next element.
    row: usize,
    element: usize,
    /// The elements of that row, one list for each source; empty before it is looked at.
    current: Vec<Vec<Option<String>>>,
    output: SchemaRef,
    batch_rows: usize,
}

impl Run for Expanding {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.batch = Some(batch);
        self.row = 0;
        self.element = 0;
        self.current.clear();
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.batch.take() else { return Ok(None) };
        let mut out = Rows::new(self.places.len());
        while self.row < batch.num_rows() && out.taken.len() < self.batch_rows && out.bytes < BATCH_BYTES {
            if self.current.is_empty() {
                self.look(&batch);
            }
            let longest = self.current.iter().map(Vec::len).max().unwrap_or(0).min(self.limit);
            if self.element >= longest {
                self.row += 1;
                self.element = 0;
                self.current.clear();
                continue;
            }
            out.push(self.row, self.element, &self.current);
            self.element += 1;
        }
        let made = out.finish(&batch, self.numbered, &self.output)?;
        if self.row < batch.num_rows() {
            self.batch = Some(batch);
        } else if made.num_rows() == 0 {
            return Ok(None);
        }
        Ok(Some(made))
    }
}

impl Expanding {
    fn look(&mut self, batch: &RecordBatch) {
        for place in &self.places {
            let column: &dyn Array = batch.column(*place);
            let text = column.as_string_opt::<i32>().filter(|texts| texts.is_valid(self.row));
            let elements = match text {
                Some(texts) => elements(texts.value(self.row), self.bag_as_array),
                None => vec![None],
            };
            self.current.push(elements);
        }
    }
}

/// What a value is expanded to. A scalar is its own only element, and so is null.
fn elements(text: &str, bag_as_array: bool) -> Vec<Option<String>> {
    let present = |element: &str| (element != "null").then(|| element.to_owned());
    if let Some(elements) = json::elements(text) {
        return elements.into_iter().map(present).collect();
    }
    if let Some(members) = json::members(text) {
        let member = |(name, value): (std::borrow::Cow<'_, str>, &str)| {
            let name = json::quote(&name);
            Some(if bag_as_array { format!("[{name},{value}]") } else { format!("{{{name}:{value}}}") })
        };
        return members.into_iter().map(member).collect();
    }
    vec![present(text)]
}

/// The rows of a batch in the making.
struct Rows {
    taken: Vec<u32>,
    numbers: Int64Builder,
    texts: Vec<StringBuilder>,
    bytes: usize,
}

impl Rows {
    fn new(columns: usize) -> Self {
        let texts = (0..columns).map(|_| StringBuilder::new()).collect();
        Self { taken: Vec::new(), numbers: Int64Builder::new(), texts, bytes: 0 }
    }

    fn push(&mut self, row: usize, element: usize, current: &[Vec<Option<String>>]) {
        self.taken.push(u32::try_from(row).unwrap_or(u32::MAX));
        self.numbers.append_value(i64::try_from(element).unwrap_or(i64::MAX));
        for (texts, elements) in self.texts.iter_mut().zip(current) {
            let text = elements.get(element).and_then(Option::as_deref);
            self.bytes += text.map_or(0, str::len);
            texts.append_option(text);
        }
    }

    fn finish(mut self, batch: &RecordBatch, numbered: bool, output: &SchemaRef) -> Result<RecordBatch> {
        let rows = self.taken.len();
        let taken = UInt32Array::from(self.taken);
        let mut columns: Vec<ArrayRef> =
            batch.columns().iter().map(|column| take(column, &taken, None)).collect::<Result<_, _>>()?;
        columns.extend(self.texts.iter_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef));
        if numbered {
            columns.push(Arc::new(self.numbers.finish()));
        }
        super::batch(output, columns, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn elements_of_arrays_bags_and_scalars_are_what_kusto_expands() {
        let texts = |text, pairs| {
            elements(text, pairs).into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(texts("[1,\"a\",null,[2]]", false), ["1", "\"a\"", "", "[2]"]);
        assert_eq!(texts("{\"a\":1,\"b\":{}}", false), ["{\"a\":1}", "{\"b\":{}}"]);
        assert_eq!(texts("{\"a\":1}", true), ["[\"a\",1]"]);
        assert_eq!(texts("7", false), ["7"]);
        assert!(elements("[]", false).is_empty());
    }
}
