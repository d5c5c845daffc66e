"""Debian's `tpm2-tools` on a chip of `harness.tpm`: keys, activation of a blob, signatures (facts: TPM 2.0 Part 3).

Owns: the commands and their order, and the spellings of a public key. It must not know what a blob
or a signature is for.
"""

import base64
import ctypes
import os
import struct
import subprocess

from harness.errors import expect

# What no program here needs; a hang ends there.
COMMAND_SECONDS = 60
STORAGE = "0x81000001"
# What tpm2_activatecredential puts before a credential.
CREDENTIAL_HEAD = bytes.fromhex("badcc0de00000001")
STORAGE_ATTRIBUTES = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"
HIGH_RANGE_ATTRIBUTES = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy"

# TCG EK Credential Profile: PolicyA is the owner of the endorsement hierarchy, PolicyC names an index of NV memory,
# PolicyB of the high range is either of them.
POLICY_A = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
POLICY_C = bytes.fromhex("3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde")


class CommandFailed(Exception):
    """A program of tpm2-tools said no."""


class Tools:
    """The tools, with the two keys that a device shows."""

    def __init__(self, chip, folder, high_range):
        self.folder, self.high_range = folder, high_range
        self.endorsement = "0x81010012" if high_range else "0x81010001"
        self._environment = dict(os.environ, TPM2TOOLS_TCTI=f"mssim:host=127.0.0.1,port={chip.port}")
        self._make_endorsement_key()
        self._make_primary("o", STORAGE_ATTRIBUTES, STORAGE)
        self.endorsement_key = self._public(self.endorsement)
        self.storage_root_key = self._public(STORAGE)

    @property
    def keys(self):
        """As a register request carries them."""
        texts = (base64.b64encode(key).decode() for key in (self.endorsement_key, self.storage_root_key))
        return dict(zip(("endorsementKey", "storageRootKey"), texts, strict=True))

    def activate(self, blob, by_policy=True):
        """Takes the key in the blob in, as a device does; `sign` uses it from then on.

        The endorsement key allows it by its policy, or, in the high range, by its empty password.
        """
        identity, secret, duplicate, seed, area, _text = parts(blob)
        self._write("credential", CREDENTIAL_HEAD + identity + secret)
        for name, part in (("duplicate", duplicate), ("seed", seed), ("area", area)):
            self._write(name, part)
        credential = ["-c", STORAGE, "-C", self.endorsement, "-i", "credential", "-o", "inner.key"]
        if by_policy:
            self.run("startauthsession", "--policy-session", "-S", "session.ctx")
            try:
                self.run("policysecret", "-S", "session.ctx", "-c", "e")
                if self.high_range:
                    self._policy_or("session.ctx")
                self.run("activatecredential", *credential, "-P", "session:session.ctx")
            finally:
                self.run("flushcontext", "session.ctx")
        else:
            self.run("activatecredential", *credential)
        expect(len(self._read("inner.key")), 16, "length of the inner key")
        wrapped = ["-u", "area", "-i", "duplicate", "-s", "seed", "-k", "inner.key"]
        self.run("import", "-C", STORAGE, *wrapped, "-r", "private")
        self._flush()
        self.run("load", "-C", STORAGE, "-u", "area", "-r", "private", "-c", "key.ctx")
        self._flush()

    def sign(self, text):
        """HMAC-SHA256 by the key that was taken in last."""
        self._write("text", text.encode())
        self.run("hmac", "-c", "key.ctx", "-g", "sha256", "-o", "tag", "text")
        self._flush()
        return self._read("tag")

    def run(self, name, *arguments):
        """One program; its output is for the eyes alone."""
        done = subprocess.run(
            [f"tpm2_{name}", *arguments], cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise CommandFailed(f"tpm2_{name} {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")

    def _make_endorsement_key(self):
        if not self.high_range:
            self.run("createek", "-c", self.endorsement, "-G", "rsa", "-u", "endorsement.pub")
            return
        self._write("policy.a", POLICY_A)
        self._write("policy.c", POLICY_C)
        self.run("startauthsession", "-S", "trial.ctx")
        self._policy_or("trial.ctx")
        self.run("flushcontext", "trial.ctx")
        self._make_primary("e", HIGH_RANGE_ATTRIBUTES, self.endorsement, "-L", "policy.b")

    def _policy_or(self, session):
        self.run("policyor", "-S", session, "-L", "policy.b", "sha256:policy.a,policy.c")

    def _make_primary(self, hierarchy, attributes, handle, *options):
        kind = ["-C", hierarchy, "-G", "rsa2048:aes128cfb", "-g", "sha256", "-a", attributes]
        self.run("createprimary", *kind, "-c", "primary.ctx", *options)
        self._flush()
        self.run("evictcontrol", "-C", "o", "-c", "primary.ctx", handle)
        self._flush()

    def _public(self, handle):
        self.run("readpublic", "-c", handle, "-f", "tss", "-o", "public")
        return self._read("public")

    def _flush(self):
        # Nothing manages this TPM's few slots for the tools.
        self.run("flushcontext", "-t")

    def _write(self, name, data):
        (self.folder / name).write_bytes(data)

    def _read(self, name):
        return (self.folder / name).read_bytes()


def parts(blob):
    """The six structures of an activation blob, each with the two bytes of its length."""
    found = []
    while blob:
        end = 2 + struct.unpack(">H", blob[:2])[0]
        found.append(blob[:end])
        blob = blob[end:]
    expect([len(part) for part in found[:5]], [54, 258, 144, 258, 50], "lengths of the blob's structures")
    expect(len(found), 6, "number of the blob's structures")
    return found


class _Digest(ctypes.LittleEndianStructure):
    _fields_ = (("size", ctypes.c_uint16), ("buffer", ctypes.c_uint8 * 64))


class _Modulus(ctypes.LittleEndianStructure):
    _fields_ = (("size", ctypes.c_uint16), ("buffer", ctypes.c_uint8 * 512))


class _Rsa(ctypes.LittleEndianStructure):
    """`TPMS_RSA_PARMS`; the details of a scheme have room for the longest."""

    _fields_ = (
        ("symmetric", ctypes.c_uint16 * 3), ("scheme", ctypes.c_uint16 * 3),
        ("bits", ctypes.c_uint16), ("exponent", ctypes.c_uint32),
    )  # fmt: skip


class _Area(ctypes.LittleEndianStructure):
    """`TPMT_PUBLIC` of an RSA key."""

    _fields_ = (
        ("type", ctypes.c_uint16), ("name_algorithm", ctypes.c_uint16), ("attributes", ctypes.c_uint32),
        ("policy", _Digest), ("parameters", _Rsa), ("unique", _Modulus),
    )  # fmt: skip


class _Public(ctypes.LittleEndianStructure):
    """`TPM2B_PUBLIC` as a C program has it in memory."""

    _fields_ = (("size", ctypes.c_uint16), ("area", _Area))


def host_order(public):
    """An RSA key without a scheme, as old tpm2-tools saved it: the C structure itself, of a little-endian host."""
    policy = struct.unpack(">H", public[10:12])[0]
    at = 12 + policy
    symmetric = struct.unpack(">3H", public[at : at + 6])
    scheme, bits, exponent, length = struct.unpack(">HHIH", public[at + 6 : at + 16])
    memory = _Public(size=len(public) - 2)
    area = memory.area
    area.type, area.name_algorithm, area.attributes = struct.unpack(">HHI", public[2:10])
    area.policy.size, area.unique.size = policy, length
    area.policy.buffer[:policy] = public[12:at]
    area.unique.buffer[:length] = public[at + 16 :]
    area.parameters.symmetric[:] = symmetric
    area.parameters.scheme[0], area.parameters.bits, area.parameters.exponent = scheme, bits, exponent
    return bytes(memory)
