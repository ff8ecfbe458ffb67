#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Read the certificates of a PEM bundle, and nothing else of it.

Runs on the executor, called by the role ensure-ca-bundle: comments, in whatever encoding, stay here. Only reads. Ends
with the certificates as ASCII text, or with one line that says what is wrong with the file and where; a file with a
private key is refused.
"""

import base64
import binascii
import re
import ssl

from ansible.module_utils.basic import AnsibleModule

SIZE, NUMBER = 8 << 20, 2000
BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----([^-]*)-----END \1-----")
BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
KINDS = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")


class Unfit(Exception):
    """A bundle that can't be used; its text is for the user."""


def first_element(der):
    """Return the certificate of its bytes: OpenSSL's TRUSTED ones have more behind it."""
    if len(der) < 4 or der[0] != 0x30:
        raise Unfit("no certificate in it")
    count = der[1] & 0x7F if der[1] & 0x80 else 0
    size = 2 + count + (int.from_bytes(der[2 : 2 + count], "big") if count else der[1])
    return der[:size]


def pem_of(body):
    """Return a block's certificate as PEM; raises Unfit."""
    try:
        der = first_element(base64.b64decode(b"".join(body.split()), validate=True))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except binascii.Error:
        raise Unfit("no base64") from None
    except ssl.SSLError as error:
        raise Unfit(f"no certificate ({error.reason or 'OpenSSL refuses it'})") from None
    text = base64.b64encode(der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def certificates(data):
    """Return the certificates of a bundle, each once; raises Unfit."""
    if KEY.search(data):
        raise Unfit("has a private key in it: leave nothing but certificates there")
    found, ended = {}, 0
    for block in BLOCK.finditer(data):
        if block.group(1) not in KINDS:
            continue
        line = data.count(b"\n", 0, block.start()) + 1
        try:
            found[pem_of(block.group(2))] = True
        except Unfit as error:
            raise Unfit(f"the certificate at line {line}: {error}") from None
        ended += 1
    begun = len(BEGIN.findall(data))
    if begun > ended:
        raise Unfit(f"has {begun} certificates that begin and {ended} that end")
    if not found:
        raise Unfit("no certificate in it (PEM, '-----BEGIN CERTIFICATE-----')")
    if len(found) > NUMBER:
        raise Unfit(f"has {len(found)} certificates, more than {NUMBER}")
    return list(found)


def read(path):
    """Return a file's content; raises OSError or Unfit."""
    with open(path, "rb") as file:
        data = file.read(SIZE + 1)
    if len(data) > SIZE:
        raise Unfit(f"larger than {SIZE >> 20} MiB")
    return data


def main():
    """Be the Ansible module."""
    module = AnsibleModule(argument_spec={"path": {"type": "path", "required": True}}, supports_check_mode=True)
    path = module.params["path"]
    try:
        found = certificates(read(path))
    except OSError as error:
        module.fail_json(msg=f"site_ca_bundle: {path}: {error.strerror}")
    except Unfit as error:
        module.fail_json(msg=f"site_ca_bundle: {path}: {error}")
    module.exit_json(changed=False, certificates=found)


if __name__ == "__main__":
    main()
