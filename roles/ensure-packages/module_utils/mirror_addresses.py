# SPDX-License-Identifier: Apache-2.0
"""Addresses of mirrors: shown without what is secret in them, and taken apart.

A user's name, a password and a query, which may be a token, are secret. Used by modules of several roles, which depend
on ensure-packages for it. Pure functions; none raises for an address that is malformed.
"""

import re
from urllib.parse import unquote

MASK = "***"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+[^\s\"'<>|]*")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
# What libzypp takes for itself from a query and does not send (MediaCurl.cc), as far as it is no secret.
OPEN_OPTIONS = ("auth", "cookies", "credentials", "head_requests", "mediahandler", "proxy", "proxyport", "ssl_capath",
                "ssl_clientcert", "ssl_clientkey", "ssl_verify", "timeout")  # fmt: skip
OWN_OPTIONS = (*OPEN_OPTIONS, "proxyuser", "proxypass")
# A shorter secret is masked in addresses alone: as a bare word it may be any word of a sentence.
SHORTEST = 4


def halves(url):
    """Return (what is before the query, the query with its mark)."""
    at = re.search(r"[?#]|$", url).start()
    return url[:at], url[at:]


def shown(url):
    """Return an address without its secrets, in doubt without its host: a password may have any character in it."""
    found = SCHEME.match(url)
    scheme = found.group() if found else ""
    base, query = halves(url[len(scheme) :])
    if "@" in query:
        return scheme + MASK
    _, at, rest = base.rpartition("@")
    return scheme + (MASK + "@" if at else "") + rest + ("?" + MASK if query else "")


def secrets_of(url):
    """Return the secrets of an address that are masked wherever they stand."""
    whole = SCHEME.sub("", url, count=1)
    base, query = halves(whole)
    found = []
    # The second reading is that of a password with a question mark in it.
    for user in {base.rpartition("@")[0], whole.rpartition("@")[0]}:
        name, colon, password = user.partition(":")
        found.append(password if colon else name)
    for key, _, value in (part.partition("=") for part in query[1:].split("&")):
        found.append((value or key) if key not in OPEN_OPTIONS else "")
    found += [unquote(secret) for secret in found]
    return {secret for secret in found if len(secret) >= SHORTEST}


def masked(text, urls=()):
    """Return a text without the secrets of its addresses, and without those of `urls` wherever they stand in it."""
    secrets = set()
    for url in urls:
        secrets |= secrets_of(url)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return ADDRESS.sub(lambda found: shown(found.group()), text)


def below(url, name):
    """Return the address of a file below an address: the path goes before the query."""
    base, query = halves(url)
    return base.rstrip("/") + "/" + name + query
