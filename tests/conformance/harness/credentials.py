"""A device's proof of who it is, and the attestation of the enrollment that it matches."""

from dataclasses import dataclass

from harness import pki


@dataclass(frozen=True)
class Key:
    """A symmetric key, as the device holds it (derived already, under a group)."""

    value: str


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain and key."""

    identity: pki.Identity
    leaf_only: bool = False
    with_root: bool = False

    @property
    def pem(self):
        """What the device presents in TLS."""
        if self.leaf_only:
            return self.identity.pem
        if not self.with_root:
            return self.identity.chain_pem
        root = self.identity
        while root.issuer is not None:
            root = root.issuer
        return self.identity.chain_pem + root.pem

    def files(self, folder, name):
        """The same as two files."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(self.pem, encoding="ascii")
        key.write_text(self.identity.key_pem, encoding="ascii")
        return str(certificate), str(key)


def symmetric_key(primary=None, secondary=None):
    """Attestation by symmetric key; without keys the service generates them."""
    if primary is None:
        return {"type": "symmetricKey"}
    return {"type": "symmetricKey", "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary}}


def tpm(endorsement_key):
    """Attestation by TPM."""
    return {"type": "tpm", "tpm": {"endorsementKey": endorsement_key}}


def client_certificates(primary, secondary=None):
    """Attestation of an individual enrollment by X.509."""
    return {"type": "x509", "x509": {"clientCertificates": _pair(primary, secondary)}}


def signing_certificates(primary, secondary=None):
    """Attestation of an enrollment group by X.509: a root or an intermediate."""
    return {"type": "x509", "x509": {"signingCertificates": _pair(primary, secondary)}}


def _pair(primary, secondary):
    pair = {"primary": {"certificate": primary.pem}}
    if secondary is not None:
        pair["secondary"] = {"certificate": secondary.pem}
    return pair
