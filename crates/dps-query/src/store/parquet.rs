//! Files of rows: Parquet, sorted by `TimeGenerated`, of one table and one hour. Owns how they are written, read whole
//! and told apart by their footers; must not know where they are kept.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchReader, StringArray, new_null_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::object_store::path::Path;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{FooterTail, KeyValue, ParquetMetaDataReader, SortingColumn};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use dps_monitor::Table;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::limits::{MERGE_BATCH_ROWS, PAGE_ROWS, ROW_GROUP_ROWS};
use super::schema;

/// Ticks in an hour.
pub const HOUR: i64 = 3600 * dps_kql::TICKS_PER_SECOND;
/// The key of our note in a file's footer.
const NOTE: &str = "log-store";
const END: &str = ".parquet";

/// What a file says of itself, so that a store can be put together again from its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The least `TimeGenerated`, in ticks.
    pub earliest: i64,
    /// The greatest, in ticks.
    pub latest: i64,
    /// The first of the segments whose rows it was rolled from; 0 for a file that was merged.
    pub first: u64,
    /// The last of the segments whose rows are in it.
    pub through: u64,
    /// The attempt at rolling that wrote it: of two for the same segments only the greater counts.
    pub attempt: u64,
    /// The files whose rows it was merged from.
    pub merged: Vec<String>,
}

/// A footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Its note.
    pub note: Note,
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
}

/// Writes the pieces of sorted rows one after the other: no more than one of them is in memory twice.
pub fn write<E: From<ParquetError>>(
    table: Table,
    note: &Note,
    pieces: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<Vec<u8>, E> {
    let mut writer = ArrowWriter::try_new(Vec::new(), schema::physical(table), Some(properties(note)?))?;
    for piece in pieces {
        writer.write(&piece?)?;
    }
    Ok(writer.into_inner()?)
}

fn properties(note: &Note) -> Result<WriterProperties, ParquetError> {
    let text = serde_json::to_string(note).map_err(|e| ParquetError::External(Box::new(e)))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: 0,
            descending: false,
            nulls_first: true,
        }]))
        .set_key_value_metadata(Some(vec![KeyValue::new(NOTE.to_owned(), text)]));
    Ok(properties.build())
}

/// Reads a file piece by piece as its table is today.
pub fn read(
    bytes: Vec<u8>,
    table: Table,
) -> Result<impl Iterator<Item = Result<RecordBatch, ParquetError>>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?;
    let reader = reader.with_batch_size(MERGE_BATCH_ROWS).build()?;
    let (has, whole) = (reader.schema(), schema::physical(table));
    Ok(reader.map(move |batch| {
        let batch = batch?;
        let columns = whole.fields().iter().map(|field| -> Result<ArrayRef, ParquetError> {
            match has.index_of(field.name()) {
                Ok(at) => Ok(Arc::clone(batch.column(at))),
                Err(_) if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
                Err(_) if *field.data_type() == DataType::Utf8 => {
                    Ok(Arc::new(StringArray::from(vec![""; batch.num_rows()])))
                }
                Err(error) => Err(error.into()),
            }
        });
        Ok(RecordBatch::try_new(Arc::clone(&whole), columns.collect::<Result<_, _>>()?)?)
    }))
}

/// How many bytes before a file's end its metadata begin, by its last eight bytes.
pub fn footer_length(tail: &[u8]) -> Option<u64> {
    let tail = tail.last_chunk::<8>()?;
    let length = FooterTail::try_new(tail).ok()?.metadata_length();
    Some(length as u64 + 8)
}

/// The footer, from the bytes that [`footer_length`] names.
pub fn footer(bytes: &[u8]) -> Option<Footer> {
    let thrift = bytes.get(..bytes.len().checked_sub(8)?)?;
    let metadata = ParquetMetaDataReader::decode_metadata(thrift).ok()?;
    let file = metadata.file_metadata();
    let note = file.key_value_metadata()?.iter().find(|pair| pair.key == NOTE)?.value.as_ref()?;
    Some(Footer {
        note: serde_json::from_str(note).ok()?,
        rows: u64::try_from(file.num_rows()).ok()?,
        columns: file.schema_descr().num_columns(),
    })
}

/// Where a file is: `{table}/y=2026/m=11/d=29/h=01/{number}.parquet`.
pub fn location(table: Table, ticks: i64, number: u64) -> Path {
    // A cell's time is checked: years 1 to 9999 are all in a timestamp's range.
    let at = Timestamp::from_microsecond(schema::micros(ticks)).unwrap_or_default().to_zoned(TimeZone::UTC);
    let (name, year, month, day, hour) = (table.name(), at.year(), at.month(), at.day(), at.hour());
    Path::from(format!("{name}/y={year:04}/m={month:02}/d={day:02}/h={hour:02}/{number:020}{END}"))
}

/// Table and number of a file by its place; none if it is none of ours.
pub fn parse_location(location: &Path) -> Option<(Table, u64)> {
    let text = location.as_ref();
    let (name, rest) = text.split_once('/')?;
    let table = Table::ALL.into_iter().find(|t| t.name() == name)?;
    let number = rest.rsplit('/').next()?.strip_suffix(END)?;
    (number.len() == 20).then_some(())?;
    Some((table, number.parse().ok()?))
}
