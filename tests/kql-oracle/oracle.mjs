// Asks the official parser of KQL what it makes of our queries, and keeps its answers beside them.
//
// Owns: where the parser is installed, the tables that queries are judged against, the shape of the answers. It knows
// nothing of our own parser; the tests of crates/dps-kql compare the two.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";

const HERE = dirname(fileURLToPath(import.meta.url));
/** Queries of the language, judged against the tables of `schema.json` there. */
const LANGUAGE = join(HERE, "../../crates/dps-kql/tests/queries");
/** Queries with rows, of the engine. */
const ENGINE = join(HERE, "../../crates/dps-query/tests/queries");
const PINS = ["package.json", "package-lock.json"];

/** Installs the pinned parser once into the user's cache and returns its folder. */
function installed() {
  const digest = createHash("sha256");
  for (const name of PINS) digest.update(readFileSync(join(HERE, name)));
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const home = join(base, "muster-kql-oracle", digest.digest("hex").slice(0, 16));
  if (!existsSync(join(home, "complete"))) {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    for (const name of PINS) cpSync(join(HERE, name), join(home, name));
    const options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    execFileSync("npm", options, { cwd: home, stdio: "inherit", timeout: 600_000 });
    writeFileSync(join(home, "complete"), "");
  }
  return join(home, "node_modules/@kusto/language-service-next");
}

/** The parser: two scripts of an older kind that fill one global object. */
function kusto() {
  const home = installed();
  const context = createContext({ console, setTimeout, clearTimeout });
  context.global = context;
  for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
    runInContext(readFileSync(join(home, file), "utf8"), context, { filename: file });
  }
  return context.Kusto.Language;
}

/** The tables of `schema.json` as one database. */
function database(language) {
  const tables = Object.entries(JSON.parse(readFileSync(join(LANGUAGE, "schema.json"), "utf8")));
  const symbols = tables.map(([name, columns]) => {
    const schema = `(${columns.map(([column, type]) => `${column}:${type}`).join(",")})`;
    return language.Symbols.TableSymbol.From(schema).WithName(name);
  });
  const ctor = language.Symbols.DatabaseSymbol.ctor;
  return language.GlobalState.Default.WithDatabase(new ctor("db", symbols));
}

/** Queries of a `.kql` file: what stands between blank lines. */
function listed(text) {
  return text
    .split(/\n{2,}/)
    .map((query) => query.trim())
    .filter((query) => query !== "");
}

/** Queries of a `.test` file: what stands between a line `query NAME` and a line `----`. */
function cases(text) {
  return [...text.matchAll(/^query .*\n([^]*?)\n----$/gm)].map(([, query]) => query);
}

function members(list) {
  return Array.from({ length: list.Count }, (_, index) => list.getItem(index));
}

function codes(diagnostics) {
  return members(diagnostics)
    .filter((diagnostic) => diagnostic.Severity === "Error")
    .map((diagnostic) => diagnostic.Code);
}

function judge(language, globals, query) {
  const code = language.KustoCode.ParseAndAnalyze(query, globals);
  const verdict = { query, syntax: codes(code.GetSyntaxDiagnostics()), codes: codes(code.GetDiagnostics()) };
  const result = code.ResultType;
  if (verdict.codes.length === 0 && result instanceof language.Symbols.TableSymbol) {
    verdict.columns = members(result.Columns).map((column) => [column.Name, column.Type.Name]);
  }
  return verdict;
}

/** One line for each query, so that a change of one is a change of one line. */
function golden(answers) {
  const files = Object.entries(answers).map(([file, verdicts]) => {
    const lines = verdicts.map((verdict) => `    ${JSON.stringify(verdict)}`);
    return `  ${JSON.stringify(file)}: [\n${lines.join(",\n")}\n  ]`;
  });
  return `{\n${files.join(",\n")}\n}\n`;
}

/** Judges the queries of a folder's files; returns how many, and whether its golden says the same. */
function judged(language, globals, folder, ending, queries) {
  const answers = {};
  for (const file of readdirSync(folder).filter((name) => name.endsWith(ending)).sort()) {
    const text = readFileSync(join(folder, file), "utf8");
    answers[file] = queries(text).map((query) => judge(language, globals, query));
  }
  const file = join(folder, "oracle.json");
  const text = golden(answers);
  const same = existsSync(file) && readFileSync(file, "utf8") === text;
  if (!same && process.argv.includes("--write")) {
    writeFileSync(file, text);
  } else if (!same) {
    console.error(`${file} is not what the official parser says now; look at it with --write`);
    process.exitCode = 1;
  }
  return Object.values(answers).flat().length;
}

const language = kusto();
const globals = database(language);
const count =
  judged(language, globals, LANGUAGE, ".kql", listed) + judged(language, globals, ENGINE, ".test", cases);
console.log(`${count} queries judged`);
