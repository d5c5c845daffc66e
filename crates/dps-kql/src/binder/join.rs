//! `join` and `lookup`.

use super::convert::{column as at, convert, is_number, promoted, wider};
use super::name::Names;
use super::nearest::suggestion;
use super::scope::{column, identity, position};
use super::{Binder, Bound, Stopped, all};
use crate::ast::{self, ExprKind as Syntax, JoinOn, Name, Operator, SettingValue, Span};
use crate::{Expr, JoinKind, Node, Plan, Scalar, Schema, Type};

/// A pair of columns, and where the condition stands.
struct Pair {
    left: usize,
    right: usize,
    span: Span,
    /// `on name`.
    common: bool,
}

impl Binder<'_> {
    pub(super) fn join(
        &mut self,
        left: Plan,
        right: &ast::Expr,
        on: &[JoinOn],
        operator: &Operator,
    ) -> Bound<Plan> {
        let kind = self.join_kind(operator, JoinKind::InnerUnique)?;
        let right = self.table(right)?;
        let pairs = self.pairs(&left.schema, &right.schema, on)?;
        self.joined(kind, left, right, &pairs, operator.span)
    }

    /// `lookup`: a join that drops the right side's keys.
    pub(super) fn lookup(
        &mut self,
        left: Plan,
        right: &ast::Expr,
        on: &[JoinOn],
        operator: &Operator,
    ) -> Bound<Plan> {
        let kind = self.join_kind(operator, JoinKind::LeftOuter)?;
        if !matches!(kind, JoinKind::LeftOuter | JoinKind::Inner) {
            let message = "Expected one of: inner, leftouter";
            return self.fail("KS005", operator.span, message);
        }
        let right = self.table(right)?;
        let pairs = self.pairs(&left.schema, &right.schema, on)?;
        let width = left.schema.len();
        let dropped: Vec<_> = pairs.iter().map(|pair| width + pair.right).collect();
        let right_schema = right.schema.clone();
        let joined = self.joined(kind, left, right, &pairs, operator.span)?;
        let kept: Vec<_> = (0..joined.schema.len()).filter(|index| !dropped.contains(index)).collect();
        let columns = identity(&joined.schema);
        let columns = kept.iter().filter_map(|index| columns.get(*index).cloned()).collect();
        // Names were kept apart from the keys too, which are gone.
        let mut names = Names::default();
        let mut schema: Schema = joined.schema.iter().take(width).cloned().collect();
        for known in &schema {
            names.claim(&known.name);
        }
        let original: Vec<_> =
            kept.iter().skip(width).filter_map(|index| right_schema.get(index - width)).collect();
        for known in &original {
            if position(&schema, &known.name).is_none() {
                names.claim(&known.name);
            }
        }
        for known in original {
            let clashes = position(&schema, &known.name).is_some();
            let name = if clashes { names.apart(&known.name) } else { known.name.clone() };
            schema.push(column(name, known.ty));
        }
        self.node(Node::Project { input: Box::new(joined), columns }, schema, operator.span)
    }

    fn join_kind(&mut self, operator: &Operator, default: JoinKind) -> Bound<JoinKind> {
        let Some(setting) = operator.settings.iter().find(|setting| setting.name.text == "kind") else {
            return Ok(default);
        };
        let SettingValue::Name(name) = &setting.value else {
            return self.fail("KS005", setting.name.span, "Expected the kind of join.");
        };
        Ok(match name.text.as_str() {
            "innerunique" => JoinKind::InnerUnique,
            "inner" => JoinKind::Inner,
            "leftouter" => JoinKind::LeftOuter,
            "rightouter" => JoinKind::RightOuter,
            "fullouter" => JoinKind::FullOuter,
            "leftsemi" => JoinKind::LeftSemi,
            "rightsemi" => JoinKind::RightSemi,
            "leftanti" | "anti" | "leftantisemi" => JoinKind::LeftAnti,
            "rightanti" | "rightantisemi" => JoinKind::RightAnti,
            other => {
                const KINDS: [&str; 9] = [
                    "innerunique",
                    "inner",
                    "leftouter",
                    "rightouter",
                    "fullouter",
                    "leftsemi",
                    "rightsemi",
                    "leftanti",
                    "rightanti",
                ];
                let message = format!("Expected one of: {}", KINDS.join(", "));
                let near = suggestion(other, KINDS.into_iter());
                return Err(self.tell("KS005", name.span, message, near));
            }
        })
    }

    fn pairs(&mut self, left: &Schema, right: &Schema, on: &[JoinOn]) -> Bound<Vec<Pair>> {
        let mut pairs = Vec::new();
        for condition in on {
            match condition {
                JoinOn::Column(name) => pairs.push(self.common(left, right, name)),
                JoinOn::Expr(expr) => self.conditions(left, right, expr, &mut pairs),
            }
        }
        all(pairs)
    }

    fn common(&mut self, left: &Schema, right: &Schema, name: &Name) -> Bound<Pair> {
        match (position(left, &name.text), position(right, &name.text)) {
            (Some(left), Some(right)) => Ok(Pair { left, right, span: name.span, common: true }),
            (None, None) => self.no_column(name, left),
            _ => {
                let message = format!("The column '{}' must exist on both sides of the join.", name.text);
                let mend = format!("Say $left.{0} == $right.other.", name.text);
                Err(self.tell("KS145", name.span, message, Some(mend)))
            }
        }
    }

    fn no_column<T>(&mut self, name: &Name, schema: &Schema) -> Bound<T> {
        let names: Vec<_> = schema.iter().map(|known| known.name.clone()).collect();
        self.unknown(&name.text, name.span, &names)
    }

    /// `$left.a == $right.b`, perhaps several with `and`.
    fn conditions(&mut self, left: &Schema, right: &Schema, expr: &ast::Expr, pairs: &mut Vec<Bound<Pair>>) {
        match &expr.kind {
            Syntax::Logical { operator: Scalar::And, operands } => {
                for operand in operands {
                    self.conditions(left, right, operand, pairs);
                }
            }
            Syntax::Binary { operator: Scalar::Equal, left: one, right: other, .. } => {
                let sides = (self.side(one, "$left", left), self.side(other, "$right", right));
                pairs.push(match sides {
                    (Ok(left), Ok(right)) => Ok(Pair { left, right, span: expr.span, common: false }),
                    _ => Err(Stopped),
                });
            }
            _ => {
                let message = "The join condition must be either the name of a column common to both tables or in the \
                               form $left.<column> == $right.<column>.";
                pairs.push(self.fail("KS182", expr.span, message));
            }
        }
    }

    fn side(&mut self, expr: &ast::Expr, side: &str, schema: &Schema) -> Bound<usize> {
        if let Syntax::Path { base, steps } = &expr.kind
            && matches!(&base.kind, Syntax::Name(name) if name == side)
            && let [ast::PathStep::Member(name)] = steps.as_slice()
        {
            return match position(schema, &name.text) {
                Some(index) => Ok(index),
                None => self.no_column(name, schema),
            };
        }
        self.fail("KS183", expr.span, format!("The join condition operand must be: {side}.<column>"))
    }

    fn joined(&mut self, kind: JoinKind, left: Plan, right: Plan, pairs: &[Pair], span: Span) -> Bound<Plan> {
        let mut on = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let types = (left.schema.get(pair.left), right.schema.get(pair.right));
            let (Some(a), Some(b)) = types else { return Err(Stopped) };
            on.push(self.key_pair(pair, a.ty, b.ty, &a.name));
        }
        let on = all(on)?;
        let schema = match kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => left.schema.clone(),
            JoinKind::RightSemi | JoinKind::RightAnti => right.schema.clone(),
            _ => beside(&left.schema, &right.schema),
        };
        self.node(Node::Join { kind, left: Box::new(left), right: Box::new(right), on }, schema, span)
    }

    fn key_pair(&mut self, pair: &Pair, a: Type, b: Type, name: &str) -> Bound<(Expr, Expr)> {
        if a == Type::Dynamic || b == Type::Dynamic {
            let mend = "Convert it first: extend key = tostring(…).".to_owned();
            return Err(self.tell("KS241", pair.span, "Join keys cannot be dynamic".to_owned(), Some(mend)));
        }
        let integers = matches!((a, b), (Type::Int | Type::Long, Type::Int | Type::Long));
        let ty = if a == b {
            a
        } else if integers && !pair.common {
            Type::Long
        } else {
            let message = if pair.common {
                format!("The common column '{name}' must have the same type on both sides of the join.")
            } else {
                format!("Inconsistent data types for join keys: ({}, {})", a.name(), b.name())
            };
            let mend = (is_number(a) && is_number(b)).then(|| {
                let ty = promoted(wider(a, b)).name();
                format!("Convert one side to {ty} first.")
            });
            let code = if pair.common { "KS227" } else { "KS242" };
            return Err(self.tell(code, pair.span, message, mend));
        };
        Ok((convert(at(pair.left, a), ty), convert(at(pair.right, b), ty)))
    }
}

/// The left columns, then the right ones; of those, the ones whose names are free keep them.
fn beside(left: &Schema, right: &Schema) -> Schema {
    let mut names = Names::default();
    for known in left {
        names.claim(&known.name);
    }
    let free: Vec<bool> = right.iter().map(|known| names.claim(&known.name)).collect();
    let mut schema = left.clone();
    for (known, free) in right.iter().zip(free) {
        let name = if free { known.name.clone() } else { names.apart(&known.name) };
        schema.push(column(name, known.ty));
    }
    schema
}
