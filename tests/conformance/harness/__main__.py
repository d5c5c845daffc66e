"""The inside of a run: sandbox, server, SDK drivers, cases, report."""

import argparse
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from cases import SUITE
from harness import machine, runner, sandbox
from harness.node_sdk import Node
from harness.server import Muster, ServerError, read_dev_env
from harness.world import World


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--muster", type=Path)
    parser.add_argument("--dev-env", type=Path)
    parser.add_argument("--node-modules", type=Path)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--pending", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("-k", dest="pattern", default="")
    return parser.parse_args()


def select(arguments):
    """The cases to run now, and the names of those left out with the reason."""
    chosen, left_out = [], {}
    for entry in SUITE.entries:
        if arguments.pattern not in entry.name:
            continue
        reason = None if arguments.pending else SUITE.why_pending(entry.name)
        reason = reason or (None if arguments.list else machine.why_not(entry.needs))
        if reason:
            left_out[entry.name] = reason
        elif (entry.full and not arguments.full) or (entry.own_server and arguments.dev_env):
            continue
        else:
            chosen.append(entry)
    return chosen, left_out


def main():
    arguments = parse_arguments()
    # The SDKs log every refusal, and threads that outlive a refused client complain at the end.
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None
    chosen, left_out = select(arguments)
    for name, reason in left_out.items():
        print(f"left out       {name}: {reason}")
    if arguments.list:
        print(*(entry.name for entry in chosen), sep="\n")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="muster-conformance-"))
    report = runner.Report()
    try:
        if arguments.dev_env:
            with_running_server(arguments, chosen, folder, report)
        else:
            with_own_server(arguments, chosen, folder, report)
    except ServerError as error:
        report.record("server", 0, str(error))
    finally:
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.close()


def with_running_server(arguments, chosen, folder, report):
    env = read_dev_env(arguments.dev_env)
    run_cases(arguments, env, arguments.dev_env.parent, chosen, folder, report)


def with_own_server(arguments, chosen, folder, report):
    """One server for all cases, on the SDKs' ports, stopped as a service manager would."""
    sandbox.enter()
    hubs = [word for hub in sandbox.HUBS for word in ("--hub", hub)]
    server = Muster(arguments.muster, folder / "data", "--host", "localhost", "--host", "127.0.0.1", *hubs)
    server.start()
    try:
        run_cases(arguments, server.env, server.data_dir, chosen, folder, report)
        status = server.process.poll()
        if status is not None:
            raise ServerError(f"the server ended by itself with {status}: {server.tail()}")
        status = server.stop()
        left = " and left dev.env behind" if server.dev_env.exists() else ""
        clean = status == 0 and not left
        report.record("server/sigterm-ends-cleanly", 0, None if clean else f"exit status {status}{left}")
    finally:
        server.kill()


def run_cases(arguments, env, data_dir, chosen, folder, report):
    node = Node(arguments.node_modules, env["MUSTER_CA_FILE"], folder / "node.log")
    with contextlib.closing(node):
        world = World(env, node, folder, data_dir, arguments.muster)
        runner.run(chosen, world, report, arguments.jobs)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Threads of refused SDK clients must not hold the process.
    os._exit(status)
