//! Rows in one stream, sorted. It stands above each sort and asks for its order, because planners drop a sort beneath what
//! does not ask, and KQL's operators keep the order of a sorted input.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::{Run, Start, Transform};

/// The operator; it changes nothing.
#[derive(Debug)]
pub struct Serialize {
    /// The order that it asks for.
    pub keys: Vec<OrderKey>,
}

/// A column to be sorted by.
#[derive(Clone, Debug)]
pub struct OrderKey {
    /// Which.
    pub column: String,
    /// Largest first.
    pub descending: bool,
    /// Where nulls go.
    pub nulls_first: bool,
}

impl Transform for Serialize {
    fn name(&self) -> &'static str {
        "Serialize"
    }

    fn operands(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.column.as_str()).collect()
    }

    fn wants_order(&self) -> &[OrderKey] {
        &self.keys
    }

    fn made(&self) -> Vec<(String, DataType)> {
        Vec::new()
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn start(&self, _: Start) -> Result<Box<dyn Run>> {
        Ok(Box::new(Passing(None)))
    }
}

struct Passing(Option<RecordBatch>);

impl Run for Passing {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.0 = Some(batch);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.0.take())
    }
}
