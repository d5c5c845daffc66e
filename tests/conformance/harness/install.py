"""Installs the pinned SDKs once and reuses them: a venv and a node_modules in the user's cache folder.

Owns: where they live and when they are made anew (the pins changed); and the programs that no such
folder can hold. What cannot be had leaves cases out, which `machine` says. Standard library alone: this
runs before the venv exists.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 600
PINS = ("requirements.txt", "requirements-older.txt", "requirements-built.txt", "package.json", "package-lock.json")

# Programs with their Debian packages; without them cases are left out.
PROGRAMS = (
    ("swtpm", "swtpm"),
    ("tpm2_activatecredential", "tpm2-tools"),
    ("promtool", "prometheus"),
)
# What builds an extension of Python: a compiler, and the headers, which Debian has in a package of their own.
COMPILERS = ("cc", "gcc", "clang")


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
        if not list((home / "venv").glob("lib/python*/site-packages/proton")):
            build_python(source, home / "venv")
    return installed


def ensure_programs():
    """Installs what is missing where root can with apt-get; elsewhere, or when that fails, cases are left out."""
    packages = missing_packages()
    if not packages or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing", *packages, flush=True)
    apt = ["apt-get", "-q", "-y", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    for arguments in (["update"], ["install", "--no-install-recommends", *packages]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [*apt, *arguments],
                env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=INSTALL_SECONDS,
                check=True,
            )


def missing_packages():
    """The Debian packages of what this machine lacks."""
    packages = [package for program, package in PROGRAMS if not shutil.which(program)]
    if not any(map(shutil.which, COMPILERS)):
        packages += ["gcc", "libc6-dev"]
    # The headers of a Python that is not Debian's are its owner's business.
    if sys.base_prefix == "/usr" and not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        packages.append("python3-dev")
    return packages


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
    pip.append("--disable-pip-version-check")
    run([*pip, "-r", str(source / "requirements.txt")], home)
    older = ["--target", str(home.parent / "older"), "-r", str(source / "requirements-older.txt")]
    run([*pip, *older], home)


def build_python(source, home):
    """Builds what PyPI has as source alone."""
    print("building a package from source", flush=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    # No library of this machine goes into it: it does no TLS, and its SASL is its own.
    environment = dict(os.environ, PKG_CONFIG_PATH="", PKG_CONFIG_LIBDIR=str(home / "none"))
    command = [*pip, "--disable-pip-version-check", "-r", str(source / "requirements-built.txt")]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, env=environment, capture_output=True, check=True, timeout=INSTALL_SECONDS)


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
