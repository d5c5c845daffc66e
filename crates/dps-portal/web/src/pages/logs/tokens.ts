// A tokenizer that colours a query at once, before the server's analysis is there. It knows no grammar.

export interface Token {
  from: number;
  to: number;
  kind: string;
}

const OPERATORS = new Set(
  "where filter project project-away project-keep project-rename project-reorder extend summarize distinct count sort order top take limit sample join lookup union search mv-expand mv-apply make-series parse parse-where parse-kv top-nested serialize evaluate getschema as invoke render print range datatable let set by on kind asc desc nulls first last from to step in with of".split(" "),
);
const WORDS = new Set("and or not has has_cs has_any has_all contains contains_cs startswith startswith_cs endswith endswith_cs matches regex between in~ !in !has !contains hasprefix hassuffix".split(" "));
const LITERALS = new Set(["true", "false", "null"]);
const TABLES = new Set(["AzureDiagnostics", "AzureActivity", "AzureMetrics"]);

const TOKEN = /(\/\/[^\n]*)|(@?"(?:[^"\\\n]|\\.)*"?|@?'(?:[^'\\\n]|\\.)*'?)|(\b\d[\w.]*)|((?:project|mv|make|parse|top)-[a-z]+\b|[A-Za-z_$][\w$]*)|([|]|[=!<>~+\-*/%]+)|([()[\]{},;.:])/g;

export function tokenize(text: string): Token[] {
  const out: Token[] = [];
  // What is longer than any query that runs is left without colours.
  if (text.length > 65_536) return out;
  for (const match of text.matchAll(TOKEN)) {
    const from = match.index;
    const to = from + match[0].length;
    const kind =
      match[1] !== undefined ? "comment" : match[2] !== undefined ? "string" : match[3] !== undefined ? "number" : match[4] !== undefined ? word(match[4], text, to) : match[5] !== undefined ? "operator" : "punctuation";
    out.push({ from, to, kind });
  }
  return out;
}

function word(name: string, text: string, to: number): string {
  if (TABLES.has(name)) return "table";
  if (LITERALS.has(name)) return "literal";
  if (/^\s*\(/.test(text.slice(to, to + 8)) && !WORDS.has(name) && name !== "in" && name !== "by" && name !== "on") return "function";
  if (OPERATORS.has(name) || WORDS.has(name)) return "keyword";
  return "column";
}
