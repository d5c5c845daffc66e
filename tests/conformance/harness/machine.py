"""What a case may need of the machine beyond the pinned packages, and why it cannot be had here.

Owns: the names that a case gives in `needs`, and how each is looked for. What installs them is `install`.
"""

import importlib.util
import shutil


def _program(name, package):
    return None if shutil.which(name) else f"{package} is not installed (Debian: apt-get install {package})"


def _proton():
    if importlib.util.find_spec("proton"):
        return None
    return "python-qpid-proton could not be built (a C compiler and Python's headers are needed)"


NEEDS = {
    "swtpm": lambda: _program("swtpm", "swtpm"),
    "tpm2-tools": lambda: _program("tpm2_activatecredential", "tpm2-tools"),
    "promtool": lambda: _program("promtool", "prometheus"),
    "openssl": lambda: _program("openssl", "openssl"),
    "proton": _proton,
}


def why_not(needs):
    """Why a case that needs all these cannot run here, or None."""
    return next((reason for reason in (NEEDS[name]() for name in needs) if reason), None)
