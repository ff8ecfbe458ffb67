# SPDX-License-Identifier: Apache-2.0
"""The sandbox's own certificate authority: ZooKeeper, Zuul and Nodepool speak TLS to each other only.

Owns the folder `tls` of the state folder. Called once before ZooKeeper starts; certificates are kept while they have
a month to live. Nothing outside the sandbox trusts this authority.
"""

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zuul_suse.sandbox.state import State

YEARS = 5


@dataclass(frozen=True)
class Certificates:
    """Paths of the PEM files; `server` holds key and certificate, as ZooKeeper's netty wants them."""

    ca: Path
    certificate: Path
    key: Path
    server: Path


def certificates(state: State) -> Certificates:
    """The sandbox's certificates, made if they are missing or soon to expire."""
    folder = state.folder("tls")
    files = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem", folder / "server.pem")
    if not _still_good(files):
        _make(files)
    return files


def _still_good(files: Certificates) -> bool:
    if not all(path.exists() for path in (files.ca, files.certificate, files.key, files.server)):
        return False
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=30)


def _make(files: Certificates) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zuul-suse sandbox")])
    ca = _builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    ca_certificate = ca.sign(ca_key, hashes.SHA256())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = _builder(name, ca_name, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(files.ca, ca_certificate.public_bytes(serialization.Encoding.PEM))
    _write(files.certificate, pem)
    _write(files.key, key_pem)
    _write(files.server, key_pem + pem)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365 * YEARS))
    )


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
