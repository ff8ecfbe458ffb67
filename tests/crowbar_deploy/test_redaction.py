# SPDX-License-Identifier: Apache-2.0
"""No secret gets through, wherever it stands; and what is no secret stays, or the logs would tell nothing."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.roles.loading import load

ROLE = Path(__file__).parents[2] / "roles" / "collect-crowbar-logs"
# Long and odd, a short word, and one with what may end a value.
SECRETS = ["xY7-hidden-9Qz", "tiger", "a,b;c}d"]
MARK = "[redacted]"


redaction = load(ROLE / "module_utils" / "crowbar_redaction.py")
logs = load(ROLE / "library" / "crowbar_logs.py", crowbar_redaction=redaction)


def clean(text: str, *known: str) -> str:
    """One text, by a redactor that knows nothing but it."""
    redactor = redaction.Redactor(list(known))
    redactor.learn(text)
    return str(redactor.clean(text))


PLACES = {
    "ini": "admin_password = {}\n",
    "ini without spaces": "db_pass={}\n",
    "commented": "# rabbit_password: {}\n",
    "yaml": "  password: {}\n",
    "yaml quoted": '  password: "{}"\n',
    "json in a log": 'INFO {{"user": "nova", "password": "{}", "n": 1}}\n',
    "escaped json in a log": 'body: "{{\\"auth\\": {{\\"password\\": \\"{}\\"}}}}"\n',
    "ruby": 'got {{"db_password"=>"{}", :x=>1}}\n',
    "ruby symbol": 'got {{:service_password=>"{}"}}\n',
    "single quotes": "{{'metadata_proxy_shared_secret': '{}'}}\n",
    "inline": "connecting with password={} now\n",
    "rest of the line": "2026-11-25 keystone: admin_token: {}\n",
    "sql": "GRANT ALL ON nova.* TO nova IDENTIFIED BY '{}';\n",
    "postgresql": "CREATE USER crowbar WITH PASSWORD '{}'\n",
    "xml": "<user><password>{}</password></user>\n",
    "option": "crowbarctl database create --db-password {} --debug\n",
    "option with =": "tool --os-password={}\n",
    "header": "X-Auth-Token: {}\n",
    "header in curl": "curl -H 'X-Auth-Token: {}' http://x/\n",
    "authorization": "Authorization: Basic {}\n",
    "crowbarrc": "username = crowbar\npassword = {}\n",
    "environment": "export OS_PASSWORD={}\n",
    "private key's name": "fernet_private_key: {}\n",
    "encryption key": "auth_encryption_key = {}\n",
}


# The third secret has what separates a shell's words, and can't be one of them.
WORDS = ("inline", "option", "option with =", "header in curl")


@pytest.mark.parametrize(
    ("place", "secret"), [(place, secret) for place in PLACES for secret in SECRETS[: 2 if place in WORDS else None]]
)
def test_a_secret_under_its_name(place: str, secret: str) -> None:
    text = clean(PLACES[place].format(secret))
    assert secret not in text
    assert MARK in text


@pytest.mark.parametrize("secret", SECRETS[:2])
@pytest.mark.parametrize(
    "text",
    [
        "connection = mysql+pymysql://nova:{}@db.cloud.test/nova\n",
        "curl -u crowbar:{} http://x/\n",
        "mysql -u root -p{} db\n",
    ],
)
def test_a_secret_in_an_address_or_a_command(text: str, secret: str) -> None:
    found = clean(text.format(secret))
    assert secret not in found
    assert "nova" in found or "http://x/" in found or "root" in found


def test_a_mirrors_address_in_zyppers_words() -> None:
    text = "1 | site | Yes | https://joe@mirror.example.org/pool?t0ken | \n"
    assert clean(text) == "1 | site | Yes | https://***@mirror.example.org/pool?*** | \n"


def test_json_by_its_names_at_every_depth() -> None:
    content = {
        "attributes": {
            "keystone": {
                "admin": {"username": "admin", "password": SECRETS[0]},
                "passwords": {"nova": SECRETS[1], "list": [SECRETS[2], 12345678]},
                "policy": None, "signing": {"token_format": "", "enabled": True},
            }
        }
    }  # fmt: skip
    keystone = json.loads(clean(json.dumps(content)))["attributes"]["keystone"]
    assert keystone["admin"] == {"username": "admin", "password": MARK}
    assert keystone["passwords"] == {"nova": MARK, "list": [MARK, MARK]}
    assert keystone["policy"] is None
    assert keystone["signing"] == {"token_format": "", "enabled": True}


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAAA==\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("text", [f"a\n{KEY}\nb\n", json.dumps({"ssh": KEY}), KEY[:45], KEY[34:] + "\nb\n"])
def test_private_keys_even_cut_ones(text: str) -> None:
    found = clean(text)
    assert "IEow" not in found
    assert "AAAA" not in found


def test_crypted_passwords() -> None:
    assert clean("root:$6$Zx12$abcDEF/gh.i:17000:0:\n") == f"root:{MARK}:17000:0:\n"


def test_a_secret_without_a_name_elsewhere() -> None:
    """Learnt in one text, taken out of another; of a word that is no name of a secret's this can't be known."""
    redactor = redaction.Redactor(["of-the-operator"])
    redactor.learn(json.dumps({"password": SECRETS[0]}))
    text = f"ipmitool -P {SECRETS[0]} status of of-the-operator {json.dumps(SECRETS[0])}\n"
    assert redactor.clean(text) == f'ipmitool -P {MARK} status of {MARK} "{MARK}"\n'


def test_crowbars_own_password_does_not_blot_out_its_name() -> None:
    text = 'password: crowbar\n{"name": "crowbar"}\nchef-client on crowbar.cloud.test: keystone failed\n'
    assert "crowbar.cloud.test: keystone failed" in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25 12:00:01 INFO nova.compute.manager [req-1] Instance spawned successfully.\n",
        "step pre_sanity_checks 2026-11-25T12:00:00+00:00\n",
        "password: null\ntoken: \nsecret: {\n",
        "http://admin.cloud.test:8091/suse-12.4/x86_64/crowbar_register\n",
        "The password authentication failed for user nova\n",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text) == text


def test_a_large_log_takes_seconds() -> None:
    text = "A" * 200_000 + "\n" + "INFO nova did a thing with key=value and more of it\n" * 40_000
    start = time.monotonic()
    clean(text)
    assert time.monotonic() - start < 30


def collect(tmp_path: Path, *commands: dict[str, Any], limit: int = 1 << 20) -> tuple[Path, list[str]]:
    """Collect from a root in the test's folder."""
    given = {
        "root": str(tmp_path / "root"), "folder": str(tmp_path / "out"), "paths": ["/var/log", "/etc/crowbar"],
        "commands": list(commands), "timeout": 5, "total_timeout": 20, "limit": limit,
    }  # fmt: skip
    (tmp_path / "tmp").mkdir()
    _, problems = logs.collect(given, str(tmp_path / "tmp"), redaction.Redactor([]))
    everything = [path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(SECRETS[0] in text for text in everything)
    return tmp_path / "out", problems


def test_files_of_every_kind(tmp_path: Path) -> None:
    """Plain, rotated and packed; a link, a key and what is no text are left out."""
    log = tmp_path / "root" / "var" / "log"
    log.mkdir(parents=True)
    text = f"one\npassword: {SECRETS[0]}\n"
    (log / "a.log").write_text(text)
    for name, pack in (("a.log.gz", gzip), ("a.log.1.bz2", bz2), ("a.log.2.xz", lzma)):
        (log / name).write_bytes(pack.compress(text.encode()))
    (log / "link").symlink_to("/etc/shadow")
    (log / "client.pem").write_text(text)
    (log / "wtmp").write_bytes(b"\0\1" + SECRETS[0].encode())
    (log / "bad.gz").write_bytes(b"no gzip")
    out, problems = collect(tmp_path)
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert found == {
        "problems.txt", "var/log/a.log", "var/log/a.log.unpacked", "var/log/a.log.1.unpacked",
        "var/log/a.log.2.unpacked",
    }  # fmt: skip
    assert (out / "var/log/a.log.2.unpacked").read_text() == f"one\npassword: {MARK}\n"
    assert len(problems) == 4
    assert any("client.pem: not taken" in problem for problem in problems)
    assert "/etc/crowbar: nothing there" in problems


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "root" / "var" / "log"
    log.mkdir(parents=True)
    (log / "long").write_text("start\n" + "x\n" * 1000 + "end\n")
    out, _ = collect(tmp_path, limit=100)
    text = (out / "var/log/long").read_text()
    assert (len(text), text[-4:]) == (100, "end\n")


def test_an_archive_that_a_command_leaves(tmp_path: Path) -> None:
    """Its members are collected, and none is written anywhere else."""
    (tmp_path / "inside").write_text(f"db_password={SECRETS[0]}\n")
    packed = tmp_path / "scc.txz"
    with tarfile.open(packed, "w:xz") as archive:
        for name in ("scc/etc.txt", "../../escape.txt"):
            archive.add(tmp_path / "inside", name)
    out, _ = collect(tmp_path, {"name": "scc.log", "argv": ["cp", str(packed), "{tmp}"]})
    assert (out / "scc/scc/etc.txt").read_text() == f"db_password={MARK}\n"
    assert not list(tmp_path.parent.glob("escape.txt"))
    assert not (tmp_path / "escape.txt").exists()


def test_commands_that_do_not_answer(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    _, problems = collect(
        tmp_path,
        {"name": "a", "argv": ["no-such-command"]},
        {"name": "b", "argv": ["sh", "-c", "echo said >&2; exit 3"]},
        {"name": "c/{}", "argv": ["echo", "{}"], "each": ["false"]},
    )
    assert problems[:3] == [
        "no-such-command: No such file or directory: ", "sh -c echo said >&2; exit 3: 3: said", "false: 1: ",
    ]  # fmt: skip


def test_no_time_left(tmp_path: Path) -> None:
    commands = logs.Commands(1, 1, str(tmp_path))
    assert commands.ask(["sleep", "9"])[0] == "no answer within 1 s"
    assert commands.ask(["echo", "x"])[0] == "not asked: no time left"
