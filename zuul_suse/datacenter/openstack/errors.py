# SPDX-License-Identifier: Apache-2.0
"""What an OpenStack says when it won't, in the house's words.

Called by `session` for every answer that is an error and every exception of keystoneauth, and by
`servers` for the fault of a server. Pure; knows no server and no connection.
"""

from __future__ import annotations

import re

import openstack.exceptions
import requests
from keystoneauth1 import exceptions as keystone

from zuul_suse.datacenter import DatacenterError, Gone, NoCapacity, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.retry_after import retry_after

# The sayings of nova, neutron and cinder when a quota, the hosts or the addresses are used up.
_FULL = re.compile(
    r"no valid host|quota|exhausted all hosts|(pool|address\w*|subnet\w*) (is |are |has been )?exhausted"
    r"|maximum number of (retries|.* exceeded)|number of ports exceeded|no more (free |fixed |floating )?ip"
    r"|(no (free|available)|zero) (fixed |floating )?ip|no (fixed )?ip addresses? (is |are )?available"
    r"|unable to find any ip address|insufficient prefix space|limit exceeded|exceeds allowed|over ?limit"
    r"|insufficient (compute )?resources|not enough hosts",
    re.IGNORECASE,
)
# How nova and neutron refuse a name that several things bear: with 409, as if it could pass.
_AMBIGUOUS = re.compile(
    r"multiple .*(found|match)|more than one .*(found|match|exist)|to be more specific", re.IGNORECASE
)
_SHOWN = 300  # characters of a message; nova's may hold a whole traceback


def says_full(text: str | None) -> bool:
    """Whether this is how a cloud says that it is well but has no room."""
    return bool(text and _FULL.search(text))


def message_of(body: str | bytes, content: object) -> str:
    """The words in an error's body. Every service wraps them in its own way: {"badRequest": {"message": ...}}."""
    if isinstance(content, dict):
        for inner in content.values():
            if isinstance(inner, dict) and "message" in inner:
                return str(inner["message"])[:_SHOWN]
            if isinstance(inner, str) and len(content) == 1:
                return inner[:_SHOWN]
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:_SHOWN]


def content_of(response: requests.Response) -> object:
    """An answer's JSON; None if it is none."""
    try:
        return response.json()
    except (ValueError, RecursionError):  # the second: brackets in brackets, a hundred thousand times
        return None


def rest_of(response: requests.Response) -> float | None:
    """For how many seconds an answer with an error status asks its client to stay away; None if it doesn't."""
    return retry_after(response.headers, content_of(response)) if response.status_code >= 400 else None


def error_of(place: str, call: str, response: requests.Response) -> DatacenterError:
    """The error that an answer with an error status is."""
    status = response.status_code
    message = message_of(response.content, content_of(response)) or response.reason or "no reason given"
    said = f"{place}: {call}: {status} {message}"
    rest = rest_of(response)
    if status == 404:
        return Gone(said)
    if status in (413, 429) or (status == 503 and rest is not None):
        return NoCapacity(said, rest)
    if status in (400, 403, 409) and says_full(message):
        return NoCapacity(said, rest)
    if status in (400, 403, 405, 406) or (status == 409 and _AMBIGUOUS.search(message)):
        return WrongConfiguration(said)
    return TryElsewhere(said, rest)


def _words(error: Exception) -> str:
    """What an exception says; of one that tells of a whole stack of libraries, where it went and why not."""
    text = " ".join(str(error).split())
    where = re.search(r"https?://[^\s:]+(:\d+)?", text)
    why = re.search(r"\[Errno -?\d+\] ([\w ]+)|(timed out)|(Connection reset)|(closed connection without)", text)
    if isinstance(error, keystone.ConnectFailure | keystone.ConnectTimeout) and where and why:
        return f"can't connect to {where[0]}: {next(part for part in why.groups() if part)}"
    return text[:_SHOWN] or type(error).__name__


def translate(place: str, error: Exception) -> DatacenterError:
    """The house's word for an exception of the SDK, of keystoneauth or of requests."""
    said = f"{place}: {_words(error)}"
    if isinstance(error, keystone.HttpError):
        return _refused_token(place, error)
    if isinstance(error, keystone.EndpointNotFound):
        return WrongConfiguration(f"{place}: the cloud's catalogue lacks this service or region: {error}")
    if isinstance(error, keystone.connection.SSLError | keystone.MissingRequiredOptions | keystone.NoMatchingPlugin):
        return WrongConfiguration(said)
    if isinstance(error, openstack.exceptions.ConfigException):
        return WrongConfiguration(said)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return WrongConfiguration(said)  # a CA file or a clouds.yaml that can't be read
    return TryElsewhere(said)


def _refused_token(place: str, error: keystone.HttpError) -> DatacenterError:
    """Keystoneauth raises for the requests that it makes itself: versions and tokens."""
    status = error.http_status
    said = f"{place}: authentication: {status} {' '.join(str(error).split())[:_SHOWN]}"
    rest = rest_of(error.response) if error.response is not None else None
    if status in (413, 429) or (status == 503 and rest is not None):
        return NoCapacity(said, rest)
    if status in (400, 401, 403, 404):
        return WrongConfiguration(said)
    return TryElsewhere(said, rest)
