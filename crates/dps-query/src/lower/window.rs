//! `serialize`'s functions over neighbours.

use datafusion::common::{Result, plan_err};
use dps_kql::{Column, WindowFunction};

use super::{Lowering, Relation};
use crate::functions;
use crate::operator::{Window, WindowColumn};

impl Lowering<'_> {
    /// `columns` are what the functions make.
    pub(super) fn window(
        &self,
        mut input: Relation,
        functions: &[WindowFunction],
        columns: &[Column],
    ) -> Result<Relation> {
        if !input.carried.is_empty() {
            return plan_err!("functions over neighbours cannot stand within mv-apply");
        }
        let mut made = Vec::with_capacity(functions.len());
        let mut names = input.columns.clone();
        for (function, column) in functions.iter().zip(columns) {
            let name = self.name()?;
            let meaning = match function {
                WindowFunction::RowNumber { start, restart } => {
                    let (with, restart) = self.restart(input, restart.as_ref())?;
                    input = with;
                    WindowColumn::RowNumber { start: *start, restart }
                }
                WindowFunction::CumulativeSum { term, restart } => {
                    let term = Self::convert(self.expr(term, &input.columns)?, term.ty, column.ty)?;
                    let (with, term) = self.operand(input, term)?;
                    let (with, restart) = self.restart(with, restart.as_ref())?;
                    input = with;
                    WindowColumn::CumulativeSum { term, restart }
                }
                WindowFunction::Shifted { value, offset, default } => {
                    let value = self.expr(value, &input.columns)?;
                    let (with, value) = self.operand(input, value)?;
                    input = with;
                    WindowColumn::Shifted { value, offset: *offset, default: functions::literal(default) }
                }
            };
            made.push((name.clone(), functions::arrow_type(column.ty), meaning));
            names.push(name);
        }
        let with = self.operator(input, Window { columns: made })?;
        Ok(Relation { columns: names, ..with })
    }

    fn restart(
        &self,
        input: Relation,
        restart: Option<&dps_kql::Expr>,
    ) -> Result<(Relation, Option<String>)> {
        let Some(restart) = restart else { return Ok((input, None)) };
        let restart = self.expr(restart, &input.columns)?;
        let (input, name) = self.operand(input, restart)?;
        Ok((input, Some(name)))
    }

    /// An expression as a column beneath an operator.
    pub(super) fn operand(
        &self,
        input: Relation,
        expr: datafusion::logical_expr::Expr,
    ) -> Result<(Relation, String)> {
        let (input, names) = self.extended(input, vec![expr])?;
        let Some(name) = names.into_iter().next() else { return plan_err!("an operand without a name") };
        Ok((input, name))
    }
}
