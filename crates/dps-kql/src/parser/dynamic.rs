//! `dynamic(…)`: JSON with Kusto's strings and scalar literals in it.

use super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::code;
use crate::lexer::TokenKind;
use crate::{Type, Value, literal};
use serde_json::{Map, Number, Value as Json};

impl Parser<'_> {
    pub(super) fn dynamic(&mut self) -> Parsed<Expr> {
        let start = self.advance();
        let json = self.dynamic_inside()?;
        let value = if json.is_null() { Value::Null(Type::Dynamic) } else { Value::Dynamic(json) };
        Ok(Expr { kind: ExprKind::Literal(value), span: start.to(self.before()) })
    }

    fn dynamic_inside(&mut self) -> Parsed<Json> {
        self.demand("(")?;
        let json = self.deeper(Self::json)?;
        self.demand(")")?;
        Ok(json)
    }

    fn json(&mut self) -> Parsed<Json> {
        match self.kind() {
            TokenKind::Text(_) => Ok(Json::String(self.text_literal()?)),
            TokenKind::Literal(value) => {
                let value = value.clone();
                self.json_scalar(value, false)
            }
            _ => match self.written(0) {
                "{" => self.json_object(),
                "[" => self.json_array(),
                "null" => {
                    self.advance();
                    Ok(Json::Null)
                }
                "-" | "+" => {
                    let negative = self.is("-");
                    self.advance();
                    match self.kind() {
                        TokenKind::Literal(value @ (Value::Long(_) | Value::Real(_))) => {
                            let value = value.clone();
                            self.json_scalar(value, negative)
                        }
                        _ => Err(self.missing("json value")),
                    }
                }
                "dynamic" => {
                    self.advance();
                    self.dynamic_inside()
                }
                _ => Err(self.missing("json value")),
            },
        }
    }

    /// Dates, durations and guids become their text, as `tostring` writes them.
    fn json_scalar(&mut self, value: Value, negative: bool) -> Parsed<Json> {
        let json = match value {
            Value::Null(_) => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Int(value) => value.into(),
            Value::Long(value) if negative => value.wrapping_neg().into(),
            Value::Long(value) => value.into(),
            Value::Real(value) => real(if negative { -value } else { value }),
            Value::DateTime(ticks) => literal::format_datetime(ticks).into(),
            Value::TimeSpan(ticks) => literal::format_timespan(ticks).into(),
            Value::Guid(guid) => literal::format_guid(guid).into(),
            Value::String(value) => value.into_string().into(),
            Value::Dynamic(value) => value,
            Value::Decimal(_) => {
                let message = "Decimal values are not supported in dynamic objects.".to_owned();
                return Err(self.tell(code::DECIMAL_IN_DYNAMIC, self.span(), message, None));
            }
        };
        self.advance();
        Ok(json)
    }

    fn json_array(&mut self) -> Parsed<Json> {
        self.advance();
        let mut items = Vec::new();
        if !self.is("]") {
            loop {
                items.push(self.deeper(Self::json)?);
                if !self.eat(",") {
                    break;
                }
            }
        }
        self.json_close("]")?;
        Ok(Json::Array(items))
    }

    fn json_object(&mut self) -> Parsed<Json> {
        self.advance();
        let mut members = Map::new();
        if !self.is("}") {
            loop {
                if !matches!(self.kind(), TokenKind::Text(_)) {
                    return Err(self.json_member());
                }
                let name = self.text_literal()?;
                self.demand(":")?;
                let value = self.deeper(Self::json)?;
                members.insert(name, value);
                if !self.eat(",") {
                    break;
                }
            }
        }
        self.json_close("}")?;
        Ok(Json::Object(members))
    }

    /// No name of a member stands where one must.
    fn json_member(&mut self) -> super::Caught {
        if self.slice(self.before()) == "," {
            return self.missing("json key:value pair");
        }
        let quoted = self.is_word(0).then(|| format!("Write \"{}\" in quotes.", self.written(0)));
        self.tell(code::EXPECTED, self.span(), "Expected: }".to_owned(), quoted)
    }

    fn json_close(&mut self, mark: &str) -> Parsed<()> {
        if self.is(mark) {
            self.advance();
            return Ok(());
        }
        let another = matches!(self.kind(), TokenKind::Literal(_) | TokenKind::Text(_))
            || matches!(self.written(0), "{" | "[");
        Err(self.expected(if another { "," } else { mark }))
    }
}

/// JSON has no `nan` nor infinities; as texts they survive.
fn real(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
