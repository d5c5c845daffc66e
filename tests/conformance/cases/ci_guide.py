"""`docs/guides/ci.md`: its examples as they stand, by the commands of its workflow, with the SDKs unmodified.

Each starts a server of its own, on a loopback address of its own, because the SDKs dial fixed ports.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from cases import SUITE
from harness.errors import Unexpected, expect_that
from harness.sandbox import CI

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples" / "ci"
RUN_SECONDS = 150


def command_of_workflow(program):
    """The command of the workflow that runs the tests with that program."""
    lines = (EXAMPLES / "github-actions.yml").read_text(encoding="utf-8").splitlines()
    commands = [line.split("run: ", 1)[1] for line in lines if f"run: {program} " in line]
    expect_that(len(commands) == 1, f"one command of {program} in the workflow: {commands}")
    return shlex.split(commands[0])[1:]


def run(case, place, program, arguments, **more):
    """Runs it at the root of the repository; what it says is the error when it fails."""
    host, address = CI[place]
    server = f"--bind {address} --host {host} --http-port 0"
    environment = dict(os.environ, MUSTER=str(case.muster), MUSTER_ARGUMENTS=server, **more)
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise Unexpected(f"{program} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


@SUITE.case("ci-guide/python", own_server=True)
def python(case):
    said = run(case, "python", sys.executable, [*command_of_workflow("python"), "-p", "no:cacheprovider"])
    expect_that("5 passed" in said, f"five tests passed:\n{said}")


@SUITE.case("ci-guide/node", own_server=True)
def node(case):
    said = run(case, "node", "node", command_of_workflow("node"), NODE_PATH=str(case.node.modules))
    expect_that("pass 3" in said, f"three tests passed:\n{said}")
