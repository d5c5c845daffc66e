//! Operators that make groups: `summarize`, `top` and its kin, `make-series`, `reduce`.

use super::super::{Parsed, Parser};
use crate::ast::{OperatorKind, SeriesAggregate, SeriesRange, TopNestedPart};
use crate::limits;

impl Parser<'_> {
    pub(super) fn summary(&mut self, keyword: &str) -> Parsed<OperatorKind> {
        match keyword {
            "summarize" => self.summarize(),
            "top" => {
                let count = self.named()?.expr;
                self.demand("by")?;
                Ok(OperatorKind::Top { count, by: self.ordered()? })
            }
            "top-hitters" => self.top_hitters(),
            "top-nested" => self.top_nested(),
            "make-series" => self.make_series(),
            "sample-distinct" => {
                let count = self.named()?.expr;
                self.demand("of")?;
                Ok(OperatorKind::SampleDistinct { count, of: self.named()? })
            }
            _ => {
                self.demand("by")?;
                let by = self.named()?;
                let with = if self.eat("with") { self.list(Self::named)? } else { Vec::new() };
                Ok(OperatorKind::Reduce { by, with })
            }
        }
    }

    fn summarize(&mut self) -> Parsed<OperatorKind> {
        let given = !self.at_end() && !self.is("by");
        let aggregates = if given { self.list(Self::named)? } else { Vec::new() };
        let by = if self.eat("by") { self.list(Self::named)? } else { Vec::new() };
        if self.is("bin") && self.written(1) == "=" {
            let span = self.span();
            return Err(self.unsupported(span, "`bin =` behind the keys", Some("Write bin(key, size).")));
        }
        Ok(OperatorKind::Summarize { aggregates, by })
    }

    fn top_hitters(&mut self) -> Parsed<OperatorKind> {
        let count = self.named()?.expr;
        self.demand("of")?;
        let of = self.named()?;
        let by = if self.eat("by") { Some(self.ordered()?) } else { None };
        Ok(OperatorKind::TopHitters { count, of, by })
    }

    fn top_nested(&mut self) -> Parsed<OperatorKind> {
        let mut parts = vec![self.top_nested_part()?];
        while self.eat(",") {
            if parts.len() >= limits::MAX_LIST {
                return Err(self.too_many("levels", limits::MAX_LIST));
            }
            self.demand("top-nested")?;
            parts.push(self.top_nested_part()?);
        }
        Ok(OperatorKind::TopNested(parts))
    }

    fn top_nested_part(&mut self) -> Parsed<TopNestedPart> {
        let count = if self.is("of") || self.at_end() { None } else { Some(self.named()?.expr) };
        self.demand("of")?;
        let of = self.named()?;
        let others = if self.eat("with") {
            self.demand("others")?;
            self.demand("=")?;
            Some(self.named()?.expr)
        } else {
            None
        };
        self.demand("by")?;
        Ok(TopNestedPart { count, of, others, by: self.ordered()? })
    }

    fn make_series(&mut self) -> Parsed<OperatorKind> {
        let aggregates = self.list(|parser| {
            let value = parser.named()?;
            let default = if parser.eat("default") {
                parser.demand("=")?;
                Some(parser.expression()?)
            } else {
                None
            };
            Ok(SeriesAggregate { value, default })
        })?;
        self.demand("on")?;
        let axis = self.named()?;
        let range = self.series_range()?;
        let by = if self.eat("by") { self.list(Self::named)? } else { Vec::new() };
        Ok(OperatorKind::MakeSeries { aggregates, axis, range, by })
    }

    fn series_range(&mut self) -> Parsed<SeriesRange> {
        if self.eat("in") {
            self.demand("range")?;
            self.demand("(")?;
            let from = self.named()?.expr;
            self.demand(",")?;
            let to = self.named()?.expr;
            self.demand(",")?;
            let step = self.named()?.expr;
            self.demand(")")?;
            return Ok(SeriesRange::In { from, to, step });
        }
        if !matches!(self.written(0), "from" | "to" | "step") {
            return Err(self.expected("in"));
        }
        let from = if self.eat("from") { Some(self.named()?.expr) } else { None };
        let to = if self.eat("to") { Some(self.named()?.expr) } else { None };
        self.demand("step")?;
        Ok(SeriesRange::FromTo { from, to, step: self.named()?.expr })
    }
}
