//! What a query may be at most. A text beyond a limit is refused before anything of it is computed.

/// Bytes of a query. Lists of some ten thousand device ids fit.
pub const MAX_QUERY_TEXT: usize = 512 * 1024;
/// Tokens of a query; bounds the memory of tokens and tree to some tens of megabytes.
pub const MAX_TOKENS: usize = 100_000;
/// Height of a syntax tree. What walks a tree may recurse: a level costs it a few hundred bytes of stack.
pub const MAX_DEPTH: usize = 100;
/// Statements of a query or of a function's body.
pub const MAX_STATEMENTS: usize = 256;
/// Operators of one pipe.
pub const MAX_OPERATORS: usize = 256;
/// Members of one list: arguments, columns, keys, operands of a chain. The values of a `datatable` and the list of an `in`
/// are bounded by the tokens alone.
pub const MAX_LIST: usize = 1024;
/// Errors that are told of one query.
pub const MAX_ERRORS: usize = 10;
/// Bytes of a text that is looked at while it is written, at every pause of its author.
pub const MAX_ASSISTED_TEXT: usize = 64 * 1024;
/// What is offered at one place.
pub const MAX_COMPLETIONS: usize = 500;
