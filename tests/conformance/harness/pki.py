"""Test certificates: authorities, intermediates and device leaves, EC or RSA, made in memory.

Owns: keys and certificates of a run. It must not know what a server makes of them.
"""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A certificate, its key and the identity that issued it (None: itself)."""

    certificate: x509.Certificate
    key: object
    issuer: "Identity | None" = None

    @property
    def pem(self):
        """The certificate alone, as an enrollment carries it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def chain_pem(self):
        """Leaf and intermediates, without the root: what a device presents in TLS."""
        pem, issuer = self.pem, self.issuer
        while issuer is not None and issuer.issuer is not None:
            pem, issuer = pem + issuer.pem, issuer.issuer
        return pem

    @property
    def sha256_thumbprint(self):
        return self.certificate.fingerprint(hashes.SHA256()).hex().upper()

    @property
    def sha1_thumbprint(self):
        return self.certificate.fingerprint(hashes.SHA1()).hex().upper()



def new_key(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def device(common_name, issuer=None, kind="ec", valid_days=(-1, 30)):
    """A device's leaf: self-signed, or signed by `issuer`."""
    key = new_key(kind)
    builder = _builder(common_name, key, issuer, valid_days)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return _sign(builder.add_extension(usage, critical=False), key, issuer)


def server(host, issuer):
    """A server's leaf for that host name."""
    key = new_key("ec")
    builder = _builder(host, key, issuer, (-1, 30))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return _sign(builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False), key, issuer)


def authority(common_name, issuer=None, kind="ec", valid_days=(-2, 365)):
    """A root, or an intermediate below `issuer`."""
    key = new_key(kind)
    builder = _builder(common_name, key, issuer, valid_days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return _sign(builder.add_extension(usage, critical=True), key, issuer)


def _builder(common_name, key, issuer, valid_days):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key.public_key() if issuer else key.public_key()
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid_days[0] * DAY)
        .not_valid_after(now + valid_days[1] * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _sign(builder, key, issuer):
    return Identity(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key, issuer)
