//! Which words are taken. The official parser reserves words by place: some cannot be a name at all, some cannot be used
//! where a value stands, some cannot be given to a column. `['word']` is a name everywhere.

use std::cmp::Ordering;

/// Words that the lexer takes as one, hyphen included.
const HYPHENATED: &[&str] = &[
    "assert-schema",
    "commands-and-queries",
    "granny-asc",
    "granny-desc",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "macro-expand",
    "make-graph",
    "make-series",
    "materialized-view-combine",
    "materialized-views",
    "mv-apply",
    "mv-expand",
    "parse-kv",
    "parse-where",
    "partitioned-by",
    "project-away",
    "project-by-names",
    "project-keep",
    "project-rename",
    "project-reorder",
    "project-smart",
    "sample-distinct",
    "set-or-append",
    "set-or-replace",
    "top-hitters",
    "top-nested",
];

/// No name anywhere.
const RESERVED: &[&str] = &[
    "3Dchart",
    "__contextual_datatable",
    "__crossCluster",
    "__crossDB",
    "__executeAndCache",
    "__id",
    "__isFuzzy",
    "__noWithSource",
    "__packedColumn",
    "__projectAway",
    "__sourceColumnIndex",
    "and",
    "anomalychart",
    "areachart",
    "asc",
    "assert-schema",
    "bagexpansion",
    "barchart",
    "between",
    "bin_legacy",
    "boolean",
    "byte",
    "cachingpolicy",
    "callout",
    "cancel",
    "card",
    "char",
    "columnchart",
    "commands-and-queries",
    "contains_cs",
    "containscs",
    "cycles",
    "dataexport",
    "datascope",
    "date",
    "datetime",
    "decimal",
    "decodeblocks",
    "desc",
    "double",
    "dynamic",
    "encodingpolicy",
    "endswith",
    "endswith_cs",
    "expandoutput",
    "extent_tags_retention",
    "external_data",
    "first",
    "flags",
    "float",
    "force_remote",
    "granny-asc",
    "granny-desc",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "harddelete",
    "hardretention",
    "has_all",
    "has_any",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "hotcache",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "isfuzzy",
    "journal",
    "ladderchart",
    "last",
    "like",
    "likecs",
    "linechart",
    "long",
    "macro-expand",
    "make-graph",
    "make-series",
    "materialized-view-combine",
    "materialized-views",
    "missing",
    "mv-apply",
    "mv-expand",
    "nooptimization",
    "notcontains",
    "notcontainscs",
    "notlike",
    "notlikecs",
    "or",
    "others",
    "parse-kv",
    "parse-where",
    "partitioned-by",
    "pathformat",
    "piechart",
    "pivotchart",
    "project",
    "project-away",
    "project-by-names",
    "project-keep",
    "project-rename",
    "project-reorder",
    "project-smart",
    "queries",
    "query_results",
    "real",
    "relaxed",
    "restricted_view_access",
    "row_level_security",
    "rowstore",
    "rowstore_references",
    "rowstore_sealinfo",
    "rowstorepolicy",
    "rowstores",
    "scatterchart",
    "seal",
    "seals",
    "set-or-append",
    "set-or-replace",
    "shards",
    "simple",
    "softdelete",
    "softretention",
    "stackedareachart",
    "startswith",
    "startswith_cs",
    "statistics",
    "storedqueryresultcontainers",
    "string",
    "tablepurge",
    "time",
    "timechart",
    "timeline",
    "timepivot",
    "timespan",
    "treemap",
    "uint",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "ulong",
    "union",
    "uniqueid",
    "unrestrictedviewers",
    "views",
    "with_itemindex",
    "with_match_id",
    "with_step_name",
    "writeaheadlog",
];

/// A name where a column is given one, not where a value stands.
const NOT_A_VALUE: &[&str] = &[
    "accumulate",
    "as",
    "by",
    "contains",
    "datatable",
    "earliest",
    "externaldata",
    "find",
    "has",
    "in",
    "invoke",
    "latest",
    "materialize",
    "mdm",
    "of",
    "print",
    "sample",
    "sample-distinct",
    "search",
    "set",
    "sql",
    "title",
    "to",
    "top-hitters",
    "top-nested",
    "toscalar",
    "totable",
    "verbose",
    "viewers",
    "where",
];

/// A name where a value stands, not where a column is given one: these begin a setting.
const NOT_GIVEN: &[&str] = &["kind", "with_source", "withsource"];

/// May be read as the name of a value, a table, a member.
pub(crate) fn may_be_value(word: &str) -> bool {
    !has(RESERVED, word) && !has(NOT_A_VALUE, word)
}

/// May be given to a column or a parameter.
pub(crate) fn may_be_given(word: &str) -> bool {
    !has(RESERVED, word) && !has(NOT_GIVEN, word)
}

/// The longest word with hyphens that the text begins with.
pub(crate) fn hyphenated(text: &str) -> Option<&'static str> {
    let ends = |word: &&&str| {
        text.strip_prefix(**word)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_'))
    };
    HYPHENATED.iter().filter(ends).max_by_key(|word| word.len()).copied()
}

fn has(words: &[&str], word: &str) -> bool {
    words.binary_search_by(|probe| -> Ordering { (*probe).cmp(word) }).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        for words in [HYPHENATED, RESERVED, NOT_A_VALUE, NOT_GIVEN] {
            assert!(words.is_sorted());
        }
    }

    #[test]
    fn word_is_judged_by_its_place() {
        assert!(may_be_value("kind") && !may_be_given("kind"));
        assert!(!may_be_value("where") && may_be_given("where"));
        assert!(!may_be_value("and") && !may_be_given("and"));
        assert!(may_be_value("Where") && may_be_given("count"));
    }

    #[test]
    fn hyphenated_word_is_taken_whole() {
        assert_eq!(hyphenated("project-away a"), Some("project-away"));
        assert_eq!(hyphenated("mv-expanded"), None);
        assert_eq!(hyphenated("a-b"), None);
    }
}
