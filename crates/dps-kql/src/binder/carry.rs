//! Aggregates that choose a row and carry columns of it along: `arg_max`, `arg_min`, `take_any`.

use super::name::natural;
use super::scope::{Rows, column, identity};
use super::{Binder, Bound, all};
use crate::ast::{Call, ExprKind as Syntax};
use crate::signature::{AggregateFunction, Naming};
use crate::{Aggregate, Aggregation, Expr, ExprKind, Type};

impl Binder<'_> {
    pub(super) fn carrying(
        &mut self,
        rows: &mut Rows<'_>,
        row: &AggregateFunction,
        called: &Call,
    ) -> Bound<Aggregation> {
        let chooses = row.function != Aggregate::TakeAny;
        let (least, name) = (1, &called.name.text);
        if called.args.len() < least {
            let message = format!("The function '{name}' expects between 1 and 32768 arguments.");
            return self.fail("KS120", called.name.span, message);
        }
        let old = match row.naming {
            Naming::Prefix(prefix) => Some(prefix),
            _ => None,
        };
        let kind = match row.function {
            Aggregate::ArgMax => "max",
            Aggregate::ArgMin => "min",
            _ => "any",
        };
        let mut made: Vec<Bound<Vec<(String, Expr)>>> = Vec::new();
        let mut chosen = (String::new(), None);
        let last = called.args.len() - 1;
        for (index, arg) in called.args.iter().enumerate() {
            let span = arg.expr.span;
            let first = index == 0;
            if matches!(arg.expr.kind, Syntax::Star) {
                made.push(if first && chooses {
                    self.fail("KS191", span, "The * syntax is not allowed here.")
                } else if index != last {
                    self.fail("KS192", span, "The * syntax must be the last argument.")
                } else {
                    self.grow(rows.columns.len(), span).map(|()| {
                        let others = others(rows, chosen.1);
                        others.map(|(name, expr)| (prefixed(old, chooses, &chosen.0, name), expr)).collect()
                    })
                });
                continue;
            }
            let natural = natural(&arg.expr, rows.columns, &self.scope);
            let bound = self.scalar(rows, &arg.expr);
            if first && chooses {
                chosen.0 = natural.clone().unwrap_or_default();
                if let Ok(Expr { kind: ExprKind::Column(index), .. }) = &bound {
                    chosen.1 = Some(*index);
                }
            }
            let bound = match bound {
                Ok(expr) if first && chooses && !super::convert::is_orderable(expr.ty) => {
                    let message = "The argument value must be orderable: a number, timespan, datetime, string or boolean.";
                    self.fail("KS206", span, message)
                }
                bound => bound,
            };
            let name = match (first && chooses, natural, old) {
                (true, Some(name), None) => name,
                (true, name, _) => format!("{kind}_{}", name.unwrap_or_default()),
                (false, Some(name), _) => prefixed(old, chooses, &chosen.0, name),
                (false, None, _) if chooses => format!("{kind}_{}_arg{index}", chosen.0),
                (false, None, Some(_)) if last == 0 => "any_".to_owned(),
                (false, None, _) => format!("any_arg{index}"),
            };
            made.push(bound.map(|expr| vec![(name, expr)]));
        }
        let (names, args): (Vec<_>, Vec<Expr>) = all(made)?.into_iter().flatten().unzip();
        let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
        let outputs = names.into_iter().zip(types).map(|(name, ty)| column(name, ty)).collect();
        Ok(Aggregation { function: row.function, args, outputs })
    }
}

/// The old functions put their own name before each.
fn prefixed(old: Option<&str>, chooses: bool, chosen: &str, name: String) -> String {
    match old {
        Some(prefix) if chooses => format!("{prefix}_{chosen}_{name}"),
        Some(prefix) => format!("{prefix}_{name}"),
        None => name,
    }
}

/// All columns but those that group, and the one that chooses.
fn others<'r>(rows: &Rows<'r>, chosen: Option<usize>) -> impl Iterator<Item = (String, Expr)> + use<'r> {
    let mut skipped: Vec<usize> = chosen.into_iter().collect();
    if let Some(summary) = &rows.summary {
        skipped.extend(summary.keys.iter().filter_map(|key| match key.kind {
            ExprKind::Column(index) => Some(index),
            _ => None,
        }));
    }
    let schema = rows.columns.to_vec();
    let columns = identity(&schema);
    schema
        .into_iter()
        .zip(columns)
        .enumerate()
        .filter(move |(index, _)| !skipped.contains(index))
        .map(|(_, (known, expr))| (known.name, expr))
}
