//! Log stores made by hand: rows in memory and in Parquet files of an object store in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::{ObjectStore, ObjectStoreExt, path::Path};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use dps_kql::{Type, Value};
use dps_monitor::Table;
use dps_monitor::ports::{QueryLimits, QueryRequest, Scope};
use dps_query::store::{DataFile, HotBatch, Snapshot, Snapshots, schema};
use dps_query::{DataFusionEngine, EngineOptions};

/// 2026-01-01T00:00:00Z, and what `now()` is a day later.
pub const START: i64 = 639_028_224_000_000_000;
pub const SECOND: i64 = 10_000_000;
pub const HOUR: i64 = 3600 * SECOND;
pub const NOW: i64 = START + 24 * HOUR;

/// Cells by column name; what is not named is empty.
pub type Cells<'a> = &'a [(&'a str, Value)];

pub struct Store {
    objects: Arc<InMemory>,
    snapshots: Vec<Snapshot>,
}

impl Store {
    pub fn new() -> Self {
        let objects = Arc::new(InMemory::new());
        let snapshot = |table| {
            let objects: Arc<dyn ObjectStore> = objects.clone();
            Snapshot { table, objects, files: Vec::new(), hot: Vec::new() }
        };
        let snapshots = Table::ALL.into_iter().map(snapshot).collect();
        Self { objects, snapshots }
    }

    fn of(&mut self, table: Table) -> &mut Snapshot {
        self.snapshots.iter_mut().find(|snapshot| snapshot.table == table).unwrap()
    }

    /// Adds rows in memory.
    pub fn hot(&mut self, table: Table, rows: &[Cells<'_>]) {
        let (rows, earliest, latest) = batch(table, rows);
        self.of(table).hot.push(HotBatch { rows, earliest, latest });
    }

    /// Adds a file with row groups of so many rows.
    pub async fn file(&mut self, table: Table, group_rows: usize, rows: &[Cells<'_>]) {
        let (batch, earliest, latest) = batch(table, rows);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(group_rows))
            .set_data_page_row_count_limit(group_rows.div_ceil(4))
            .set_write_batch_size(1)
            .set_statistics_enabled(EnabledStatistics::Page)
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let at = self.of(table).files.len();
        let location = Path::from(format!("{}/{at}.parquet", table.name()));
        let size = bytes.len() as u64;
        self.objects.put(&location, bytes.into()).await.unwrap();
        let columns = table.columns().len();
        let file = DataFile { location, size, rows: rows.len() as u64, earliest, latest, columns };
        self.of(table).files.push(Arc::new(file));
    }

    pub fn engine(self) -> DataFusionEngine {
        self.engine_with(2, 4, 4)
    }

    pub fn engine_with(self, threads: usize, running: usize, waiting: usize) -> DataFusionEngine {
        let count = |count| NonZeroUsize::new(count).unwrap();
        let options = EngineOptions { threads: count(threads), running: count(running), waiting };
        DataFusionEngine::open(Arc::new(self), options).unwrap()
    }
}

impl Snapshots for Store {
    fn snapshot(&self, table: Table) -> Snapshot {
        self.snapshots.iter().find(|snapshot| snapshot.table == table).unwrap().clone()
    }
}

fn batch(table: Table, rows: &[Cells<'_>]) -> (RecordBatch, i64, i64) {
    let cell = |row: &Cells<'_>, name: &str| {
        row.iter().find(|(column, _)| *column == name).map(|(_, value)| value.clone())
    };
    let column = |(name, ty): &(&str, Type)| -> ArrayRef {
        let cells = rows.iter().map(|row| cell(row, name));
        match ty {
            Type::DateTime => {
                let micros = cells.map(|cell| match cell {
                    Some(Value::DateTime(ticks)) => Some(schema::micros(ticks)),
                    _ => None,
                });
                Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Type::Long => Arc::new(
                cells
                    .map(|cell| match cell {
                        Some(Value::Long(long)) => Some(long),
                        _ => None,
                    })
                    .collect::<Int64Array>(),
            ),
            Type::Real => Arc::new(
                cells
                    .map(|cell| match cell {
                        Some(Value::Real(real)) => Some(real),
                        _ => None,
                    })
                    .collect::<Float64Array>(),
            ),
            Type::Dynamic => Arc::new(
                cells
                    .map(|cell| match cell {
                        Some(Value::Dynamic(json)) => Some(json.to_string()),
                        _ => None,
                    })
                    .collect::<StringArray>(),
            ),
            _ => Arc::new(StringArray::from_iter_values(cells.map(|cell| match cell {
                Some(Value::String(text)) => text.to_string(),
                _ => String::new(),
            }))),
        }
    };
    let columns = table.columns().iter().map(column).collect();
    let times: Vec<_> = rows
        .iter()
        .filter_map(|row| match cell(row, "TimeGenerated") {
            Some(Value::DateTime(ticks)) => Some(ticks),
            _ => None,
        })
        .collect();
    let batch = RecordBatch::try_new(schema::physical(table), columns).unwrap();
    (batch, times.iter().copied().min().unwrap(), times.iter().copied().max().unwrap())
}

pub fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// A resource log's row.
pub fn log<'a>(
    second: i64,
    operation: &str,
    result: &str,
    duration: Option<i64>,
    resource: &str,
) -> Vec<(&'a str, Value)> {
    vec![
        ("TimeGenerated", Value::DateTime(START + second * SECOND)),
        ("Type", text("AzureDiagnostics")),
        ("Category", text("DeviceOperations")),
        ("OperationName", text(operation)),
        ("ResultType", text(result)),
        ("DurationMs", duration.map_or(Value::Null(Type::Long), Value::Long)),
        ("_ResourceId", text(resource)),
    ]
}

pub fn limits() -> QueryLimits {
    QueryLimits { time: Duration::from_mins(1), rows: 10_000, bytes: 10 << 20, memory: 256 << 20 }
}

pub fn request(text: &str) -> QueryRequest {
    QueryRequest {
        text: text.to_owned(),
        timespan: None,
        scope: Scope::Workspace,
        now: NOW,
        limits: limits(),
    }
}
