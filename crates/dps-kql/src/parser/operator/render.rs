//! `render`: what is written is kept as text for whoever draws.

use super::super::{Parsed, Parser};
use crate::ast::{Name, OperatorKind, RenderProperty};
use crate::lexer::TokenKind;
use crate::limits;

/// What a chart may be.
pub(crate) const VISUALIZATIONS: &[&str] = &[
    "table",
    "list",
    "barchart",
    "piechart",
    "ladderchart",
    "timechart",
    "linechart",
    "anomalychart",
    "pivotchart",
    "areachart",
    "stackedareachart",
    "scatterchart",
    "timepivot",
    "columnchart",
    "timeline",
    "3Dchart",
    "card",
    "treemap",
    "plotly",
    "graph",
    "sankey",
];
const PROPERTIES: &[&str] = &[
    "title",
    "xcolumn",
    "series",
    "ycolumns",
    "anomalycolumns",
    "kind",
    "xtitle",
    "ytitle",
    "xaxis",
    "yaxis",
    "legend",
    "ysplit",
    "accumulate",
    "ymin",
    "ymax",
    "xmin",
    "xmax",
];

impl Parser<'_> {
    pub(super) fn render(&mut self) -> Parsed<OperatorKind> {
        if !VISUALIZATIONS.contains(&self.written(0)) {
            return Err(self.expected_one_of(VISUALIZATIONS));
        }
        let visualization = Name { text: self.written(0).to_owned(), span: self.advance() };
        let mut properties = Vec::new();
        if self.is("with") && self.written(1) == "(" {
            self.advance();
            self.advance();
            while !self.is(")") {
                properties.push(self.render_property()?);
                if !self.eat(",") {
                    break;
                }
            }
            if !self.is(")") && self.is_word(0) {
                return Err(self.stray(","));
            }
            self.demand(")")?;
            return Ok(OperatorKind::Render { visualization, properties });
        }
        // The form of old: properties side by side, and `by` before a list of columns.
        while !self.at_end() {
            if properties.len() >= limits::MAX_LIST {
                return Err(self.too_many("properties", limits::MAX_LIST));
            }
            if self.is("by") {
                let name = Name { text: "by".to_owned(), span: self.advance() };
                properties.push(self.render_names(name)?);
            } else if self.eat("with") {
                return Err(self.missing("string"));
            } else if self.written(1) == "=" {
                properties.push(self.render_property()?);
            } else {
                return Err(self.stray(";"));
            }
        }
        Ok(OperatorKind::Render { visualization, properties })
    }

    fn render_property(&mut self) -> Parsed<RenderProperty> {
        if !PROPERTIES.contains(&self.written(0)) {
            return Err(self.expected_one_of(PROPERTIES));
        }
        let name = Name { text: self.written(0).to_owned(), span: self.advance() };
        self.demand("=")?;
        match name.text.as_str() {
            "series" | "ycolumns" | "anomalycolumns" => self.render_names(name),
            "title" | "xtitle" | "ytitle" => {
                if !self.begins_expression() {
                    return Err(self.missing("value"));
                }
                let value = if matches!(self.kind(), TokenKind::Text(_)) {
                    self.text_literal()?
                } else {
                    let span = self.postfix(false)?.span;
                    self.slice(span).to_owned()
                };
                Ok(self.property(name, vec![value]))
            }
            _ => {
                let value = self.render_word()?;
                Ok(self.property(name, vec![value]))
            }
        }
    }

    /// A word or a literal as it is written.
    fn render_word(&mut self) -> Parsed<String> {
        if let Some(name) = self.bracketed_name() {
            return Ok(name.text);
        }
        if matches!(self.kind(), TokenKind::Text(_)) {
            return self.text_literal();
        }
        if self.is_word(0) {
            let span = self.advance();
            return Ok(self.slice(span).to_owned());
        }
        if !matches!(self.kind(), TokenKind::Literal(_)) && !matches!(self.written(0), "-" | "+") {
            return Err(self.missing("value"));
        }
        let span = self.signed_literal()?.span;
        Ok(self.slice(span).to_owned())
    }

    /// Columns up to the comma that the next property follows.
    fn render_names(&mut self, name: Name) -> Parsed<RenderProperty> {
        let mut names = vec![self.given_name()?.text];
        while self.is(",") && self.written(2) != "=" {
            if names.len() >= limits::MAX_LIST {
                return Err(self.too_many("columns", limits::MAX_LIST));
            }
            self.advance();
            names.push(self.given_name()?.text);
        }
        Ok(self.property(name, names))
    }

    fn property(&self, name: Name, values: Vec<String>) -> RenderProperty {
        let span = name.span.to(self.before());
        RenderProperty { name, values, span }
    }
}
