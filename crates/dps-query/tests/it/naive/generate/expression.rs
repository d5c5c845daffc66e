//! Random expressions of a type over the columns there are.

use dps_kql::Type;

use super::{Generator, Rows};

const TEXTS: &[&str] = &[
    "'a'",
    "'b'",
    "'Ada'",
    "'ada'",
    "''",
    "'x_y'",
    "'a b'",
    "'b-c a'",
    "'12'",
    "'-3'",
    "'1.5'",
    "'äB'",
    "'true'",
    "'2026-01-02'",
];
const NEEDLES: &[&str] = &["'a'", "'b'", "'AD'", "'x'", "'y'", "'1'", "'b c'", "'-'", "'ad'", "'c a'"];
const DYNAMICS: &[&str] = &[
    "dynamic([1,2,3])",
    "dynamic([3,1,3])",
    "dynamic([])",
    "dynamic(['a','b'])",
    "dynamic([1,'a',null])",
    "dynamic({'k':1,'m':'a'})",
    "dynamic({'k':[1,2]})",
    "dynamic({'k':{'m':2.5}})",
    "dynamic({})",
    "dynamic(5)",
    "dynamic('x')",
    "dynamic(true)",
    "dynamic([[1,2],[3]])",
];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const PREDICATES: &[&str] = &[
    "has",
    "!has",
    "has_cs",
    "contains",
    "!contains",
    "contains_cs",
    "startswith",
    "!startswith",
    "startswith_cs",
    "endswith",
    "!endswith",
    "endswith_cs",
    "hasprefix",
    "hassuffix",
    "=~",
    "!~",
];
const UNITS: &[&str] = &["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

impl Generator<'_> {
    /// A literal.
    pub fn literal(&mut self, ty: Type) -> String {
        let dice = &mut self.dice;
        match ty {
            Type::Bool => dice.pick(&["true", "false"]).to_owned(),
            Type::Int => format!("int({})", dice.pick(&["0", "1", "2", "-1", "7"])),
            Type::Long => dice.pick(&["0", "1", "2", "3", "5", "7", "10", "-1", "-2"]).to_owned(),
            Type::Real => dice.pick(&["0.0", "0.25", "1.5", "2.0", "-0.75", "-3.5", "10.0"]).to_owned(),
            Type::String => dice.pick(TEXTS).to_owned(),
            Type::DateTime => format!(
                "datetime(2026-0{}-{:02}T{:02}:{:02}:00Z)",
                1 + dice.below(3),
                1 + dice.below(28),
                dice.below(24),
                dice.below(4) * 15
            ),
            Type::TimeSpan => dice.pick(&["1h", "30m", "1d", "90s", "0s", "-2h", "36h"]).to_owned(),
            _ => dice.pick(DYNAMICS).to_owned(),
        }
    }

    /// A column of the type, or a literal.
    fn leaf(&mut self, rows: &Rows, ty: Type) -> String {
        let columns = rows.of(ty);
        if columns.is_empty() || self.dice.once_in(4) {
            return self.literal(ty);
        }
        self.dice.pick(&columns).to_owned()
    }

    /// An expression of the type.
    pub(super) fn expression(&mut self, rows: &Rows, ty: Type, depth: usize) -> String {
        if depth == 0 || self.dice.once_in(4) {
            return self.leaf(rows, ty);
        }
        match ty {
            Type::Bool => self.truth(rows, depth - 1),
            Type::Long => self.long(rows, depth - 1),
            Type::Real => self.real(rows, depth - 1),
            Type::String => self.text(rows, depth - 1),
            Type::DateTime => self.instant(rows, depth - 1),
            Type::TimeSpan => self.duration(rows, depth - 1),
            Type::Dynamic => self.dynamic(rows, depth - 1),
            ty => self.leaf(rows, ty),
        }
    }

    /// The same, of any type.
    pub(super) fn any(&mut self, rows: &Rows, depth: usize) -> String {
        let types = [
            Type::Bool,
            Type::Long,
            Type::Long,
            Type::Real,
            Type::String,
            Type::String,
            Type::DateTime,
            Type::TimeSpan,
            Type::Dynamic,
        ];
        let ty = types[self.dice.below(types.len())];
        self.expression(rows, ty, depth)
    }

    fn scalar_type(&mut self) -> Type {
        let types = [Type::Long, Type::Real, Type::String, Type::DateTime, Type::TimeSpan];
        types[self.dice.below(types.len())]
    }

    /// What every type has.
    fn choice(&mut self, rows: &Rows, ty: Type, depth: usize) -> String {
        let condition = self.expression(rows, Type::Bool, depth);
        let (one, other) = (self.expression(rows, ty, depth), self.expression(rows, ty, depth));
        let most = if matches!(ty, Type::Bool | Type::Dynamic | Type::String) { 3 } else { 5 };
        match self.dice.below(most) {
            0 => format!("iff({condition}, {one}, {other})"),
            1 => {
                let second = self.expression(rows, Type::Bool, depth);
                format!("case({condition}, {one}, {second}, {other}, {})", self.leaf(rows, ty))
            }
            2 => format!("coalesce({one}, {other})"),
            3 => format!("max_of({one}, {other})"),
            _ => format!("min_of({one}, {other})"),
        }
    }

    fn truth(&mut self, rows: &Rows, depth: usize) -> String {
        let ty = self.scalar_type();
        let one = self.expression(rows, ty, depth);
        match self.dice.below(14) {
            0..=3 => {
                let comparison = self.dice.pick(COMPARISONS);
                format!("({one} {comparison} {})", self.expression(rows, ty, depth))
            }
            4..=5 => {
                let text = self.expression(rows, Type::String, depth);
                format!("({text} {} {})", self.dice.pick(PREDICATES), self.dice.pick(NEEDLES))
            }
            6 => {
                let word = self.dice.pick(&["in", "!in"]);
                format!("({one} {word} ({}, {}, {}))", self.literal(ty), self.literal(ty), self.literal(ty))
            }
            7 => {
                let word = self.dice.pick(&["between", "!between"]);
                let ty = if ty == Type::String { Type::Long } else { ty };
                let of = self.expression(rows, ty, depth);
                format!("({of} {word} ({} .. {}))", self.leaf(rows, ty), self.literal(ty))
            }
            8 => {
                let word = self.dice.pick(&["isnull", "isnotnull", "isempty", "isnotempty"]);
                format!("{word}({})", self.any(rows, depth))
            }
            9..=10 => {
                let word = self.dice.pick(&["and", "or"]);
                let (left, right) =
                    (self.expression(rows, Type::Bool, depth), self.expression(rows, Type::Bool, depth));
                format!("({left} {word} {right})")
            }
            11 => format!("not({})", self.expression(rows, Type::Bool, depth)),
            12 => {
                let text = self.expression(rows, Type::String, depth);
                match self.dice.below(5) {
                    0 => format!("({text} has_any ('a', 'x', 'b c'))"),
                    1 => format!("({text} has_all ('a', 'b'))"),
                    2 => format!("({text} in~ ('ADA', 'b', 'äb'))"),
                    3 => format!("({text} in ((U | where v > {} | project s)))", self.literal(Type::Long)),
                    _ => format!(
                        "(toscalar(U | summarize max(v)) {} {})",
                        self.dice.pick(COMPARISONS),
                        self.long(rows, 0)
                    ),
                }
            }
            _ => self.choice(rows, Type::Bool, depth),
        }
    }

    fn long(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::Long, depth);
        match self.dice.below(13) {
            0..=2 => {
                let operator = self.dice.pick(&["+", "-", "*", "/"]);
                format!("({one} {operator} {})", self.expression(rows, Type::Long, depth))
            }
            3 => format!("({one} % {})", self.dice.pick(&["3", "2", "7", "10"])),
            4 => format!("strlen({})", self.expression(rows, Type::String, depth)),
            5 => match self.dice.below(4) {
                0 => format!("tolong({})", self.expression(rows, Type::String, depth)),
                1 => format!("tolong({})", self.expression(rows, Type::Real, depth)),
                2 => format!("tolong({})", self.expression(rows, Type::Dynamic, depth)),
                _ => format!("toint({})", self.expression(rows, Type::String, depth)),
            },
            6 => format!("array_length({})", self.expression(rows, Type::Dynamic, depth)),
            7 => format!("bin({one}, {})", self.dice.pick(&["2", "3", "5"])),
            8 => format!("{}({one})", self.dice.pick(&["abs", "-", "sign"])),
            9 => {
                let text = self.expression(rows, Type::String, depth);
                format!("{}({text}, {})", self.dice.pick(&["indexof", "countof"]), self.dice.pick(NEEDLES))
            }
            10 => {
                let (left, right) =
                    (self.expression(rows, Type::DateTime, depth), self.leaf(rows, Type::DateTime));
                format!("datetime_diff('{}', {left}, {right})", self.dice.pick(UNITS))
            }
            11 => {
                let at = self.expression(rows, Type::DateTime, depth);
                let part = self.dice.pick(&[
                    "hourofday",
                    "dayofmonth",
                    "dayofyear",
                    "monthofyear",
                    "getyear",
                    "week_of_year",
                ]);
                format!("{part}({at})")
            }
            _ => self.choice(rows, Type::Long, depth),
        }
    }

    fn real(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::Real, depth);
        match self.dice.below(8) {
            0..=1 => {
                let operator = self.dice.pick(&["+", "-", "*"]);
                format!("({one} {operator} {})", self.expression(rows, Type::Real, depth))
            }
            2 => format!("({one} / {})", self.dice.pick(&["2.0", "4.0", "-0.5", "2"])),
            3 => format!("({} * {one})", self.expression(rows, Type::Long, depth)),
            4 => match self.dice.below(3) {
                0 => format!("toreal({})", self.expression(rows, Type::Long, depth)),
                1 => format!("toreal({})", self.leaf(rows, Type::String)),
                _ => format!("toreal({})", self.expression(rows, Type::Dynamic, depth)),
            },
            5 => format!("bin({one}, 0.5)"),
            6 => format!("{}({one})", self.dice.pick(&["abs", "ceiling", "round"])),
            _ => self.choice(rows, Type::Real, depth),
        }
    }

    fn text(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::String, depth);
        match self.dice.below(11) {
            0 => format!("strcat({one}, '-', {})", self.expression(rows, Type::String, depth)),
            1 => format!("{}({one})", self.dice.pick(&["tolower", "toupper", "reverse"])),
            2 => match self.dice.below(3) {
                0 => format!("substring({one}, {})", self.dice.pick(&["0", "1", "2", "9"])),
                1 => format!("substring({one}, 1, {})", self.dice.pick(&["0", "1", "2"])),
                _ => format!("substring({one}, -2)"),
            },
            3..=4 => format!("tostring({})", self.any(rows, depth)),
            5 => format!("replace_string({one}, {}, '_')", self.dice.pick(NEEDLES)),
            6 => format!("strcat_delim('/', {one}, {})", self.expression(rows, Type::Long, depth)),
            7 => format!("strcat_array({}, ',')", self.expression(rows, Type::Dynamic, depth)),
            8 => {
                let at = self.expression(rows, Type::DateTime, depth);
                format!("format_datetime({at}, '{}')", self.dice.pick(&["yyyy-MM-dd", "yyyy-MM", "HH:mm:ss"]))
            }
            9 => format!("tostring({}.k)", self.leaf_bag(rows)),
            _ => self.choice(rows, Type::String, depth),
        }
    }

    fn instant(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::DateTime, depth);
        match self.dice.below(6) {
            0 => format!("({one} {} {})", self.dice.pick(&["+", "-"]), self.leaf(rows, Type::TimeSpan)),
            1..=2 => {
                let word = self.dice.pick(&[
                    "startofday",
                    "startofweek",
                    "startofmonth",
                    "startofyear",
                    "endofday",
                    "endofweek",
                    "endofmonth",
                    "endofyear",
                ]);
                let offset = self.dice.pick(&["", ", 1", ", -1"]);
                format!("{word}({one}{offset})")
            }
            3 => format!("bin({one}, {})", self.dice.pick(&["1h", "1d", "15m"])),
            4 => {
                let amount = self.dice.pick(&["1", "-1", "3"]);
                format!("datetime_add('{}', {amount}, {one})", self.dice.pick(UNITS))
            }
            _ => self.choice(rows, Type::DateTime, depth),
        }
    }

    fn duration(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::TimeSpan, depth);
        match self.dice.below(5) {
            0 => format!("({} - {})", self.leaf(rows, Type::DateTime), self.leaf(rows, Type::DateTime)),
            1 => format!("({one} {} {})", self.dice.pick(&["+", "-"]), self.leaf(rows, Type::TimeSpan)),
            2 => format!("bin({one}, {})", self.dice.pick(&["1h", "10m"])),
            3 => format!("dayofweek({})", self.expression(rows, Type::DateTime, depth)),
            _ => self.choice(rows, Type::TimeSpan, depth),
        }
    }

    /// A column or a literal in brackets, that a path may follow.
    fn leaf_bag(&mut self, rows: &Rows) -> String {
        let leaf = self.leaf(rows, Type::Dynamic);
        if leaf.starts_with("dynamic") { format!("({leaf})") } else { leaf }
    }

    fn dynamic(&mut self, rows: &Rows, depth: usize) -> String {
        let one = self.expression(rows, Type::Dynamic, depth);
        match self.dice.below(12) {
            0..=2 => {
                let path = self.dice.pick(&[".k", "[0]", "[-1]", "['m']", ".k.m", ".k[1]"]);
                format!("{}{path}", self.leaf_bag(rows))
            }
            3 => format!("pack_array({}, {})", self.any(rows, depth), self.leaf(rows, Type::Long)),
            4 => format!("bag_pack('k', {}, 'm', {})", self.any(rows, depth), self.leaf(rows, Type::String)),
            5 => format!("parse_json({})", self.leaf(rows, Type::String)),
            6 => format!(
                "split({}, {})",
                self.expression(rows, Type::String, depth),
                self.dice.pick(&["'a'", "' '", "'_'"])
            ),
            7 => format!("array_concat({one}, {})", self.leaf(rows, Type::Dynamic)),
            8 => format!("array_reverse({one})"),
            9 => format!("bag_keys({one})"),
            10 => format!("array_sort_asc(dynamic([3, 1, 2]))[{}]", self.dice.below(4)),
            _ => self.choice(rows, Type::Dynamic, depth),
        }
    }
}
