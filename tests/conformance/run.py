#!/usr/bin/env python3
"""Official Azure IoT SDKs, unmodified, against `muster dev`: the one door to the conformance tests.

Owns: arguments, the SDKs' installation, the sandbox, the time limit of the whole run. It must not
know any test; those are in `cases/` and run inside the sandbox, in the SDKs' own environment.
Standard library alone, so that a bare Python starts it.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from harness import install, sandbox  # noqa: E402

WHOLE_RUN_SECONDS = 900


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--muster", type=Path, help="the muster binary; the run starts and stops it")
    server.add_argument(
        "--dev-env",
        type=Path,
        help="dev.env of a server that runs already on ports 443 and 8883; no sandbox, and the "
        "cases that start a server of their own are left out",
    )
    parser.add_argument("--full", action="store_true", help="also the slow and the repetitive cases")
    parser.add_argument("-k", dest="pattern", default="", help="only cases whose name contains this")
    parser.add_argument("--pending", action="store_true", help="also what cases/__init__.py leaves out")
    parser.add_argument("--list", action="store_true", help="print the case names and stop")
    parser.add_argument("--jobs", type=int, default=12, help="cases at the same time (default 12)")
    parser.add_argument(
        "--cache",
        type=Path,
        default=install.default_cache(),
        help="where the installed SDKs are kept (default: the user's cache folder)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the data folder and the server's log")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    for path in (arguments.muster, arguments.dev_env):
        if path is not None and not path.is_file():
            sys.exit(f"no such file: {path}")
    if not arguments.list:
        install.ensure_programs()
    installed = install.ensure(HERE, arguments.cache)
    command = [str(installed.python), "-m", "harness", "--node-modules", str(installed.node_modules)]
    command += ["--jobs", str(arguments.jobs), "-k", arguments.pattern]
    for option in ("full", "list", "keep", "pending"):
        if getattr(arguments, option):
            command.append(f"--{option}")
    if arguments.dev_env:
        command += ["--dev-env", str(arguments.dev_env.resolve())]
    else:
        command += ["--muster", str(arguments.muster.resolve())]
        command = sandbox.wrap(command)
    return run_bounded(command)


def run_bounded(command):
    """Runs the cases in a process group of their own and ends that group, whatever happens."""
    environment = dict(os.environ, PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    inner = subprocess.Popen(command, env=environment, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return inner.wait(timeout=WHOLE_RUN_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"FAIL the whole run: not done after {WHOLE_RUN_SECONDS} s", flush=True)
        return 1
    finally:
        end_group(inner.pid)


def end_group(leader):
    """Ends what is left of the process group that this run itself started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
