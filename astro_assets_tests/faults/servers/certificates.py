"""Certificates, good and bad, for the servers of the tests."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.2")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server shows, and what its clients have to trust."""

    certificate_file: Path
    key_file: Path
    ca_file: Path

    @property
    def sha256(self) -> str:
        """The certificate's own hash, as a pin."""
        certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex()


def identity(
    folder: Path,
    *,
    names: tuple[str, ...] = LOOPBACK,
    expired: bool = False,
    self_signed: bool = False,
) -> Identity:
    """Write a new authority and a certificate of its own into ``folder``.

    A self-signed certificate has nothing to do with the authority.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, name = _name("Authority of the tests"), _name(names[0])
    authority = (
        _begin(ca_name, ca_name, ca_key, datetime.now(UTC) + 30 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    until = datetime.now(UTC) + (-_DAY if expired else 30 * _DAY)
    issuer, issuer_key = (name, key) if self_signed else (ca_name, ca_key)
    certificate = (
        _begin(name, issuer, key, until)
        .add_extension(x509.SubjectAlternativeName(_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    made = Identity(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    made.ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - 3 * _DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing,
        key_cert_sign=signing,
        crl_sign=signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    made: list[x509.GeneralName] = []
    for name in names:
        try:
            made.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            made.append(x509.DNSName(name))
    return made
