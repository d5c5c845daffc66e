//! `mv-expand` and `mv-apply`: rows of the elements of arrays.

use super::name::Names;
use super::project::Called;
use super::scope::{Rows, column, position};
use super::{Binder, Bound, all};
use crate::ast::{self, MvColumn, Operator, SettingValue};
use crate::{Expanded, ExprKind, Node, Plan, Schema, Type};

/// What an operator expands, and the schema of the rows it makes.
struct Expansion {
    columns: Vec<Expanded>,
    schema: Schema,
    item_index: bool,
    limit: Option<u64>,
}

impl Binder<'_> {
    fn expansion(
        &mut self,
        input: &Plan,
        columns: &[MvColumn],
        limit: Option<&ast::Expr>,
        operator: &Operator,
    ) -> Bound<Expansion> {
        let mut schema = input.schema.clone();
        let mut names = Names::default();
        let mut numbered = Names::default();
        for known in &schema {
            numbered.claim(&known.name);
        }
        let mut expanded = Vec::with_capacity(columns.len());
        for asked in columns {
            expanded.push(self.expanded(input, asked, &mut schema, &mut names, &mut numbered));
        }
        let columns = all(expanded)?;
        let limit = limit.map(|limit| self.number(limit)).transpose()?;
        let index_name = operator.settings.iter().find(|setting| setting.name.text == "with_itemindex");
        if let Some(setting) = index_name {
            let SettingValue::Name(name) = &setting.value else {
                return self.fail("KS006", setting.name.span, "Missing name");
            };
            if position(&schema, &name.text).is_some() {
                return Err(self.twice(&name.text, name.span));
            }
            schema.push(column(name.text.clone(), Type::Long));
        }
        Ok(Expansion { columns, schema, item_index: index_name.is_some(), limit })
    }

    fn expanded(
        &mut self,
        input: &Plan,
        asked: &MvColumn,
        schema: &mut Schema,
        names: &mut Names,
        numbered: &mut Names,
    ) -> Bound<Expanded> {
        let span = asked.value.expr.span;
        let source = self.scalar(&mut Rows::of(&input.schema), &asked.value.expr)?;
        if source.ty != Type::Dynamic {
            let message = "The expression must have the type dynamic.".to_owned();
            let mend = (source.ty == Type::String).then(|| "parse_json(…) reads a text as JSON.".to_owned());
            return Err(self.tell("KS141", span, message, mend));
        }
        let ty = asked.to.unwrap_or(Type::Dynamic);
        let name = match self.called(&input.schema, &asked.value)? {
            Called::Declared(name, at) => {
                if !names.claim(&name) {
                    return Err(self.twice(&name, at));
                }
                name
            }
            Called::Natural(name) => {
                names.claim(&name);
                name
            }
            Called::Unnamed => numbered.unnamed(),
        };
        let target = if let Some(index) = position(schema, &name) {
            schema[index].ty = ty;
            index
        } else {
            schema.push(column(name, ty));
            schema.len() - 1
        };
        Ok(Expanded { source, target, ty })
    }

    pub(super) fn mv_expand(
        &mut self,
        input: Plan,
        columns: &[MvColumn],
        limit: Option<&ast::Expr>,
        operator: &Operator,
    ) -> Bound<Plan> {
        let bag_as_array = operator.settings.iter().any(|setting| {
            matches!(setting.name.text.as_str(), "bagexpansion" | "kind")
                && matches!(&setting.value, SettingValue::Name(name) if name.text == "array")
        });
        let Expansion { columns, schema, item_index, limit } =
            self.expansion(&input, columns, limit, operator)?;
        let node = Node::MvExpand { input: Box::new(input), columns, item_index, bag_as_array, limit };
        self.node(node, schema, operator.span)
    }

    pub(super) fn mv_apply(
        &mut self,
        input: Plan,
        columns: &[MvColumn],
        limit: Option<&ast::Expr>,
        subquery: &[Operator],
        operator: &Operator,
    ) -> Bound<Plan> {
        let span = operator.span;
        let Expansion { columns, schema, item_index, limit } =
            self.expansion(&input, columns, limit, operator)?;
        let leaf = self.node(Node::Applied, schema, span)?;
        let outside = std::mem::replace(&mut self.within_apply, true);
        let subquery = self.deeper(span, |binder| binder.pipe(leaf, subquery));
        self.within_apply = outside;
        let subquery = subquery?;
        let mut shown: Schema = Vec::new();
        let mut sources = Vec::new();
        let is_expanded = |index: usize| {
            let itself = |expanded: &Expanded| expanded.source.kind == ExprKind::Column(index);
            columns.iter().any(|expanded| expanded.target == index && itself(expanded))
        };
        // Columns of the input that are not expanded themselves stay where they are, with the subquery's values where it has them.
        for (index, known) in input.schema.iter().enumerate().filter(|(index, _)| !is_expanded(*index)) {
            let inner = subquery.schema.iter().enumerate().find(|(_, inner)| inner.name == known.name);
            shown.push(inner.map_or(known, |(_, inner)| inner).clone());
            sources.push(inner.map_or(Err(index), |(inner, _)| Ok(inner)));
        }
        for (inner, known) in subquery.schema.iter().enumerate() {
            if position(&shown, &known.name).is_none() {
                shown.push(known.clone());
                sources.push(Ok(inner));
            }
        }
        let subquery = Box::new(subquery);
        let node = Node::MvApply { input: Box::new(input), columns, item_index, limit, subquery, sources };
        self.node(node, shown, span)
    }
}
