# SPDX-License-Identifier: Apache-2.0
"""What is secret in a mirror's address, in whatever form it comes, is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.roles.loading import load

ROLE = Path(__file__).parents[2] / "roles" / "ensure-packages"
addresses = load(ROLE / "module_utils" / "mirror_addresses.py")
calls = load(ROLE / "module_utils" / "zypper_calls.py")

SHOWN = {
    "https://mirror.example.org/leap/": "https://mirror.example.org/leap/",
    "dir:/srv/mirror": "dir:/srv/mirror",
    "http://[::1]:8080/pool": "http://[::1]:8080/pool",
    "https://joe:hunter2@mirror.example.org/leap": "https://***@mirror.example.org/leap",
    "HTTPS://joe@mirror.example.org/leap": "HTTPS://***@mirror.example.org/leap",
    "https://mirror.example.org/pool?t0ken": "https://mirror.example.org/pool?***",
    "https://mirror.example.org/pool/?ssl_verify=no&token=t0ken#hunter2": "https://mirror.example.org/pool/?***",
    "https://joe:hun@ter/2@mirror.example.org/pool": "https://***@mirror.example.org/pool",
    "https://joe:hun?ter2@mirror.example.org/pool": "https://***",
    "joe:hunter2@mirror.example.org/pool": "***@mirror.example.org/pool",
    "iso:/?iso=a.iso&url=smb://joe:hunter2@host/x": "iso:/***",
    "": "",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_shown(url: str, shown: str) -> None:
    assert addresses.shown(url) == shown


@pytest.mark.parametrize(
    ("text", "urls", "masked"),
    [
        ("[a|https://joe@h/x?t0ken] no", [], "[a|https://***@h/x?*** no"),
        ("nonnumeric port: 'hunter2@h'", ["http://joe:hunter2@h/"], "nonnumeric port: '***@h'"),
        ("/pool?t0ken has a space", ["http://h/pool?t0ken"], "/pool?*** has a space"),
        ("decoded: p@ss", ["http://joe:p%40ss@h/"], "decoded: ***"),
        ("no, joe may stay, 1000 too", ["http://joe:no@h/x?timeout=1000&ssl_verify=no"], "no, joe may stay, 1000 too"),
    ],
)
def test_texts_are_masked_with_and_without_an_address_around(text: str, urls: list[str], masked: str) -> None:
    assert addresses.masked(text, urls) == masked


def test_a_path_goes_before_the_query() -> None:
    assert addresses.below("https://h/pool/?t0ken", "repodata/repomd.xml") == "https://h/pool/repodata/repomd.xml?t0ken"
    assert addresses.below("dir:/pool", "content") == "dir:/pool/content"


def test_zypper_tells_what_it_went_on_without() -> None:
    text = "Warning: Skipping repository 'a' because of the above error.\nNo provider of 'x' found.\n"
    assert calls.told(106, text) == ["zypper ends with 106: repositories were skipped: a"]
    assert calls.told(0, "") == []
    assert calls.reason(text) == "No provider of 'x' found."
    assert calls.reason("\n") == "zypper prints nothing"
    assert set(calls.DONE) == {0, 100, 101, 102, 103, 106, 107}
