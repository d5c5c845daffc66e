//! Rows as payloads of a write-ahead segment. Owns their encoding and its version; a segment's first payload names the
//! columns, so that one written before a column was added is read with that column absent.

use dps_kql::{Type, Value};
use dps_monitor::{Row, Table};
use serde::{Deserialize, Serialize};

use super::columns;

/// The encoding's version: of another, a segment is not read.
const FORMAT: u32 = 1;

const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const LONG: u8 = 3;
const REAL: u8 = 4;
const TEXT: u8 = 5;
const DATE_TIME: u8 = 6;
const TIME_SPAN: u8 = 7;
const GUID: u8 = 8;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    tables: Vec<HeadTable>,
}

#[derive(Serialize, Deserialize)]
struct HeadTable {
    name: String,
    columns: Vec<String>,
}

/// The first payload of a segment.
pub fn head() -> Vec<u8> {
    let tables = Table::ALL.iter().map(|table| HeadTable {
        name: table.name().to_owned(),
        columns: table.columns().iter().map(|(name, _)| (*name).to_owned()).collect(),
    });
    // Names and numbers alone: writing them cannot fail, and an empty head is one that is not read.
    serde_json::to_vec(&Head { format: FORMAT, tables: tables.collect() }).unwrap_or_default()
}

/// Encodes checked rows.
pub fn write(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        let at = Table::ALL.iter().position(|table| *table == row.table).unwrap_or_default();
        out.push(u8::try_from(at).unwrap_or_default());
        for cell in &row.cells {
            write_cell(&mut out, cell);
        }
    }
    out
}

fn write_cell(out: &mut Vec<u8>, cell: &Value) {
    let mut fixed = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(bytes);
    };
    match cell {
        Value::Null(_) => fixed(NULL, &[]),
        Value::Bool(value) => fixed(BOOL, &[u8::from(*value)]),
        Value::Int(value) => fixed(INT, &value.to_le_bytes()),
        Value::Long(value) => fixed(LONG, &value.to_le_bytes()),
        Value::Real(value) => fixed(REAL, &value.to_le_bytes()),
        Value::DateTime(value) => fixed(DATE_TIME, &value.to_le_bytes()),
        Value::TimeSpan(value) => fixed(TIME_SPAN, &value.to_le_bytes()),
        Value::Guid(value) => fixed(GUID, value),
        Value::String(_) | Value::Decimal(_) | Value::Dynamic(_) => {
            let text = columns::text(cell).unwrap_or_default();
            fixed(TEXT, &u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Reads the payloads of one segment.
pub struct Reader {
    tables: Vec<Option<(Table, Vec<Option<usize>>)>>,
}

impl Reader {
    /// By a segment's first payload; none if it is not one that we can read.
    pub fn new(head: &[u8]) -> Option<Self> {
        let head: Head = serde_json::from_slice(head).ok()?;
        if head.format != FORMAT {
            return None;
        }
        let table = |named: HeadTable| {
            let table = Table::ALL.into_iter().find(|t| t.name() == named.name)?;
            let place = |name: &String| table.columns().iter().position(|(n, _)| n == name);
            Some((table, named.columns.iter().map(place).collect()))
        };
        Some(Self { tables: head.tables.into_iter().map(table).collect() })
    }

    /// The rows of a payload; none if it is not one of rows.
    pub fn rows(&self, payload: &[u8]) -> Option<Vec<Row>> {
        let mut bytes = payload;
        let mut rows = Vec::new();
        while let Some((at, rest)) = bytes.split_first() {
            bytes = rest;
            let (table, places) = self.tables.get(usize::from(*at))?.as_ref()?;
            let mut cells: Vec<Value> = table.columns().iter().map(|(_, ty)| columns::absent(*ty)).collect();
            for place in places {
                match place.and_then(|place| cells.get_mut(place)) {
                    Some(cell) => *cell = read_cell(&mut bytes, cell.ty())?,
                    // A column that a later version wrote.
                    None => {
                        read_cell(&mut bytes, Type::String)?;
                    }
                }
            }
            let row = Row { table: *table, cells };
            columns::check(&row).ok()?;
            rows.push(row);
        }
        Some(rows)
    }
}

fn read_cell(bytes: &mut &[u8], ty: Type) -> Option<Value> {
    let [tag] = take::<1>(bytes)?;
    Some(match tag {
        NULL => Value::Null(ty),
        BOOL => Value::Bool(take::<1>(bytes)? != [0]),
        INT => Value::Int(i32::from_le_bytes(take(bytes)?)),
        LONG => Value::Long(i64::from_le_bytes(take(bytes)?)),
        REAL => Value::Real(f64::from_le_bytes(take(bytes)?)),
        DATE_TIME => Value::DateTime(i64::from_le_bytes(take(bytes)?)),
        TIME_SPAN => Value::TimeSpan(i64::from_le_bytes(take(bytes)?)),
        GUID => Value::Guid(take(bytes)?),
        TEXT => {
            let length = usize::try_from(u32::from_le_bytes(take(bytes)?)).ok()?;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            let text = std::str::from_utf8(text).ok()?;
            match ty {
                Type::Dynamic => Value::Dynamic(serde_json::from_str(text).ok()?),
                Type::Decimal => Value::Decimal(text.into()),
                _ => Value::String(text.into()),
            }
        }
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row() -> Row {
        let mut cells: Vec<Value> =
            Table::AzureActivity.columns().iter().map(|(_, ty)| columns::absent(*ty)).collect();
        cells[0] = Value::DateTime(638_000_000_000_000_017);
        cells[1] = Value::String("é\u{1F980}\n\0".into());
        let dynamic = Table::AzureActivity.columns().iter().position(|(_, ty)| *ty == Type::Dynamic).unwrap();
        cells[dynamic] = Value::Dynamic(serde_json::json!({"a": [1, 2.5, null, "x"]}));
        Row { table: Table::AzureActivity, cells }
    }

    #[test]
    fn rows_written_are_read_alike() {
        let reader = Reader::new(&head()).unwrap();
        assert_eq!(reader.rows(&write(&[row(), row()])).unwrap(), [row(), row()]);
    }

    #[test]
    fn payload_cut_anywhere_but_between_rows_is_refused() {
        let reader = Reader::new(&head()).unwrap();
        let bytes = write(&[row()]);
        for length in 1..bytes.len() {
            assert!(reader.rows(&bytes[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn column_that_a_segment_lacks_is_read_as_absent() {
        let head =
            br#"{"format":1,"tables":[{"name":"AzureDiagnostics","columns":["TimeGenerated","TenantId"]}]}"#;
        let mut payload = vec![0, DATE_TIME];
        payload.extend_from_slice(&638_000_000_000_000_000_i64.to_le_bytes());
        payload.extend_from_slice(&[TEXT, 1, 0, 0, 0, b't']);
        let rows = Reader::new(head).unwrap().rows(&payload).unwrap();
        assert_eq!(rows[0].cells[1], Value::String("t".into()));
        assert_eq!(rows[0].cells[2], Value::String("".into()));
        let duration =
            Table::AzureDiagnostics.columns().iter().position(|(n, _)| *n == "DurationMs").unwrap();
        assert_eq!(rows[0].cells[duration], Value::Null(Type::Long));
    }

    #[test]
    fn column_that_we_do_not_know_is_passed_over() {
        let head = br#"{"format":1,"tables":[{"name":"AzureMetrics","columns":["Later","TimeGenerated"]}]}"#;
        let mut payload = vec![0, LONG, 9, 0, 0, 0, 0, 0, 0, 0, DATE_TIME];
        payload.extend_from_slice(&638_000_000_000_000_000_i64.to_le_bytes());
        let rows = Reader::new(head).unwrap().rows(&payload).unwrap();
        assert_eq!(rows[0].cells[0], Value::DateTime(638_000_000_000_000_000));
    }

    #[test]
    fn format_of_another_version_is_not_read() {
        assert!(Reader::new(br#"{"format":2,"tables":[]}"#).is_none());
        assert!(Reader::new(b"").is_none());
    }

    proptest! {
        #[test]
        fn hostile_payloads_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let reader = Reader::new(&head()).unwrap();
            let _ = reader.rows(&bytes);
        }
    }
}
