"""Collects the cases and runs them, several at a time, one line for each.

Owns: names, selection, the pool, the printed report. A case is a function of one `Case`.
"""

import threading
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from harness.errors import SdkError, Unexpected
from harness.world import Case

CASE_SECONDS = 150


@dataclass(frozen=True)
class Entry:
    """A case as it was declared."""

    name: str
    function: object
    full: bool = False
    own_server: bool = False
    needs: tuple = ()


@dataclass
class Suite:
    """All cases, in the order in which they were declared."""

    entries: list = field(default_factory=list)
    pending: dict = field(default_factory=dict)

    def add(self, name, function, **options):
        """Declares a case under a name made by the caller (a cell of a matrix)."""
        assert name not in {entry.name for entry in self.entries}, f"two cases are named {name}"
        self.entries.append(Entry(name, function, **options))

    def case(self, name, **options):
        """Declares the decorated function as a case."""

        def declare(function):
            self.add(name, function, **options)
            return function

        return declare

    def pend(self, pattern, reason):
        """Leaves out, and lists, the cases whose name contains `pattern`."""
        self.pending[pattern] = reason

    def why_pending(self, name):
        """The reason why that case is left out, or None."""
        return next((reason for pattern, reason in self.pending.items() if pattern in name), None)


class Report:
    """Counts, and prints each outcome as it comes."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self._lock = threading.Lock()

    def record(self, name, seconds, reason):
        """One case is over; `reason` is why it failed, or None."""
        with self._lock:
            if reason is None:
                self.passed += 1
                print(f"pass  {seconds:6.2f} s  {name}", flush=True)
            else:
                self.failed.append(name)
                print(f"FAIL  {seconds:6.2f} s  {name}: {reason}", flush=True)

    def close(self):
        """The last line, which CI reads; returns the exit status."""
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 0 if self.passed and not self.failed else 1


def run(entries, world, report, jobs):
    """Runs the cases, `jobs` at a time; one that never returns fails alone."""
    pool = ThreadPoolExecutor(jobs)
    started = {}
    left = {pool.submit(_run_one, entry, world, report, started): entry for entry in entries}
    while left:
        done, _ = wait(left, timeout=1, return_when=FIRST_COMPLETED)
        for future in done:
            left.pop(future)
        now = time.monotonic()
        for future, entry in list(left.items()):
            since = started.get(entry.name)
            if since is not None and now - since > CASE_SECONDS and not future.done():
                report.record(entry.name, now - since, f"not done after {CASE_SECONDS} s")
                left.pop(future)
    pool.shutdown(wait=False, cancel_futures=True)


def _run_one(entry, world, report, started):
    begin = started[entry.name] = time.monotonic()
    reason = None
    try:
        with Case(world) as case:
            entry.function(case)
    except (Unexpected, SdkError, TimeoutError, OSError) as error:
        reason = f"{type(error).__name__}: {error}" if not isinstance(error, Unexpected) else str(error)
    except Exception:  # noqa: BLE001, a broken case is a failed case
        reason = traceback.format_exc(limit=-3).replace("\n", " | ")
    seconds = time.monotonic() - begin
    if seconds <= CASE_SECONDS:
        report.record(entry.name, seconds, " ".join(reason.split()) if reason else None)
