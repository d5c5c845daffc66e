//! Random legal queries whose answer the language settles: rows in an order only where it is total, lists only sorted.
//!
//! Owns which operators follow one another; expressions are `expression`'s. Columns of a prefix are what the binder says.

mod expression;
mod stage;

use dps_kql::{Analysis, Environment, Query, Schema, Table, Type, analyse};

/// Seeded numbers: the same ones on every machine.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than that.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap()
    }

    /// True once in so many.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A query, in pieces so that the shortest wrong part of it can be found.
pub struct Made {
    /// `let` statements.
    pub prelude: String,
    /// The source, then operators.
    pub stages: Vec<String>,
    /// The order of the answer's rows after each stage is settled.
    pub ordered: Vec<bool>,
}

impl Made {
    /// The text of the first stages.
    pub fn text(&self, stages: usize) -> String {
        self.prelude.clone() + &self.stages[..stages].join("\n| ")
    }
}

/// Makes queries.
pub struct Generator<'a> {
    pub dice: Dice,
    pub tables: &'a [Table],
    pub now: i64,
    /// Stages that were not legal and were left out.
    pub left_out: usize,
    /// Stages made.
    pub made: usize,
    names: usize,
}

/// What is known of the rows so far.
#[derive(Clone)]
struct Rows {
    text: String,
    schema: Schema,
    /// A column whose values all differ.
    unique: Option<String>,
    /// Whether rows are in a total order.
    ordered: bool,
}

impl Rows {
    fn of(&self, ty: Type) -> Vec<&str> {
        self.schema.iter().filter(|column| column.ty == ty).map(|column| column.name.as_str()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.schema.iter().any(|column| column.name == name)
    }
}

impl<'a> Generator<'a> {
    pub const fn new(seed: u64, tables: &'a [Table], now: i64) -> Self {
        Self { dice: Dice::new(seed), tables, now, left_out: 0, made: 0, names: 0 }
    }

    /// The query, where it is legal.
    pub fn analysed(&self, text: &str) -> Option<Query> {
        let environment = Environment { tables: self.tables, now: self.now, opened: &[] };
        match analyse(text, &environment) {
            Ok(Analysis::Ready(query)) => Some(*query),
            _ => None,
        }
    }

    /// A query.
    pub fn query(&mut self) -> Made {
        let prelude = self.prelude();
        let (source, mut rows) = self.source(&prelude);
        let mut made = Made { prelude, stages: vec![source], ordered: vec![false] };
        for _ in 0..self.dice.below(6) {
            let Some((stage, next)) = self.stage(&made.prelude, &rows) else { continue };
            made.stages.push(stage);
            made.ordered.push(next.ordered);
            rows = next;
        }
        made
    }

    /// A source, with what is known of it.
    fn source(&mut self, prelude: &str) -> (String, Rows) {
        let (text, unique) = match self.dice.below(12) {
            0..=5 => ("T".to_owned(), Some("id")),
            6..=7 => ("U".to_owned(), Some("w")),
            8..=9 => ("AzureDiagnostics".to_owned(), Some("CorrelationId")),
            10 => (
                format!("range x from {} to 9 step {}", self.dice.below(4), 1 + self.dice.below(3)),
                Some("x"),
            ),
            _ => ("union T, (U | project s, n = v)".to_owned(), None),
        };
        let unique = unique.map(str::to_owned);
        let schema = self.analysed(&(prelude.to_owned() + &text)).unwrap().plan.schema;
        let rows = Rows { text: text.clone(), schema, unique, ordered: false };
        // Few of a log's many columns are asked for.
        if text == "AzureDiagnostics" && !self.dice.once_in(4) {
            let projected = text
                + " | project TimeGenerated, OperationName, ResultType, DurationMs, CorrelationId, properties_s";
            let schema = self.analysed(&(prelude.to_owned() + &projected)).unwrap().plan.schema;
            return (projected.clone(), Rows { text: projected, schema, ..rows });
        }
        (text, rows)
    }

    /// A name that no column has.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    /// Two small tables with nulls, ties and everything dynamic.
    fn prelude(&mut self) -> String {
        let mut text = String::from(
            "let T = datatable(id:long, s:string, n:long, r:real, t:datetime, d:dynamic, b:bool, g:timespan, i:int) [\n",
        );
        for id in 0..3 + self.dice.below(12) {
            let cells = [
                Type::String,
                Type::Long,
                Type::Real,
                Type::DateTime,
                Type::Dynamic,
                Type::Bool,
                Type::TimeSpan,
                Type::Int,
            ]
            .map(|ty| self.cell(ty));
            text += &format!("  {id}, {},\n", cells.join(", "));
        }
        text += "];\nlet U = datatable(w:string, k:long, s:string, v:long) [\n";
        for at in 0..self.dice.below(9) {
            let cells = [Type::Long, Type::String, Type::Long].map(|ty| self.cell(ty));
            text += &format!("  'w{at}', {},\n", cells.join(", "));
        }
        // A table of no values has no rows to tell it from a mistake.
        text += "  'w', 1, 'a', 2 ];\n";
        text
    }

    fn cell(&mut self, ty: Type) -> String {
        if ty != Type::String && self.dice.once_in(5) {
            return format!("{}(null)", ty.name());
        }
        self.literal(ty)
    }
}
