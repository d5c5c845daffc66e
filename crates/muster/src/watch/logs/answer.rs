//! An answer of the query API: columns, rows, what it cost, and whether it is whole. Owns its shape; must not know how it
//! is printed.

use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::failure::shown;

/// The rows of a query.
#[derive(Debug, Default)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    /// Seconds that the service says it worked.
    pub execution_time: Option<f64>,
    /// Why rows are missing, where some are.
    pub partial: Option<String>,
}

impl Answer {
    /// Reads a body.
    pub fn read(mut body: Value) -> Result<Self, Failure> {
        let strange =
            |what: &str| Failure::Unreachable(format!("the service answered {what}: is it a query API?"));
        let execution_time = body.pointer("/statistics/query/executionTime").and_then(Value::as_f64);
        let partial = body.get("error").filter(|error| !error.is_null()).map(innermost);
        let Some(Value::Array(tables)) = body.get_mut("tables").map(Value::take) else {
            // No data is no body.
            return match (body, partial) {
                (Value::Null, _) => Ok(Self::default()),
                (_, Some(why)) => Err(Failure::Incomplete(format!("the query failed: {why}"))),
                _ => Err(strange("with no tables")),
            };
        };
        let mut tables = tables.into_iter().collect::<Vec<_>>();
        let primary = tables.iter().position(|table| table["name"] == "PrimaryResult").unwrap_or_default();
        if tables.is_empty() {
            return Ok(Self { execution_time, partial, ..Self::default() });
        }
        let mut table = tables.swap_remove(primary);
        let columns = table.get("columns").and_then(Value::as_array);
        let columns = columns.ok_or_else(|| strange("with a table without columns"))?;
        let name = |column: &Value| column["name"].as_str().map(str::to_owned);
        let columns: Option<Vec<String>> = columns.iter().map(name).collect();
        let columns = columns.ok_or_else(|| strange("with a column without a name"))?;
        let Some(Value::Array(rows)) = table.get_mut("rows").map(Value::take) else {
            return Err(strange("with a table without rows"));
        };
        let mut read = Vec::with_capacity(rows.len());
        for row in rows {
            match row {
                Value::Array(cells) if cells.len() == columns.len() => read.push(cells),
                _ => return Err(strange("with a row that does not fit its columns")),
            }
        }
        Ok(Self { columns, rows: read, execution_time, partial })
    }

    /// Where that column stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// The message of the error that lies deepest.
fn innermost(error: &Value) -> String {
    let mut at = error;
    loop {
        let below = at.get("innererror").or_else(|| at.pointer("/details/0"));
        match below.filter(|below| below.get("message").is_some()) {
            Some(below) => at = below,
            None => break,
        }
    }
    shown(at["message"].as_str().unwrap_or("it does not say why"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answer_has_its_rows_and_says_when_some_are_missing() {
        let whole = Answer::read(json!({
            "tables": [
                {"name": "Other", "columns": [], "rows": []},
                {"name": "PrimaryResult", "columns": [{"name": "a", "type": "long"}], "rows": [[1], [null]]},
            ],
            "statistics": {"query": {"executionTime": 0.5}},
        }));
        let whole = whole.ok().unwrap();
        assert_eq!((whole.columns.len(), whole.rows.len(), whole.execution_time), (1, 2, Some(0.5)));
        assert_eq!((whole.column("a"), whole.column("A"), whole.partial), (Some(0), None, None));
        let cut = Answer::read(json!({
            "tables": [],
            "error": {"code": "PartialError", "message": "outer", "details": [
                {"code": "EngineError", "message": "middle", "innererror": {"message": "too\nlarge"}}
            ]},
        }));
        assert_eq!(cut.ok().unwrap().partial.as_deref(), Some("too large"));
        assert!(Answer::read(Value::Null).ok().unwrap().rows.is_empty());
    }

    #[test]
    fn answer_of_something_else_is_told() {
        for body in [
            json!({}),
            json!([1]),
            json!("x"),
            json!({"tables": [{}]}),
            json!({"tables": [{"columns": [{}], "rows": []}]}),
            json!({"tables": [{"columns": [{"name": "a"}], "rows": [[1, 2]]}]}),
            json!({"tables": [{"columns": [{"name": "a"}], "rows": {}}]}),
        ] {
            assert_eq!(Answer::read(body.clone()).err().unwrap().exit_status(), 6, "{body}");
        }
    }
}
