//! Random operators over the rows so far.

#![allow(clippy::unnecessary_wraps, reason = "one shape for all operators")]

use dps_kql::Type;

use super::{Generator, Rows};

/// What is sorted and grouped by.
const KEYS: [Type; 6] = [Type::Long, Type::Real, Type::String, Type::DateTime, Type::Bool, Type::TimeSpan];

impl Generator<'_> {
    /// An operator and the rows after it; none where what was made is not legal.
    pub(super) fn stage(&mut self, prelude: &str, rows: &Rows) -> Option<(String, Rows)> {
        self.made += 1;
        let (stage, unique, ordered) = self.operator(rows)?;
        let text = format!("{} | {stage}", rows.text);
        let Some(query) = self.analysed(&format!("{prelude}{text}")) else {
            self.left_out += 1;
            return None;
        };
        let mut next = Rows { text, schema: query.plan.schema, unique, ordered };
        let lost = next.unique.as_ref().is_some_and(|name| !next.has(name));
        if lost {
            next.unique = None;
        }
        Some((stage, next))
    }

    /// The text, the column that is unique after it, and whether rows are in a total order.
    fn operator(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let unique = rows.unique.clone();
        let keep = |text: String| Some((text, unique.clone(), rows.ordered));
        match self.dice.below(32) {
            0..=4 => keep(format!("where {}", self.expression(rows, Type::Bool, 3))),
            5..=8 => {
                let made = self.any(rows, 3);
                let replaced = rows.schema.iter().map(|column| column.name.clone());
                let replaced: Vec<_> = replaced.filter(|name| Some(name) != unique.as_ref()).collect();
                let name = match self.dice.once_in(4) && !replaced.is_empty() {
                    true => replaced[self.dice.below(replaced.len())].clone(),
                    false => self.name(),
                };
                keep(format!("extend {name} = {made}"))
            }
            9..=10 => self.project(rows),
            11..=15 => self.summarize(rows),
            16 => {
                let keys = self.keys(rows, 2);
                let alone = (keys.len() == 1).then(|| keys[0].clone());
                (!keys.is_empty()).then(|| (format!("distinct {}", keys.join(", ")), alone, false))
            }
            17..=19 => self.sort(rows),
            20 if rows.ordered => keep(format!("take {}", self.dice.below(6))),
            20 => Some(("count".to_owned(), Some("Count".to_owned()), true)),
            21..=23 => self.join(rows),
            24 => {
                let kept = self.dice.pick(&["U | project s, n = v", "T | where id > 2", "U"]);
                let kind = self.dice.pick(&["", "", "kind=inner ", "kind=outer "]);
                Some((format!("union {kind}({kept})"), None, false))
            }
            25..=26 => self.expand(rows),
            27 => self.apply(rows),
            28 if rows.ordered => self.window(rows),
            28..=29 => self.parse(rows),
            30 => self.series(rows),
            _ => self.top_nested(rows),
        }
    }

    fn keys(&mut self, rows: &Rows, most: usize) -> Vec<String> {
        let of_key = rows.schema.iter().filter(|column| KEYS.contains(&column.ty));
        let names: Vec<&str> = of_key.map(|column| column.name.as_str()).collect();
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..1 + self.dice.below(most) {
            if names.is_empty() {
                break;
            }
            let name = self.dice.pick(&names).to_owned();
            if !keys.contains(&name) {
                keys.push(name);
            }
        }
        keys
    }

    fn project(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let names: Vec<&str> = rows.schema.iter().map(|column| column.name.as_str()).collect();
        let unique = rows.unique.clone();
        match self.dice.below(4) {
            0 if names.len() > 2 => {
                let gone = self.dice.pick(&names);
                let is_there = unique.as_deref() != Some(gone);
                Some((format!("project-away {gone}"), unique, rows.ordered && is_there))
            }
            1 => {
                let (old, new) = (self.dice.pick(&names).to_owned(), self.name());
                let unique = if unique.as_ref() == Some(&old) { Some(new.clone()) } else { unique };
                Some((format!("project-rename {new} = {old}"), unique, rows.ordered))
            }
            _ => {
                let mut columns: Vec<String> = unique.iter().cloned().collect();
                for _ in 0..1 + self.dice.below(3) {
                    let name = self.dice.pick(&names).to_owned();
                    if self.dice.once_in(3) {
                        columns.push(format!("{} = {}", self.name(), self.any(rows, 2)));
                    } else if !columns.contains(&name) {
                        columns.push(name);
                    }
                }
                Some((format!("project {}", columns.join(", ")), unique, rows.ordered))
            }
        }
    }

    fn summarize(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let mut aggregates = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let aggregate = self.aggregate(rows);
            // Some are named, some are named after what they are of.
            aggregates.push(match self.dice.once_in(3) {
                true => format!("{} = {aggregate}", self.name()),
                false => aggregate,
            });
        }
        let keys = if self.dice.once_in(5) { Vec::new() } else { self.keys(rows, 2) };
        let mut by: Vec<String> = keys.clone();
        let mut unique = (keys.len() == 1).then(|| keys[0].clone());
        if self.dice.once_in(4) {
            unique = None;
            by.push(match self.dice.below(3) {
                0 => format!("{} = {}", self.name(), self.expression(rows, Type::String, 2)),
                1 => format!("{} = {}", self.name(), self.expression(rows, Type::Long, 2)),
                _ => format!("{} = bin({}, 1d)", self.name(), self.expression(rows, Type::DateTime, 1)),
            });
        }
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        Some((format!("summarize {}{by}", aggregates.join(", ")), unique, false))
    }

    /// An aggregate whose answer no order decides.
    fn aggregate(&mut self, rows: &Rows) -> String {
        let number = if self.dice.once_in(2) { Type::Long } else { Type::Real };
        let of = self.expression(rows, number, 1);
        let condition = self.expression(rows, Type::Bool, 1);
        let ordered = KEYS[self.dice.below(KEYS.len())];
        match self.dice.below(15) {
            0..=1 => "count()".to_owned(),
            2 => format!("countif({condition})"),
            3 => format!("{}({of})", self.dice.pick(&["sum", "avg"])),
            4 => format!("{}({of}, {condition})", self.dice.pick(&["sumif", "avgif", "minif", "maxif"])),
            5..=6 => {
                let of = self.expression(rows, ordered, 1);
                format!("{}({of})", self.dice.pick(&["min", "max"]))
            }
            7 => format!(
                "{}({})",
                self.dice.pick(&["dcount", "count_distinct"]),
                self.expression(rows, Type::String, 1)
            ),
            8 => format!("dcountif({}, {condition})", self.expression(rows, Type::Long, 1)),
            9 => format!("percentile({of}, {})", self.dice.pick(&["0", "25", "50", "90", "95", "100"])),
            10 => format!("{}({of})", self.dice.pick(&["stdev", "variance", "stdevp", "variancep"])),
            11 => {
                let of = if self.dice.once_in(2) { Type::Long } else { Type::String };
                let word = self.dice.pick(&["make_list", "make_set"]);
                format!("array_sort_asc({word}({}))", self.expression(rows, of, 1))
            }
            12 => match &rows.unique {
                Some(unique) => {
                    let names: Vec<&str> = rows.schema.iter().map(|column| column.name.as_str()).collect();
                    let carried = if self.dice.once_in(3) { "*" } else { self.dice.pick(&names) };
                    format!("{}({unique}, {carried})", self.dice.pick(&["arg_max", "arg_min"]))
                }
                None => "count()".to_owned(),
            },
            13 => format!("sum({})", self.expression(rows, Type::TimeSpan, 1)),
            _ => {
                let of = self.expression(rows, Type::Long, 1);
                format!("{}({of})", self.dice.pick(&["binary_all_and", "binary_all_or", "binary_all_xor"]))
            }
        }
    }

    fn sort(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let mut keys = self.keys(rows, 2);
        if let Some(unique) = rows.unique.as_ref().filter(|unique| !keys.contains(unique)) {
            keys.push(unique.clone());
        }
        if keys.is_empty() {
            return None;
        }
        let mut by = Vec::new();
        for key in keys {
            let order = self.dice.pick(&["", " asc", " desc", " asc nulls last", " desc nulls first"]);
            by.push(key + order);
        }
        let total = rows.unique.is_some();
        if total && self.dice.once_in(3) {
            return Some((
                format!("top {} by {}", self.dice.below(6), by.join(", ")),
                rows.unique.clone(),
                true,
            ));
        }
        Some((format!("sort by {}", by.join(", ")), rows.unique.clone(), total))
    }

    fn join(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let right = match self.dice.below(4) {
            0 => "U",
            1 => "U | where v > 0",
            2 => "T | project id, s, n, r",
            _ => "T | summarize n = count() by s, b",
        };
        let types = [(Type::String, "s"), (Type::Long, if right.starts_with('U') { "k" } else { "n" })];
        let (ty, theirs) = types[self.dice.below(2)];
        let mine = rows.of(ty);
        if mine.is_empty() {
            return None;
        }
        let mine = self.dice.pick(&mine).to_owned();
        let on = match mine == theirs && self.dice.once_in(2) {
            true => mine.clone(),
            false => format!("$left.{mine} == $right.{theirs}"),
        };
        if self.dice.once_in(5) {
            let kind = self.dice.pick(&["", "kind=inner ", "kind=leftouter "]);
            return Some((format!("lookup {kind}({right}) on {on}"), None, false));
        }
        let kind = self.dice.pick(&[
            "inner",
            "leftouter",
            "rightouter",
            "fullouter",
            "leftsemi",
            "rightsemi",
            "leftanti",
            "rightanti",
            "innerunique",
            "",
        ]);
        let (before, kind) = match kind {
            // Of the rows of a key any may be taken, so there is one.
            "" | "innerunique" => (format!("distinct {mine} | "), kind),
            kind => (String::new(), kind),
        };
        let kind = if kind.is_empty() { String::new() } else { format!("kind={kind} ") };
        Some((format!("{before}join {kind}({right}) on {on}"), None, false))
    }

    fn expand(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let columns = rows.of(Type::Dynamic);
        if columns.is_empty() {
            return Some((
                format!("mv-expand {} = {}", self.name(), self.expression(rows, Type::Dynamic, 2)),
                None,
                false,
            ));
        }
        let column = self.dice.pick(&columns).to_owned();
        let to = self.dice.pick(&["", "", " to typeof(long)", " to typeof(string)", " to typeof(real)"]);
        let index =
            if self.dice.once_in(4) { format!("with_itemindex={} ", self.name()) } else { String::new() };
        let bag = if self.dice.once_in(4) { "bagexpansion=array " } else { "" };
        let second = match self.dice.once_in(3) {
            true => format!(", {} = {}", self.name(), self.expression(rows, Type::Dynamic, 1)),
            false => String::new(),
        };
        Some((format!("mv-expand {bag}{index}{column}{to}{second}"), None, false))
    }

    fn apply(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let columns = rows.of(Type::Dynamic);
        if columns.is_empty() {
            return None;
        }
        let column = self.dice.pick(&columns).to_owned();
        let name = self.name();
        let within = match self.dice.below(5) {
            0 => format!("where {name} > {}", self.literal(Type::Long)),
            1 => format!("summarize sum({name}), count()"),
            2 => format!("where {name} != 2 | extend {} = {name} * 2", self.name()),
            3 => format!("sort by {name} desc | take 1 | project {name}"),
            _ => format!("summarize max({name})"),
        };
        Some((format!("mv-apply {name} = {column} to typeof(long) on ({within})"), None, false))
    }

    fn window(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let name = self.name();
        let number = self.expression(rows, Type::Long, 1);
        let made = match self.dice.below(5) {
            0 => "row_number()".to_owned(),
            1 => format!("prev({number}, {})", 1 + self.dice.below(2)),
            2 => format!("next({number}, 1, -7)"),
            3 => format!("row_cumsum({number})"),
            _ => format!("row_number(1, {})", self.expression(rows, Type::Bool, 1)),
        };
        Some((format!("serialize {name} = {made}"), rows.unique.clone(), true))
    }

    fn parse(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let source = self.expression(rows, Type::String, 2);
        let (one, two) = (self.name(), self.name());
        let pattern = match self.dice.below(6) {
            0 => format!("* 'a' {one}"),
            1 => format!("{one} ' ' {two}"),
            2 => format!("{one}:long '-' {two}:string"),
            3 => format!("'b' {one} 'a' *"),
            4 => format!("* '-' {one}:long"),
            _ => format!("{one} '_' *"),
        };
        let word = self.dice.pick(&["parse", "parse", "parse-where"]);
        let mode = self.dice.pick(&["", "", "kind=relaxed "]);
        Some((format!("{word} {mode}{source} with {pattern}"), rows.unique.clone(), rows.ordered))
    }

    fn series(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let times = rows.of(Type::DateTime);
        if times.is_empty() {
            return None;
        }
        let time = self.dice.pick(&times).to_owned();
        let name = self.name();
        let aggregate = match self.dice.below(4) {
            0 => "count()".to_owned(),
            1 => format!("sum({})", self.leaf_number(rows)),
            2 => format!("max({}) default = -1", self.leaf_number(rows)),
            _ => format!("avg({}) default = 0.5", self.leaf_number(rows)),
        };
        let keys = self.keys(rows, 1);
        let by =
            if keys.is_empty() || self.dice.once_in(3) { String::new() } else { format!(" by {}", keys[0]) };
        let ends = self.dice.pick(&[
            "from datetime(2026-01-01) to datetime(2026-04-01) step 7d",
            "from datetime(2026-01-01) to datetime(2026-03-01) step 30d",
            "from datetime(2025-12-31T22:00:00Z) to datetime(2026-01-10) step 36h",
        ]);
        Some((format!("make-series {name} = {aggregate} on {time} {ends}{by}"), None, false))
    }

    fn leaf_number(&mut self, rows: &Rows) -> String {
        let ty = if self.dice.once_in(2) { Type::Long } else { Type::Real };
        self.expression(rows, ty, 0)
    }

    fn top_nested(&mut self, rows: &Rows) -> Option<(String, Option<String>, bool)> {
        let keys = self.keys(rows, 2);
        let unique = rows.unique.clone()?;
        if keys.is_empty() {
            return None;
        }
        // What is unique has no ties to choose among.
        let mut levels = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let count =
                if self.dice.once_in(3) { String::new() } else { format!("{} ", 1 + self.dice.below(3)) };
            let order = self.dice.pick(&["", " desc", " asc"]);
            levels.push(format!("{count}of {key} by c{}{at} = max({unique}){order}", self.names));
        }
        self.names += 1;
        Some((format!("top-nested {}", levels.join(", top-nested ")), None, false))
    }
}
