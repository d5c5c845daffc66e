//! From tokens to a condition, by recursive descent with a bounded depth. Owns the grammar and the sentences for who
//! left it.

use dps_model::Timestamp;
use dps_model::limits::{MAX_QUERY_DEPTH, MAX_QUERY_LIST, MAX_QUERY_PATH, MAX_QUERY_TERMS};

use super::error::QueryError;
use super::lexer::{Lexeme, Token, tokens};
use super::members::{Kind, Rows, nearest};
use super::syntax::{Condition, Literal, Operand, Operator, Path, Step, TextFunction};

type Parsed<T> = Result<T, QueryError>;

/// The condition of a query; none when it asks for everything.
pub(super) fn parse(text: &str, rows: Rows) -> Parsed<Option<Condition>> {
    let tokens = tokens(text)?;
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: &tokens, end, rows, names: Vec::new(), depth: 0, terms: 0 };
    parser.query()
}

/// Clauses of SQL that are not served, and what to write instead.
const UNSERVED_CLAUSES: [(&str, &str); 9] = [
    ("ORDER", "Leave ORDER BY out: rows come in the order of their ids"),
    ("GROUP", "Leave GROUP BY out and count on the client"),
    ("HAVING", "Leave HAVING out and count on the client"),
    ("LIMIT", "Leave LIMIT out and send the header x-ms-max-item-count"),
    ("OFFSET", "Leave OFFSET out and follow x-ms-continuation"),
    ("JOIN", "Leave JOIN out and use ARRAY_CONTAINS"),
    ("UNION", "Ask two queries"),
    ("SELECT", "Ask one query at a time"),
    ("IN", "Leave IN out of FROM"),
];

/// Operators and functions of other dialects, and what to write instead.
const UNSERVED_CONDITIONS: [(&str, &str); 12] = [
    ("LIKE", "Write STARTSWITH, ENDSWITH or CONTAINS(path, 'text')"),
    ("BETWEEN", "Write path >= low AND path <= high"),
    ("IS", "Write path = null or path <> null"),
    ("IS_NULL", "Write path = null"),
    ("EXISTS", "Write IS_DEFINED(path)"),
    ("LOWER", "Write STARTSWITH, ENDSWITH or CONTAINS(path, 'text', true), which ignores case"),
    ("UPPER", "Write STARTSWITH, ENDSWITH or CONTAINS(path, 'text', true), which ignores case"),
    ("COUNT", "Count on the client"),
    ("LENGTH", "Compare the text itself"),
    ("ARRAY_LENGTH", "Write IS_DEFINED(path[0])"),
    ("REGEXMATCH", "Write STARTSWITH, ENDSWITH or CONTAINS(path, 'text')"),
    ("XOR", "Write (a AND NOT b) OR (NOT a AND b)"),
];

const FUNCTIONS: [&str; 5] = ["IS_DEFINED", "STARTSWITH", "ENDSWITH", "CONTAINS", "ARRAY_CONTAINS"];

struct Parser<'a> {
    tokens: &'a [Token],
    /// The character behind the last one.
    end: usize,
    rows: Rows,
    /// What FROM calls the rows: a path may begin with it.
    names: Vec<String>,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn wrong<T>(&self, what: impl Into<String>, instead: impl Into<String>) -> Parsed<T> {
        let (at, text) = self.peek().map_or((self.end, ""), |token| (token.at, token.text.as_str()));
        Err(QueryError::new(at, text, what, instead))
    }

    fn at_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = self.at_word(word);
        if taken {
            self.next();
        }
        taken
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let taken = self.peek().is_some_and(|token| token.what == Lexeme::Mark(mark));
        if taken {
            self.next();
        }
        taken
    }

    fn expect_mark(&mut self, mark: char, to: &str) -> Parsed<()> {
        if self.take_mark(mark) {
            return Ok(());
        }
        self.wrong(format!("{mark} is expected"), format!("Write {mark} {to}"))
    }

    fn query(&mut self) -> Parsed<Option<Condition>> {
        if self.take_word("SELECT") {
            self.selection()?;
        } else if self.peek().is_some() && !self.take_mark('*') && !self.ends() {
            return self.wrong("a query begins with SELECT *", "Write SELECT * WHERE condition");
        }
        if self.take_word("FROM") {
            self.from()?;
        }
        let condition = if self.take_word("WHERE") { Some(self.any()?) } else { None };
        while self.take_mark(';') {}
        match self.peek() {
            None => Ok(condition),
            Some(token) => self.trailing(token, condition.is_some()),
        }
    }

    fn ends(&self) -> bool {
        self.peek().is_none_or(|token| token.what == Lexeme::Mark(';'))
    }

    fn selection(&mut self) -> Parsed<()> {
        if self.take_mark('*') {
            return Ok(());
        }
        let unserved = [
            ("TOP", "Write SELECT * and send the header x-ms-max-item-count"),
            ("COUNT", "Write SELECT * and count on the client"),
            ("DISTINCT", "Write SELECT *: each row comes once"),
            ("VALUE", "Write SELECT *: rows are given whole"),
        ];
        match unserved.iter().find(|(word, _)| self.at_word(word)) {
            Some((word, instead)) => self.wrong(format!("{word} is not served"), *instead),
            None => self.wrong("rows are given whole", "Write SELECT *"),
        }
    }

    /// `FROM name [[AS] alias]`: whatever the name, the rows are those of the path that was called.
    fn from(&mut self) -> Parsed<()> {
        let clause = |token: &Token| {
            token.is_word("WHERE") || UNSERVED_CLAUSES.iter().any(|(word, _)| token.is_word(word))
        };
        let named = self.peek().is_some_and(|token| !clause(token));
        let name = if named { self.word() } else { None };
        let Some(name) = name else {
            return self.wrong("FROM has no name", "Write FROM enrollments, or leave FROM out");
        };
        self.names.push(name);
        let said_as = self.take_word("AS");
        if said_as || self.peek().is_some_and(|token| token.what == Lexeme::Word && !clause(token)) {
            match self.word() {
                Some(alias) => self.names.push(alias),
                None => return self.wrong("AS has no name", "Write FROM enrollments AS e, or leave AS out"),
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Option<String> {
        let word = self.peek().filter(|token| token.what == Lexeme::Word)?.text.clone();
        self.next();
        Some(word)
    }

    /// Something stands behind the end.
    fn trailing<T>(&self, token: &Token, conditional: bool) -> Parsed<T> {
        if let Some((word, instead)) = UNSERVED_CLAUSES.iter().find(|(word, _)| token.is_word(word)) {
            return self.wrong(format!("{word} is not served"), *instead);
        }
        if let Some((word, instead)) = UNSERVED_CONDITIONS.iter().find(|(word, _)| token.is_word(word)) {
            return self.wrong(format!("{word} is not served"), *instead);
        }
        if conditional {
            return self.wrong("the condition has ended here", "Join conditions with AND or OR");
        }
        let instead = match nearest(&token.text, ["FROM", "WHERE"].into_iter()) {
            Some(near) => format!("Write {near}"),
            None => "Write SELECT * [FROM name] [WHERE condition]".to_owned(),
        };
        self.wrong("the query has ended here", instead)
    }

    /// Conditions joined by OR.
    fn any(&mut self) -> Parsed<Condition> {
        self.joined("OR", Self::all, Condition::Or)
    }

    /// Conditions joined by AND.
    fn all(&mut self) -> Parsed<Condition> {
        self.joined("AND", Self::one, Condition::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Parsed<Condition>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Parsed<Condition> {
        let first = part(self)?;
        if !self.at_word(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    /// One condition: negated, in parentheses, a function or a comparison.
    fn one(&mut self) -> Parsed<Condition> {
        if self.ends() {
            let instead = "Write one, for example provisioningStatus = 'disabled'";
            return self.wrong("a condition is expected", instead);
        }
        if self.take_word("NOT") {
            return self.deeper(|parser| Ok(Condition::Not(Box::new(parser.one()?))));
        }
        if self.take_mark('(') {
            return self.deeper(|parser| {
                let inner = parser.any()?;
                parser.expect_mark(')', "to end what ( began")?;
                Ok(inner)
            });
        }
        self.terms += 1;
        if self.terms > MAX_QUERY_TERMS {
            return self.wrong(
                format!("more than {MAX_QUERY_TERMS} comparisons"),
                "Use IN for many values, or ask several queries",
            );
        }
        match self.function()? {
            Some(condition) => Ok(condition),
            None => self.comparison(),
        }
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<Condition>) -> Parsed<Condition> {
        self.depth += 1;
        if self.depth > MAX_QUERY_DEPTH {
            return self.wrong(
                format!("parentheses and NOT are nested deeper than {MAX_QUERY_DEPTH}"),
                "Write a flatter condition",
            );
        }
        let condition = inner(self)?;
        self.depth -= 1;
        Ok(condition)
    }

    /// `NAME(arguments)`, if that stands here.
    fn function(&mut self) -> Parsed<Option<Condition>> {
        let called = match self.tokens {
            [name, open, ..] if name.what == Lexeme::Word && open.what == Lexeme::Mark('(') => name,
            _ => return Ok(None),
        };
        let known = FUNCTIONS.iter().find(|name| called.is_word(name)).copied();
        let Some(name) = known else { return self.unknown_function(called) };
        self.next();
        self.expect_mark('(', "before the arguments")?;
        let condition = match name {
            "IS_DEFINED" => Condition::IsDefined(self.path()?),
            "ARRAY_CONTAINS" => {
                let path = self.path()?;
                self.expect_mark(',', "and the value to look for")?;
                Condition::ArrayContains(path, self.literal()?)
            }
            "STARTSWITH" => self.text_function(TextFunction::StartsWith)?,
            "ENDSWITH" => self.text_function(TextFunction::EndsWith)?,
            _ => self.text_function(TextFunction::Contains)?,
        };
        self.expect_mark(')', "to end the arguments")?;
        Ok(Some(condition))
    }

    fn unknown_function(&self, called: &Token) -> Parsed<Option<Condition>> {
        if let Some((word, instead)) = UNSERVED_CONDITIONS.iter().find(|(word, _)| called.is_word(word)) {
            return self.wrong(format!("{word} is not served"), *instead);
        }
        let instead = match nearest(&called.text, FUNCTIONS.into_iter()) {
            Some(near) => format!("Write {near}"),
            None => format!("Write one of {}", FUNCTIONS.join(", ")),
        };
        self.wrong("no function has this name", instead)
    }

    fn text_function(&mut self, function: TextFunction) -> Parsed<Condition> {
        let operand = self.operand()?;
        self.expect_mark(',', "and the text to look for")?;
        let Some(Token { what: Lexeme::Text(part), .. }) = self.peek() else {
            return self.wrong("a text is expected", "Write it between quotes");
        };
        self.next();
        let mut ignore_case = false;
        if self.take_mark(',') {
            ignore_case = self.at_word("TRUE");
            if !ignore_case && !self.at_word("FALSE") {
                return self.wrong("the third argument is no truth value", "Write true to ignore case");
            }
            self.next();
        }
        Ok(Condition::Text { function, operand, part: part.clone(), ignore_case })
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        let (at, left) = (self.peek(), self.operand()?);
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            return self.list(left, negated);
        }
        if negated {
            return self.wrong("IN is expected behind NOT", "Write NOT before the whole condition");
        }
        let Some(Token { what: Lexeme::Operator(operator), .. }) = self.peek() else {
            return match left {
                Operand::Path(_) if self.unserved_condition().is_some() => {
                    let (word, instead) = self.unserved_condition().unwrap_or_default();
                    self.wrong(format!("{word} is not served"), instead)
                }
                Operand::Path(path) => Ok(Condition::IsTrue(path)),
                Operand::Literal(Literal::Flag(value)) => Ok(Condition::Constant(value)),
                Operand::Literal(_) => {
                    let (place, text) = at.map_or((self.end, ""), |token| (token.at, token.text.as_str()));
                    let instead = "Compare it: write path = value";
                    Err(QueryError::new(place, text, "a value alone is no condition", instead))
                }
            };
        };
        self.next();
        let right_at = self.peek();
        let right = self.operand()?;
        self.compared((left, at), *operator, (right, right_at))
    }

    fn unserved_condition(&self) -> Option<(&'static str, &'static str)> {
        UNSERVED_CONDITIONS.iter().find(|(word, _)| self.at_word(word)).copied()
    }

    /// A comparison; a text beside a time is a time.
    fn compared(
        &self,
        (left, left_at): (Operand, Option<&Token>),
        operator: Operator,
        (right, right_at): (Operand, Option<&Token>),
    ) -> Parsed<Condition> {
        let (left, right) = match (left, right) {
            (left, Operand::Literal(literal)) if left.is_time() => {
                let literal = self.timed(literal, right_at)?;
                (left, Operand::Literal(literal))
            }
            (Operand::Literal(literal), right) if right.is_time() => {
                (Operand::Literal(self.timed(literal, left_at)?), right)
            }
            other => other,
        };
        Ok(Condition::Compare(left, operator, right))
    }

    /// `IN (value, …)`
    fn list(&mut self, operand: Operand, negated: bool) -> Parsed<Condition> {
        self.expect_mark('(', "before the list")?;
        let mut list = Vec::new();
        loop {
            if list.len() == MAX_QUERY_LIST {
                let what = format!("the list has more than {MAX_QUERY_LIST} values");
                return self.wrong(what, "Join two lists with OR");
            }
            let at = self.peek();
            let literal = self.literal()?;
            list.push(if operand.is_time() { self.timed(literal, at)? } else { literal });
            if !self.take_mark(',') {
                break;
            }
        }
        self.expect_mark(')', "to end the list")?;
        Ok(Condition::In { operand, negated, list })
    }

    /// A literal that is compared with a time.
    fn timed(&self, literal: Literal, token: Option<&Token>) -> Parsed<Literal> {
        let refused = || {
            let (at, text) = token.map_or((self.end, ""), |token| (token.at, token.text.as_str()));
            let instead = "Write a UTC time such as '2026-11-28T17:30:00Z', or a date such as '2026-11-28'";
            Err(QueryError::new(at, text, "a time is expected here", instead))
        };
        match literal {
            Literal::Text(text) => match Timestamp::parse(&text) {
                Some(at) => Ok(Literal::Time { text, at }),
                None => refused(),
            },
            Literal::Null | Literal::Time { .. } => Ok(literal),
            Literal::Flag(_) | Literal::Number(_) => refused(),
        }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.peek().map(|token| &token.what) {
            Some(Lexeme::Word) if !self.at_literal_word() => Ok(Operand::Path(self.path()?)),
            _ => Ok(Operand::Literal(self.literal()?)),
        }
    }

    fn at_literal_word(&self) -> bool {
        ["NULL", "TRUE", "FALSE"].iter().any(|word| self.at_word(word))
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let literal = match self.peek() {
            Some(token) if token.is_word("NULL") => Literal::Null,
            Some(token) if token.is_word("TRUE") => Literal::Flag(true),
            Some(token) if token.is_word("FALSE") => Literal::Flag(false),
            Some(Token { what: Lexeme::Number(number), .. }) => Literal::Number(number.clone()),
            Some(Token { what: Lexeme::Text(text), .. }) => Literal::Text(text.clone()),
            _ => {
                let instead = "Write a text between quotes, a number, true, false or null";
                return self.wrong("a value is expected", instead);
            }
        };
        self.next();
        Ok(literal)
    }

    /// `name.name['name'][0]`, perhaps behind the name of the rows.
    fn path(&mut self) -> Parsed<Path> {
        let (Some(token), Some(mut first)) = (self.peek(), self.word()) else {
            return self.wrong("a member is expected", "Write its name, for example registrationId");
        };
        let mut at = token.at;
        let is_rows = self.names.iter().any(|name| name.eq_ignore_ascii_case(&first));
        if is_rows
            && !self.rows.knows(&first)
            && let Some((Step::Name(name), place)) = self.step()?
        {
            (first, at) = (name, place);
        }
        let mut member = self.rows.member(&first, at)?;
        let mut path = Path { steps: vec![Step::Name(first)], kind: Kind::Plain };
        loop {
            let Some((step, step_at)) = self.step()? else {
                path.kind = member.kind();
                return Ok(path);
            };
            let of = path.to_string();
            if path.steps.len() == MAX_QUERY_PATH {
                return self.wrong(format!("the path has more than {MAX_QUERY_PATH} parts"), "Shorten it");
            }
            member = match &step {
                Step::Name(name) => member.named(&of, name, step_at)?,
                Step::Index(index) => member.indexed(&of, &index.to_string(), step_at)?,
            };
            path.steps.push(step);
        }
    }

    /// The next part of a path, if there is one, and where it stands.
    fn step(&mut self) -> Parsed<Option<(Step, usize)>> {
        let bracketed = self.take_mark('[');
        if !bracketed && !self.take_mark('.') {
            return Ok(None);
        }
        let at = self.peek().map_or(self.end, |token| token.at);
        if bracketed {
            return Ok(Some((self.bracketed()?, at)));
        }
        let Some(name) = self.word() else {
            let instead = "Write a name, or ['name'] for one of other characters";
            return self.wrong("a member is expected behind .", instead);
        };
        Ok(Some((Step::Name(name), at)))
    }

    /// What stands between brackets.
    fn bracketed(&mut self) -> Parsed<Step> {
        let step = match self.peek().map(|token| &token.what) {
            Some(Lexeme::Text(name)) => Step::Name(name.clone()),
            Some(Lexeme::Number(number)) => {
                match number.as_u64().and_then(|place| usize::try_from(place).ok()) {
                    Some(place) => Step::Index(place),
                    None => return self.wrong("no list has this place", "Write 0 for the first"),
                }
            }
            _ => return self.wrong("a name or a place is expected", "Write ['name'] or [0]"),
        };
        self.next();
        self.expect_mark(']', "to end what [ began")?;
        Ok(step)
    }
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        self.what == Lexeme::Word && self.text.eq_ignore_ascii_case(word)
    }
}

impl Operand {
    fn is_time(&self) -> bool {
        matches!(self, Self::Path(Path { kind: Kind::Time, .. }))
    }
}
