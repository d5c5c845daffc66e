//! Calls of the language's own functions.

use super::convert::{
    call, column, convert, is_integer, is_number, is_orderable, is_summable, literal, promoted, widens, wider,
};
use super::nearest::suggestion;
use super::operator::is_constant;
use super::scope::{Binding, Rows};
use super::{Binder, Bound, Stopped, all, fold};
use crate::ast::{self, Call, ExprKind as Syntax, Name, Span};
use crate::signature::{self, Layout, Need, Param, ScalarFunction, Signature, Wants, Yields};
use crate::{Expr, ExprKind, Scalar, Type, Value};

impl Binder<'_> {
    pub(super) fn call(&mut self, rows: &mut Rows<'_>, called: &Call, span: Span) -> Bound<Expr> {
        let name = called.name.text.as_str();
        match self.scope.find(name) {
            Some(Binding::Function { .. }) => return self.scalar_function(rows, called),
            Some(Binding::Wrong) => return Err(Stopped),
            _ => {}
        }
        match name {
            "now" | "ago" => return self.clock(rows, called),
            "toscalar" => return self.single_value(rows, called, span),
            "column_ifexists" | "columnifexists" | "iscolumnexists" => {
                return self.column_if_exists(rows, called);
            }
            "row_number" | "row_cumsum" | "prev" | "next" => return self.window(rows, called),
            "materialize" | "table" => return self.fail("KS108", span, "Scalar value expected."),
            "pack_all" => return self.pack_all(rows, called),
            "pack_array" if called.args.iter().any(|arg| matches!(arg.expr.kind, Syntax::Star)) => {
                return self.pack_columns(rows, called);
            }
            _ => {}
        }
        if let Some(function) = signature::scalar(name) {
            if signature::several(function.function).is_some() {
                let message = "The multi-valued expression cannot be used within another.";
                return self.fail("KS139", called.name.span, message);
            }
            return self.built_in(rows, function, called);
        }
        if super::summarize::is_aggregate(name) {
            return self.nested_aggregate(rows, called);
        }
        self.no_function(&called.name)
    }

    /// Tells that no function has that name.
    pub(super) fn no_function<T>(&mut self, name: &Name) -> Bound<T> {
        let known = signature::scalars().flat_map(|row| row.names).copied();
        let known =
            known.chain(signature::aggregates().flat_map(|row| row.names).copied()).chain(["now", "ago"]);
        let near = suggestion(&name.text, known.chain(self.scope.names()));
        let message = format!("The name '{}' does not refer to any known function.", name.text);
        Err(self.tell("KS211", name.span, message, near))
    }

    pub(super) fn built_in(
        &mut self,
        rows: &mut Rows<'_>,
        function: &ScalarFunction,
        called: &Call,
    ) -> Bound<Expr> {
        let args = self.arguments(rows, called)?;
        let signature = self.choose(function.signatures, called, &args)?;
        let (args, ty) = self.fitted(signature, called, args)?;
        let typed = signature.yields == Yields::TypeLiteral;
        let function = if function.function == Scalar::Floor { Scalar::Bin } else { function.function };
        if typed {
            // The engine's function yields what the text says, the plan the type that was asked for.
            return Ok(convert(call(function, args, Type::String), ty));
        }
        Ok(call(function, args, ty))
    }

    /// Arguments without names and stars.
    pub(super) fn arguments(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Vec<Expr>> {
        let mut bound = Vec::with_capacity(called.args.len());
        for arg in &called.args {
            bound.push(if arg.names.is_empty() {
                match &arg.expr.kind {
                    Syntax::TypeOf(columns) => Ok(type_literal(columns)),
                    Syntax::Star => self.fail("KS191", arg.expr.span, "The * syntax is not allowed here."),
                    _ => self.scalar(rows, &arg.expr),
                }
            } else {
                self.fail("KS193", arg.span(), "Named arguments are not supported for this function.")
            });
        }
        all(bound)
    }

    /// The signature that takes the arguments. Of several that could, the first.
    pub(super) fn choose(
        &mut self,
        signatures: &'static [Signature],
        called: &Call,
        args: &[Expr],
    ) -> Bound<&'static Signature> {
        let fitting: Vec<_> = signatures.iter().filter(|signature| signature.takes(args.len())).collect();
        match (fitting.as_slice(), signatures) {
            ([only], _) => Ok(only),
            ([], [only]) => Err(self.wrong_count(only, called)),
            (several, _) => {
                let common = |signature: &Signature| common(signature, args);
                let fits = |signature: &&&'static Signature| {
                    args.iter().enumerate().all(|(index, arg)| {
                        let param = signature.param(index, args.len());
                        param.is_some_and(|param| refusal(param.wants, arg.ty, common(signature)).is_none())
                    })
                };
                match several.iter().find(fits).or_else(|| nearest(several, args)) {
                    Some(signature) => Ok(signature),
                    None => Err(self.incompatible(called, args)),
                }
            }
        }
    }

    fn wrong_count(&mut self, signature: &Signature, called: &Call) -> Stopped {
        let (least, most) = signature.arity();
        let name = &called.name.text;
        let count = called.args.len();
        match signature.layout {
            Layout::Fixed => {
                let plural = if most == 1 { "argument" } else { "arguments" };
                let number = if least == most { most.to_string() } else { format!("{least} to {most}") };
                self.error(
                    "KS119",
                    called.name.span,
                    format!("The function '{name}' expects {number} {plural}."),
                )
            }
            _ if count < least || count > most => self.error(
                "KS120",
                called.name.span,
                format!("The function '{name}' expects between {least} and {most} arguments."),
            ),
            _ => self.error(
                "KS121",
                called.name.span,
                "The function call has an incorrect number of arguments.",
            ),
        }
    }

    fn incompatible(&mut self, called: &Call, args: &[Expr]) -> Stopped {
        let types: Vec<_> = args.iter().map(|arg| arg.ty.name()).collect();
        let name = &called.name.text;
        let message =
            format!("The function '{name}' is not compatible with arguments ({})", types.join(", "));
        let dynamic = args.iter().any(|arg| arg.ty == Type::Dynamic);
        let mend =
            dynamic.then(|| "Convert dynamic values first: tolong(…), todouble(…), tostring(…).".to_owned());
        self.tell("KS127", called.name.span, message, mend)
    }

    /// Arguments made into what the signature wants, and what the call yields.
    pub(super) fn fitted(
        &mut self,
        signature: &Signature,
        called: &Call,
        args: Vec<Expr>,
    ) -> Bound<(Vec<Expr>, Type)> {
        let count = args.len();
        let common = common(signature, &args);
        let shares = signature.params.iter().any(|param| {
            matches!(param.wants, Wants::Common | Wants::CommonOrderable | Wants::CommonOrDynamic)
        });
        if shares && common.is_none() {
            let message = "No common type can be determined from the arguments.";
            return self.fail("KS232", called.name.span, message);
        }
        let mut good = Vec::with_capacity(count);
        for (index, (arg, syntax)) in args.iter().zip(&called.args).enumerate() {
            let param = signature.param(index, count);
            good.push(param.ok_or(Stopped).and_then(|param| self.judge(param, arg, &syntax.expr, common)));
        }
        all(good)?;
        let ty = yielded(signature, &args, common);
        let mut fitted = Vec::with_capacity(count);
        for (index, arg) in args.into_iter().enumerate() {
            match signature.param(index, count).map(|param| param.wants) {
                Some(Wants::TypeLiteral) | None => {}
                Some(wants) => fitted.push(fit(wants, arg, ty)),
            }
        }
        Ok((fitted, ty))
    }

    /// Whether an argument is what its parameter wants.
    #[expect(clippy::match_same_arms, reason = "one arm for each rule, in their order")]
    fn judge(&mut self, param: &Param, arg: &Expr, syntax: &ast::Expr, common: Option<Type>) -> Bound<()> {
        if let Some((code, message)) = refusal(param.wants, arg.ty, common) {
            return self.fail(code, syntax.span, message);
        }
        let literal = match &arg.kind {
            ExprKind::Literal(value) => Some(value),
            _ => None,
        };
        match (param.wants, literal) {
            (Wants::Array, Some(Value::Dynamic(value))) if !value.is_array() => {
                return self.fail("KS234", syntax.span, "The expression value must be a dynamic array.");
            }
            (Wants::Bag, Some(Value::Dynamic(value))) if !value.is_object() => {
                return self.fail("KS235", syntax.span, "The expression must be a dynamic bag.");
            }
            _ => {}
        }
        match (param.need, literal) {
            (Need::Anything, _) => Ok(()),
            (Need::Constant, _) if is_constant(arg) => Ok(()),
            (Need::Constant, _) => self.fail("KS129", syntax.span, "The expression must be a constant."),
            (_, None) => self.fail("KS131", syntax.span, "The expression must be a literal."),
            (Need::Literal, Some(_)) => Ok(()),
            (Need::NotEmpty, Some(Value::String(text))) if text.is_empty() => {
                self.fail("KS133", syntax.span, "The expression value must not be empty.")
            }
            (Need::NotEmpty, Some(_)) => Ok(()),
            (Need::OneOf(words), Some(value)) => {
                let known = matches!(value, Value::String(text) if words.iter().any(|word| word.eq_ignore_ascii_case(text)));
                if known {
                    return Ok(());
                }
                let message = format!("The expression must be one of the values: {}", words.join(", "));
                let near = match value {
                    Value::String(text) => suggestion(text, words.iter().copied()),
                    _ => None,
                };
                Err(self.tell("KS140", syntax.span, message, near))
            }
        }
    }

    /// `now(…)`, `ago(…)`: the query's own time.
    fn clock(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        const NOW: &[Signature] = &[signature::NOW];
        const AGO: &[Signature] = &[signature::AGO];
        let ago = called.name.text == "ago";
        let args = self.arguments(rows, called)?;
        let signature = self.choose(if ago { AGO } else { NOW }, called, &args)?;
        let (args, ty) = self.fitted(signature, called, args)?;
        let now = literal(Value::DateTime(self.environment.now));
        let operator = if ago { Scalar::Subtract } else { Scalar::Add };
        Ok(match args.into_iter().next() {
            Some(by) => call(operator, vec![now, by], ty),
            None => now,
        })
    }

    fn single_value(&mut self, rows: &mut Rows<'_>, called: &Call, span: Span) -> Bound<Expr> {
        let [arg] = called.args.as_slice() else {
            return self.fail("KS119", called.name.span, "The function 'toscalar' expects 1 argument.");
        };
        if !self.is_table(rows, &arg.expr) {
            // A value stays as it is; a table that is not known is told as one.
            return match &arg.expr.kind {
                Syntax::Call(inner) if inner.name.text == "materialize" => {
                    self.rows_to_scalar(&arg.expr, span)
                }
                _ => self.scalar(&mut Rows::none(), &arg.expr),
            };
        }
        self.rows_to_scalar(&arg.expr, span)
    }

    fn rows_to_scalar(&mut self, expr: &ast::Expr, span: Span) -> Bound<Expr> {
        let query = self.table(expr)?;
        let Some(ty) = query.schema.first().map(|column| column.ty) else {
            return self.fail("KS190", span, "The table has no columns");
        };
        Ok(Expr { kind: ExprKind::ScalarQuery(Box::new(query)), ty })
    }

    fn column_if_exists(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        let asks = called.name.text == "iscolumnexists";
        let wanted = usize::from(!asks) + 1;
        if called.args.len() != wanted {
            let message = format!("The function '{}' expects {wanted} arguments.", called.name.text);
            return self.fail("KS119", called.name.span, message);
        }
        let mut args = called.args.iter().map(|arg| &arg.expr);
        let (Some(name), other) = (args.next(), args.next()) else { return Err(Stopped) };
        let bound = self.scalar(rows, name)?;
        let ExprKind::Literal(Value::String(text)) = &bound.kind else {
            return self.fail("KS129", name.span, "The expression must be a constant.");
        };
        let found = rows.position(text);
        match (other, found) {
            (None, found) => Ok(literal(Value::Bool(found.is_some()))),
            (Some(other), found) => {
                let otherwise = self.scalar(rows, other)?;
                Ok(found
                    .and_then(|index| rows.columns.get(index).map(|known| column(index, known.ty)))
                    .unwrap_or(otherwise))
            }
        }
    }

    /// `pack_all()`, `pack_all(true)`: names and values of all columns; the latter begins with its literal.
    fn pack_all(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        let ignore = match called.args.as_slice() {
            [] => false,
            [arg] => match self.scalar(rows, &arg.expr)?.kind {
                ExprKind::Literal(Value::Bool(ignore)) => ignore,
                _ => return self.fail("KS131", arg.expr.span, "The expression must be a literal."),
            },
            _ => {
                return self.fail(
                    "KS119",
                    called.name.span,
                    "The function 'pack_all' expects 0 to 1 arguments.",
                );
            }
        };
        self.grow(2 * rows.columns.len(), called.span)?;
        let pairs = rows
            .columns
            .iter()
            .enumerate()
            .flat_map(|(index, packed)| [super::convert::text(&packed.name), column(index, packed.ty)]);
        Ok(if ignore {
            let args = std::iter::once(literal(Value::Bool(true))).chain(pairs).collect();
            call(Scalar::PackAll, args, Type::Dynamic)
        } else {
            call(Scalar::Pack, pairs.collect(), Type::Dynamic)
        })
    }

    fn pack_columns(&mut self, rows: &mut Rows<'_>, called: &Call) -> Bound<Expr> {
        if let [_, second, ..] = called.args.as_slice() {
            return self.fail("KS191", second.expr.span, "The * syntax is not allowed here.");
        }
        self.grow(rows.columns.len(), called.span)?;
        let columns =
            rows.columns.iter().enumerate().map(|(index, packed)| column(index, packed.ty)).collect();
        Ok(call(Scalar::PackArray, columns, Type::Dynamic))
    }
}

/// The one signature that takes more of the arguments than the others do: what it refuses is told.
fn nearest<'s>(several: &'s [&'static Signature], args: &[Expr]) -> Option<&'s &'static Signature> {
    let taken = |signature: &&'static Signature| {
        let common = common(signature, args);
        let takes = |(index, arg): &(usize, &Expr)| {
            let param = signature.param(*index, args.len());
            param.is_some_and(|param| refusal(param.wants, arg.ty, common).is_none())
        };
        args.iter().enumerate().filter(takes).count()
    };
    let most = several.iter().map(taken).max().filter(|most| *most > 0)?;
    let mut best = several.iter().filter(|signature| taken(signature) == most);
    best.next().filter(|_| best.next().is_none())
}

fn type_literal(columns: &[ast::Column]) -> Expr {
    let ty = columns.first().map_or(Type::Dynamic, |column| column.ty);
    literal(super::convert::null(ty))
}

/// The type that the arguments have in common which must have one.
fn common(signature: &Signature, args: &[Expr]) -> Option<Type> {
    let count = args.len();
    let sharing = args.iter().enumerate().filter(|(index, _)| {
        signature.param(*index, count).is_some_and(|param| {
            matches!(param.wants, Wants::Common | Wants::CommonOrderable | Wants::CommonOrDynamic)
        })
    });
    let loose = signature.params.iter().any(|param| param.wants == Wants::CommonOrDynamic);
    let types: Vec<_> = sharing.map(|(_, arg)| arg.ty).collect();
    let not_dynamic = types.iter().copied().filter(|ty| *ty != Type::Dynamic);
    if loose {
        return Some(
            not_dynamic.map(Some).reduce(meet).map_or(Type::Dynamic, |met| met.unwrap_or(Type::Dynamic)),
        );
    }
    if types.contains(&Type::Dynamic) {
        return Some(Type::Dynamic);
    }
    not_dynamic.map(Some).reduce(meet).flatten()
}

fn meet(left: Option<Type>, right: Option<Type>) -> Option<Type> {
    match (left?, right?) {
        (left, right) if left == right => Some(left),
        (left, right) if is_number(left) && is_number(right) => Some(wider(left, right)),
        _ => None,
    }
}

fn yielded(signature: &Signature, args: &[Expr], common: Option<Type>) -> Type {
    let first = args.first().map_or(Type::Dynamic, |arg| arg.ty);
    match signature.yields {
        Yields::Is(ty) => ty,
        Yields::First => first,
        Yields::FirstPromoted => promoted(first),
        Yields::Widest => {
            promoted(args.iter().map(|arg| arg.ty).filter(|ty| is_number(*ty)).reduce(wider).unwrap_or(first))
        }
        Yields::Common | Yields::CommonNotDynamic => common.unwrap_or(Type::Dynamic),
        Yields::TypeLiteral => args.last().map_or(Type::Dynamic, |arg| arg.ty),
    }
}

/// The argument as the engine's function wants it.
fn fit(wants: Wants, arg: Expr, yielded: Type) -> Expr {
    match wants {
        Wants::Text => convert(arg, Type::String),
        Wants::Is(ty) => convert(arg, ty),
        Wants::Integer => convert(arg, Type::Long),
        Wants::IntegerOrArray if is_integer(arg.ty) => convert(arg, Type::Long),
        Wants::Real => convert(arg, Type::Real),
        Wants::Widest | Wants::Common | Wants::CommonOrderable | Wants::CommonOrDynamic => {
            convert(arg, yielded)
        }
        Wants::Any
        | Wants::TextOrDynamic
        | Wants::Number
        | Wants::Summable
        | Wants::Orderable
        | Wants::NotDynamic
        | Wants::Array
        | Wants::Bag
        | Wants::IntegerOrArray
        | Wants::TypeLiteral => arg,
    }
}

/// Why an argument of a type is not taken.
#[expect(clippy::match_same_arms, reason = "one arm for each rule, in their order")]
fn refusal(wants: Wants, ty: Type, common: Option<Type>) -> Option<(&'static str, String)> {
    let refused = |good: bool, code, message: &str| (!good).then(|| (code, message.to_owned()));
    match wants {
        Wants::Any | Wants::Text | Wants::TypeLiteral => None,
        Wants::Is(wanted) => (ty != wanted && !widens(ty, wanted))
            .then(|| ("KS107", format!("A value of type {} expected.", wanted.name()))),
        Wants::TextOrDynamic => refused(
            matches!(ty, Type::String | Type::Dynamic),
            "KS141",
            "The expression must have one of the types: string or dynamic.",
        ),
        Wants::Integer => refused(is_integer(ty), "KS134", "The expression value must be an integer."),
        Wants::Number | Wants::Real | Wants::Widest => {
            refused(is_number(ty), "KS137", "The expression value must be a number.")
        }
        Wants::Summable => refused(
            is_summable(ty),
            "KS138",
            "The argument value must be summable: a number, timespan or datetime.",
        ),
        Wants::Orderable | Wants::CommonOrderable if !is_orderable(ty) => Some((
            "KS206",
            "The argument value must be orderable: a number, timespan, datetime, string or boolean."
                .to_owned(),
        )),
        Wants::Orderable => None,
        Wants::NotDynamic => refused(
            ty != Type::Dynamic,
            "KS116",
            "The value of type 'dynamic' is not allowed in this context.",
        ),
        Wants::Array => {
            refused(ty == Type::Dynamic, "KS234", "The expression value must be a dynamic array.")
        }
        Wants::Bag => refused(ty == Type::Dynamic, "KS235", "The expression must be a dynamic bag."),
        Wants::IntegerOrArray => refused(
            is_integer(ty) || ty == Type::Dynamic,
            "KS136",
            "The expression value must be an integer or a dynamic array of integers.",
        ),
        Wants::Common | Wants::CommonOrderable => common
            .filter(|common| ty != *common && !widens(ty, *common))
            .map(|common| ("KS141", format!("The expression must have the type {}.", common.name()))),
        Wants::CommonOrDynamic => None,
    }
}

/// An element of a literal array: for those who name columns by it.
pub(super) fn literal_elements(expr: &Expr) -> Option<Vec<Value>> {
    match &expr.kind {
        ExprKind::Literal(Value::Dynamic(serde_json::Value::Array(elements))) => {
            elements.iter().map(|element| fold::element(element, Type::Real)).collect()
        }
        _ => None,
    }
}
