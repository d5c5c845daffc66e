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
const QUERIES = join(HERE, "../../crates/dps-kql/tests/queries");
const GOLDEN = join(QUERIES, "oracle.json");
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
  const tables = Object.entries(JSON.parse(readFileSync(join(QUERIES, "schema.json"), "utf8")));
  const symbols = tables.map(([name, columns]) => {
    const schema = `(${columns.map(([column, type]) => `${column}:${type}`).join(",")})`;
    return language.Symbols.TableSymbol.From(schema).WithName(name);
  });
  const ctor = language.Symbols.DatabaseSymbol.ctor;
  return language.GlobalState.Default.WithDatabase(new ctor("db", symbols));
}

/** Queries of a file: what stands between blank lines. */
function queries(file) {
  return readFileSync(join(QUERIES, file), "utf8")
    .split(/\n{2,}/)
    .map((query) => query.trim())
    .filter((query) => query !== "");
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

const language = kusto();
const globals = database(language);
const answers = {};
for (const file of readdirSync(QUERIES).filter((name) => name.endsWith(".kql")).sort()) {
  answers[file] = queries(file).map((query) => judge(language, globals, query));
}
const text = golden(answers);
if (process.argv.includes("--write")) {
  writeFileSync(GOLDEN, text);
} else if (readFileSync(GOLDEN, "utf8") !== text) {
  console.error("oracle.json is not what the official parser says now; look at it with --write");
  process.exitCode = 1;
}
const count = Object.values(answers).flat().length;
console.log(`${count} queries judged`);
