"""KQL over a log store of three months, beside DuckDB on the same Parquet files in the same run.

Owns what is asked and how it is told; must not judge: no figure here decides whether anything passes. A query whose
two answers differ is an error, since then the times compare nothing.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import duckdb

HERE = Path(__file__).resolve().parent
START_MICROS = 1_788_220_800 * 1_000_000
DAYS = 90


class Muster:
    """The engine in a process of its own, which is kept, as a server is."""

    def __init__(self, program, folder):
        self.process = subprocess.Popen(
            [program, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, query):
        self.process.stdin.write(json.dumps(query) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        if "error" in told:
            raise SystemExit(f"the engine refused: {told['error']}\n{query}")
        return told["seconds"], told["rows"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Duck:
    """DuckDB with the footers of files kept between queries, and as many threads."""

    def __init__(self, folder, threads):
        files = f"{folder}/tables/AzureDiagnostics/**/*.parquet"
        self.connection = duckdb.connect()
        now = START_MICROS + DAYS * 86_400 * 1_000_000
        for statement in (
            f"SET threads = {threads}",
            "SET TimeZone = 'UTC'",
            "SET parquet_metadata_cache = true",
            f"CREATE VIEW logs AS SELECT *, make_timestamptz({now}) AS now FROM read_parquet('{files}')",
        ):
            self.connection.execute(statement)

    def ask(self, query):
        begun = time.perf_counter()
        rows = self.connection.execute(query).fetchall()
        return time.perf_counter() - begun, [list(row) for row in rows]


def canonical(rows):
    def cell(value):
        return f"{value:.9g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)

    return sorted([cell(value) for value in row] for row in rows)


def filled(program, folder, rows):
    told = subprocess.run(
        [program, "fill", folder, str(rows)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    facts = json.loads(told)
    print(
        f"{facts['rows']:,} rows appended and rolled in {facts['seconds']:.1f} s: "
        f"{facts['rows'] / facts['seconds']:,.0f} rows/s, each batch of 1,000 durable before the next; "
        f"{facts['files']:,} files, {facts['bytes'] / facts['rows']:.1f} bytes a row\n",
        flush=True,
    )


def measured(query, sides, rounds):
    """Median seconds of each side; the first round is not counted."""
    answers = {name: canonical(ask(query[text])[1]) for name, (ask, text) in sides.items()}
    muster, duck = answers.values()
    same = len(muster) == len(duck) if query.get("compare") == "rows" else muster == duck
    if not same:
        raise SystemExit(f"{query['name']}: the answers differ\n{muster[:5]}\n{duck[:5]}")
    times = {name: [] for name in sides}
    for round_number in range(rounds):
        order = list(sides.items())
        for name, (ask, text) in order if round_number % 2 == 0 else reversed(order):
            times[name].append(ask(query[text])[0])
    return {name: (statistics.median(found), min(found), max(found)) for name, found in times.items()}


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench kql")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", help="a folder for the store, kept for another run; a temporary one if none is given")
    parser.add_argument("-k", dest="part", default="", help="only queries with this in their names")
    arguments = parser.parse_args()
    queries = tomllib.loads((HERE / "queries.toml").read_text())["query"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.data or temporary) / "store"
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            filled(arguments.program, str(folder), arguments.rows)
        muster, duck = Muster(arguments.program, str(folder)), Duck(folder, arguments.threads)
        # A tracking id from the middle of the period.
        _, rows = duck.ask("SELECT CorrelationId FROM logs WHERE TimeGenerated > now - INTERVAL 45 DAY LIMIT 1")
        ratios = []
        print("| query | KQL, ms | DuckDB, ms | ratio |\n| --- | --- | --- | --- |", flush=True)
        for query in queries:
            if arguments.part not in query["name"]:
                continue
            for text in ("kql", "sql"):
                query[text] = query[text].replace("{correlation}", rows[0][0])
            sides = {"muster": (muster.ask, "kql"), "duck": (duck.ask, "sql")}
            ours, theirs = measured(query, sides, arguments.rounds).values()
            ratios.append(ours[0] / theirs[0])
            cells = [f"{1000 * one[0]:.0f} ({1000 * one[1]:.0f}–{1000 * one[2]:.0f})" for one in (ours, theirs)]
            print(f"| {query['name']} | {cells[0]} | {cells[1]} | {ratios[-1]:.2f} |", flush=True)
        if not ratios:
            raise SystemExit(f"no query has {arguments.part!r} in its name")
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"\ngeometric mean of the ratios: {mean:.2f} (below 1: KQL is faster)")
        muster.close()


if __name__ == "__main__":
    sys.exit(main())
