"""Installs the pinned SDKs once and reuses them: a venv and a node_modules in the user's cache folder.

Owns: where they live and when they are made anew (the pins changed); and `swtpm`, which no such
folder can hold. Standard library alone: this
runs before the venv exists.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 600
PINS = ("requirements.txt", "package.json", "package-lock.json")


@dataclass(frozen=True)
class Installed:
    """The interpreter and the folder of Node packages that hold exactly the pinned versions."""

    python: Path
    node_modules: Path


def default_cache():
    """`$XDG_CACHE_HOME/muster-conformance`, or the same under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "muster-conformance"


def ensure(source, cache):
    """Returns the installed SDKs, installing them first when this set of pins is not there yet."""
    home = cache.absolute() / fingerprint(source)
    installed = Installed(home / "venv" / "bin" / "python", home / "node" / "node_modules")
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            print(f"installing the SDKs into {home}", flush=True)
            install_python(source, home / "venv")
            install_node(source, home / "node")
            (home / "complete").touch()
    return installed


def ensure_swtpm():
    """Installs swtpm where root can with apt-get. Elsewhere, or when that fails, its cases are left out."""
    if shutil.which("swtpm") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing swtpm", flush=True)
    apt = ["apt-get", "-q", "-y", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    for arguments in (["update"], ["install", "--no-install-recommends", "swtpm"]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [*apt, *arguments],
                env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=INSTALL_SECONDS,
                check=True,
            )


def fingerprint(source):
    """A name for this set of pins on this interpreter, so that a changed pin installs anew."""
    digest = hashlib.sha256(sys.version.encode())
    for name in PINS:
        digest.update((source / name).read_bytes())
    return digest.hexdigest()[:16]


def install_python(source, home):
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"cannot make a venv (Debian: apt-get install python3-venv): {error}")
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*pip, "--disable-pip-version-check", "-r", str(source / "requirements.txt")], home)


def install_node(source, home):
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, home / name)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], home)


def run(command, folder):
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"cannot install the SDKs: {error}")
