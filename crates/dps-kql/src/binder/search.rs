//! `search`: a predicate over the union of tables, before which stands a column that says which table a row is of.

use super::convert::chain;
use super::scope::Rows;
use super::union::Part;
use super::{Binder, Bound, all};
use crate::ast::{self, ExprKind as Syntax, Operator, SettingValue, TableSource};
use crate::{Expr, Node, Plan, Scalar, Value};

/// The column that says which table a row is of.
const TABLE_COLUMN: &str = "$table";

impl Binder<'_> {
    pub(super) fn search(
        &mut self,
        input: Option<Plan>,
        sources: &[TableSource],
        predicate: &ast::Expr,
        operator: &Operator,
    ) -> Bound<Plan> {
        let span = operator.span;
        let sensitive = operator.settings.iter().any(|setting| {
            setting.name.text == "kind"
                && matches!(&setting.value, SettingValue::Name(name) if name.text == "case_sensitive")
        });
        let parts = match input {
            Some(plan) => {
                let name = match &plan.node {
                    Node::Table { name, .. } => name.clone(),
                    _ => "search_arg0".to_owned(),
                };
                vec![Part { name, plan }]
            }
            None if sources.is_empty() => self.everything(span)?,
            None => self.parts(sources, false)?,
        };
        let input = self.united(parts, Some(TABLE_COLUMN), span)?;
        let schema = input.schema.clone();
        let predicate = self.sought(&mut Rows::of(&schema), predicate, sensitive)?;
        self.node(Node::Filter { input: Box::new(input), predicate }, schema, span)
    }

    /// A predicate in which a text stands for `* has text`, and `*` for all.
    fn sought(&mut self, rows: &mut Rows<'_>, expr: &ast::Expr, sensitive: bool) -> Bound<Expr> {
        match &expr.kind {
            Syntax::Literal(Value::String(text)) => {
                let (operator, text) = term(text, sensitive);
                let text = ast::Expr { kind: Syntax::Literal(Value::String(text.into())), span: expr.span };
                self.any_column(rows, operator, expr.span, &text)
            }
            Syntax::Star => Ok(chain(Scalar::And, Vec::new())),
            Syntax::Logical { operator, operands } => {
                let sought = operands
                    .iter()
                    .map(|operand| Ok((self.sought(rows, operand, sensitive)?, operand.span)))
                    .collect();
                let sought = all(sought)?;
                self.logical(*operator, sought)
            }
            _ => self.condition(rows, expr),
        }
    }
}

/// `"x*"` begins with it, `"*x"` ends with it, `"*x*"` holds it; else it is a whole term.
fn term(text: &str, sensitive: bool) -> (Scalar, &str) {
    let (head, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
    let (tail, rest) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
    let operator = match (head, tail, sensitive) {
        (true, true, false) => Scalar::Contains,
        (true, true, true) => Scalar::ContainsCs,
        (true, false, false) => Scalar::HasSuffix,
        (true, false, true) => Scalar::HasSuffixCs,
        (false, true, false) => Scalar::HasPrefix,
        (false, true, true) => Scalar::HasPrefixCs,
        (false, false, false) => Scalar::Has,
        (false, false, true) => Scalar::HasCs,
    };
    (operator, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_at_an_end_of_a_search_term_opens_it() {
        assert_eq!(term("abc", false), (Scalar::Has, "abc"));
        assert_eq!(term("abc*", false), (Scalar::HasPrefix, "abc"));
        assert_eq!(term("*abc", false), (Scalar::HasSuffix, "abc"));
        assert_eq!(term("*abc*", true), (Scalar::ContainsCs, "abc"));
        assert_eq!(term("*", false), (Scalar::HasSuffix, ""));
    }
}
