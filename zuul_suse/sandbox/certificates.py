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
class Client:
    """Paths of the PEM files with which one user's services speak to ZooKeeper."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """Who has which; `server` holds key and certificate, as ZooKeeper's netty wants them."""

    server: Path
    zuul: Client
    nodepool: Client


def certificates(state: State) -> Certificates:
    """The sandbox's certificates, made if they are missing or soon to expire."""
    folder = state.folder("tls")
    zuul, nodepool = (
        Client(folder / "ca.pem", folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
        for name in ("zuul", "nodepool")
    )
    files = Certificates(folder / "zookeeper.pem", zuul, nodepool)
    if not _still_good(files):
        _make(files)
    return files


def _still_good(files: Certificates) -> bool:
    paths = [files.server, *(path for client in (files.zuul, files.nodepool) for path in vars(client).values())]
    if not all(path.exists() for path in paths):
        return False
    certificate = x509.load_pem_x509_certificate(files.zuul.certificate.read_bytes())
    return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=30)


def _make(files: Certificates) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zuul-suse sandbox")])
    ca = _builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    _write(files.zuul.ca, ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    for client in (files.zuul, files.nodepool):
        key, certificate = _pair(ca_name, ca_key)
        _write(client.key, key)
        _write(client.certificate, certificate)
    _write(files.server, b"".join(_pair(ca_name, ca_key)))


def _pair(ca_name: x509.Name, ca_key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """A new key and its certificate for this machine's loopback, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = _builder(name, ca_name, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


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
