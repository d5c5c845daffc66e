//! How columns are called that nobody named, and how names stay apart.

use std::collections::{HashMap, HashSet};

use super::scope::{Binding, Scope};
use crate::Value;
use crate::ast::{Call, Expr, ExprKind, PathStep};
use crate::signature::{self, Naming};

/// The name that an expression gives its column: a column's own, `p_id` of `p.id`, `count_` of `count()`. None where Kusto
/// has none either.
pub(super) fn natural(expr: &Expr, columns: &[crate::Column], scope: &Scope) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => named(name, columns, scope).then(|| name.clone()),
        ExprKind::Path { base, steps } => Some(of_path(natural(base, columns, scope), steps)),
        ExprKind::Call(call) => of_call(call, columns, scope),
        _ => None,
    }
}

fn named(name: &str, columns: &[crate::Column], scope: &Scope) -> bool {
    super::scope::position(columns, name).is_some()
        || matches!(scope.find(name), Some(Binding::Scalar(_) | Binding::Wrong | Binding::Table(_)))
}

fn of_path(base: Option<String>, steps: &[PathStep]) -> String {
    let mut name = base;
    for step in steps {
        let step = match step {
            PathStep::Member(member) => member.text.clone(),
            PathStep::Index(index) => match &index.kind {
                ExprKind::Literal(Value::String(text)) => text.to_string(),
                ExprKind::Literal(Value::Long(number)) => number.to_string(),
                _ => String::new(),
            },
            PathStep::Call(_) => String::new(),
        };
        name = Some(match name {
            Some(name) => format!("{name}_{step}"),
            None => step,
        });
    }
    name.unwrap_or_default()
}

#[expect(clippy::match_same_arms, reason = "one arm for each rule, in their order")]
fn of_call(call: &Call, columns: &[crate::Column], scope: &Scope) -> Option<String> {
    let name = call.name.text.as_str();
    let first = || call.args.first().and_then(|arg| natural(&arg.expr, columns, scope));
    if matches!(name, "column_ifexists" | "columnifexists") {
        return match call.args.first().map(|arg| &arg.expr.kind) {
            Some(ExprKind::Literal(Value::String(text))) => {
                named(text, columns, scope).then(|| text.to_string())
            }
            _ => None,
        };
    }
    let naming = match (signature::scalar(name), signature::aggregate(name)) {
        (Some(function), _) => function.naming,
        (None, Some(aggregate)) => aggregate.naming,
        (None, None) => Naming::None,
    };
    match naming {
        Naming::None => None,
        Naming::First => first(),
        Naming::Only if call.args.len() == 1 => first(),
        Naming::Only => None,
        Naming::Prefix(prefix) => Some(prefixed(prefix, first())),
        Naming::Suffix(suffix) => {
            Some(format!("{}_{suffix}", first().unwrap_or_else(|| "array0".to_owned())))
        }
    }
}

/// `sum_x`, and `sum_` of what has no name.
pub(super) fn prefixed(prefix: &str, name: Option<String>) -> String {
    format!("{prefix}_{}", name.unwrap_or_default())
}

/// Names of one relation while it is made.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// Those that their author gave.
    declared: HashSet<String>,
    /// Columns without a name.
    unnamed: usize,
    /// The number to try next, so that a thousand names of one kind are not a million tries.
    next: HashMap<String, usize>,
}

impl Names {
    /// Takes a name as it is; false when another has it.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// Takes a name that its author gave: none if he gave it before, a numbered one if an expression has it.
    pub(super) fn declare(&mut self, name: &str) -> Option<String> {
        self.declared.insert(name.to_owned()).then(|| self.apart(name))
    }

    /// `Column1` for the first that has no name, `Column2` for the second …
    pub(super) fn counted(&mut self) -> String {
        self.unnamed += 1;
        self.apart(&format!("Column{}", self.unnamed))
    }

    /// Takes it, or the first of `name1`, `name2` … that is free.
    pub(super) fn apart(&mut self, name: &str) -> String {
        if self.claim(name) {
            return name.to_owned();
        }
        self.numbered(name)
    }

    /// `Column1`, `Column2` …
    pub(super) fn unnamed(&mut self) -> String {
        self.numbered("Column")
    }

    fn numbered(&mut self, name: &str) -> String {
        let next = self.next.entry(name.to_owned()).or_insert(1);
        loop {
            let candidate = format!("{name}{next}");
            *next += 1;
            if self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_taken_gets_a_number() {
        let mut names = Names::default();
        assert_eq!(names.apart("l1"), "l1");
        assert_eq!(names.apart("l"), "l");
        assert_eq!(names.apart("l"), "l2");
        assert_eq!(names.apart("l"), "l3");
        assert_eq!(names.unnamed(), "Column1");
        assert!(!names.claim("Column1") && names.claim("Column2"));
        assert_eq!(names.unnamed(), "Column3");
    }
}
