# SPDX-License-Identifier: Apache-2.0
"""The Python of the roles, without Ansible: of a failed build, a log folder, certificates, a linter."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.roles.loading import load

ROOT = Path(__file__).parents[2]
SEEDED = ROOT / "seeds" / "config-project" / "roles"


failure_summary = load(SEEDED / "write-failure-summary" / "library" / "failure_summary.py")
log_manifest = load(SEEDED / "upload-build-logs" / "library" / "log_manifest.py")
pem_certificates = load(SEEDED / "ensure-ca-bundle" / "library" / "pem_certificates.py")
pem_anchors = load(SEEDED / "ensure-ca-bundle" / "library" / "pem_anchors.py")
file_comments = load(ROOT / "roles" / "write-file-comments" / "library" / "file_comments.py")
devstack_failure = load(ROOT / "roles" / "write-devstack-summary" / "library" / "devstack_failure.py")


def playbook(phase: str, tasks: list[dict[str, Any]], **stats: dict[str, int]) -> dict[str, Any]:
    """One playbook as Zuul's JSON callback writes it."""
    return {"phase": phase, "stats": stats, "plays": [{"play": {"name": "p"}, "tasks": tasks}]}


def task(name: str, role: str = "", **hosts: dict[str, Any]) -> dict[str, Any]:
    """One task of it."""
    found: dict[str, Any] = {"task": {"name": name}, "hosts": hosts}
    if role:
        found["role"] = {"name": role}
    return found


BAD = {"failures": 1}
GOOD = {"failures": 0, "unreachable": 0, "ignored": 3, "rescued": 2}


def said(*playbooks: dict[str, Any]) -> list[str]:
    """What is said of a build of job `j`."""
    return list(failure_summary.from_json(list(playbooks), "j"))


def test_names_task_role_host_and_reason() -> None:
    failed = task("Run it", "run-unit-tests", controller={"failed": True, "msg": "it broke"})
    assert said(playbook("run", [failed], controller=BAD)) == [
        "j: controller failed in task [run-unit-tests : Run it]: it broke"
    ]


def test_a_role_that_was_called_by_its_path_has_its_short_name() -> None:
    failed = task("Run it", "/a/b/roles/ensure-x", controller={"failed": True, "msg": "no"})
    assert said(playbook("run", [failed], controller=BAD)) == ["j: controller failed in task [ensure-x : Run it]: no"]


def test_ignored_and_rescued_failures_are_none() -> None:
    assert said(playbook("run", [task("Ignored", controller={"failed": True})], controller=GOOD)) == []


def test_the_first_phase_that_failed_counts() -> None:
    pre = playbook("pre", [task("First", controller={"failed": True, "msg": "a"})], controller=BAD)
    post = playbook("post", [task("Second", controller={"failed": True, "msg": "b"})], controller=BAD)
    assert said(pre, post) == ["j: controller failed in pre-run task [First]: a"]
    assert said(playbook("run", [], controller=GOOD), post) == ["j: controller failed in post-run task [Second]: b"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "non-zero return code", "rc": 3, "stderr": "", "stdout": "a\nlast words\n\n"}, "exit 3: last words"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "fault", "stdout": "a"}, "exit 3: fault"),
        ({"msg": "non-zero return code", "rc": 3}, "exit 3"),
        (
            {"msg": "non-zero return code", "rc": 1, "stdout": "== 1 failed in 3.01s ==\n======\n"},
            "exit 1: 1 failed in 3.01s",
        ),
        (
            {
                "msg": "non-zero return code",
                "rc": 1,
                "stdout": "no such user\n+ ./stack.sh:1 : exit 1\n*** FINISHED ***",
            },
            "exit 1: no such user",
        ),
        ({"msg": "two\n  lines"}, "two lines"),
        ({}, "no reason given"),
        (
            {"msg": "One or more items failed", "results": [{"item": "a"}, {"failed": True, "item": "b", "msg": "no"}]},
            "b: no",
        ),
        ({"censored": "hidden by no_log"}, "no reason given"),
    ],
)
def test_reason(result: dict[str, Any], reason: str) -> None:
    result = {"failed": True, **result}
    assert said(playbook("run", [task("T", controller=result)], controller=BAD)) == [
        f"j: controller failed in task [T]: {reason}"
    ]


def test_unreachable_node() -> None:
    lost = task("T", controller={"unreachable": True, "msg": "Connection timed out"})
    assert said(playbook("run", [lost], controller={"unreachable": 1})) == [
        "j: controller is unreachable in task [T]: Connection timed out"
    ]


def test_a_sentence_is_one_line_of_bounded_length_and_there_are_few() -> None:
    hosts = {f"n{i}": {"failed": True, "msg": "Build failed (check pipeline).\n" * 99} for i in range(9)}
    sentences = said(playbook("run", [task("T", **hosts)], **dict.fromkeys(hosts, BAD)))
    assert len(sentences) == failure_summary.LIMIT
    assert all(len(s) <= failure_summary.LENGTH and "\n" not in s for s in sentences)


TIMED_OUT = """\
2026-11-22 19:20:00.1 | PRE-RUN END RESULT_NORMAL: [trusted : opendev.org/suse/config/playbooks/base/pre.yaml@master]
2026-11-22 19:20:00.2 | RUN START: [untrusted : opendev.org/zuul-suse/playbooks/selftest/unit.yaml@m]
2026-11-22 19:20:01.1 | TASK [run-unit-tests : Run the unit tests]
2026-11-22 19:20:02.1 | controller | TASK is what it prints
2026-11-22 19:50:00.1 | RUN END RESULT_TIMED_OUT: [untrusted : opendev.org/zuul-suse/playbooks/selftest/unit.yaml@m]
2026-11-22 19:50:00.9 | POST-RUN START: [trusted : opendev.org/suse/config/playbooks/base/post-fetch.yaml@master]
2026-11-22 19:50:01.1 | TASK [fetch-node-output : Fetch it]
"""
UNREADABLE = """\
2026-11-22 19:20:00.2 | RUN START: [untrusted : opendev.org/zuul-suse/playbooks/selftest/unit.yaml@master]
2026-11-22 19:20:01.0 | ERROR! the role 'no-such' was not found in /a/b:/c/d
2026-11-22 19:20:01.1 |
2026-11-22 19:20:01.2 | The error appears to be in 'unit.yaml': line 7, column 7
2026-11-22 19:20:02.1 | RUN END RESULT_NORMAL: [untrusted : opendev.org/zuul-suse/playbooks/selftest/unit.yaml@master]
"""


def test_a_time_out_names_the_task_that_was_running(tmp_path: Path) -> None:
    """Zuul kills the playbook, so that it is not in the JSON."""
    done = [playbook("pre", [], controller=GOOD)]
    (tmp_path / "job-output.json").write_text(json.dumps(done))
    (tmp_path / "job-output.txt").write_text(TIMED_OUT)
    (sentence,) = failure_summary.summarise(str(tmp_path), "j")
    assert sentence == "j: timed out in task [run-unit-tests : Run the unit tests]"


def test_a_playbook_that_ansible_can_not_read(tmp_path: Path) -> None:
    """What failed after the run, for want of what it should have left, is not the reason."""
    after = playbook("post", [task("Follows from it", controller={"failed": True})], controller=BAD)
    (tmp_path / "job-output.json").write_text(json.dumps([after]))
    (tmp_path / "job-output.txt").write_text(UNREADABLE)
    (sentence,) = failure_summary.summarise(str(tmp_path), "j")
    assert sentence == "j: failed in playbook unit.yaml: the role 'no-such' was not found in /a/b:/c/d"


def test_an_error_that_a_node_prints_is_not_ansibles(tmp_path: Path) -> None:
    text = UNREADABLE.replace("| ERROR! the role", "| controller | ERROR! the role")
    (tmp_path / "job-output.txt").write_text(text)
    assert failure_summary.summarise(str(tmp_path), "j") == []


def test_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "job-output.txt").write_text("")
    assert failure_summary.summarise(str(tmp_path), "j") == []


def test_half_written_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "job-output.json").write_text("[{")
    (sentence,) = failure_summary.summarise(str(tmp_path), "j")
    assert sentence.startswith("j: job-output.json can't be read: ")


def test_manifest(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "a.log").write_text("hello")
    (tmp_path / "results.html").write_text("<p>")
    (tmp_path / "dump.json.gz").write_bytes(b"x")
    (tmp_path / "secret").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe")
    tree = log_manifest.tree(str(tmp_path))
    assert [e["name"] for e in tree] == ["service", "dump.json.gz", "results.html"]
    folder, packed, page = tree
    assert folder["mimetype"] == "application/directory"
    assert folder["children"][0] | {"last_modified": 0} == {
        "name": "a.log", "mimetype": "text/plain", "encoding": None, "last_modified": 0, "size": 5,
    }  # fmt: skip
    assert (packed["mimetype"], packed["encoding"]) == ("application/json", "gzip")
    assert page["mimetype"] == "text/html"


@pytest.fixture(scope="session")
def pems() -> list[str]:
    """Two certificates that nobody trusts, as openssl writes them."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "2", "-keyout", "/dev/null", "-subj"]  # fmt: skip
    return [
        subprocess.run([*command, f"/CN={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("one", "two")
    ]


def test_anchors_follow_the_bundle(tmp_path: Path, pems: list[str]) -> None:
    """One file per certificate; what left the bundle goes, what was cut off comes back, and others' files stay."""
    (tmp_path / "theirs.crt").write_text("x")
    written, removed = pem_anchors.lay(pem_anchors.marked(pems), str(tmp_path), "site", ".crt")
    assert (len(written), removed) == (2, [])
    assert {(tmp_path / name).read_text() for name in written} == set(pems)
    (tmp_path / written[0]).write_text(pems[0][:99])
    again, _ = pem_anchors.lay(pem_anchors.marked(pems), str(tmp_path), "site", ".crt")
    assert again == written[:1]
    written, removed = pem_anchors.lay(pem_anchors.marked(pems[1:]), str(tmp_path), "site", ".crt")
    assert (written, len(removed)) == ([], 1)
    assert sorted(p.name for p in tmp_path.iterdir())[-1] == "theirs.crt"


def test_check_mode_writes_nothing(tmp_path: Path, pems: list[str]) -> None:
    certificates = pem_anchors.marked(pems[:1])
    written, _ = pem_anchors.lay(certificates, str(tmp_path / "new"), "site", ".crt", dry_run=True)
    assert len(written) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "comment", [b"# Stra\xdfe\n", b"\xef\xbb\xbf", b"\xff\xfe\x00\n", b"\0\n", b"subject=/CN=x\r\n"]
)
def test_nothing_but_certificates_of_a_bundle_is_read(pems: list[str], comment: bytes) -> None:
    one, two = (pem.encode() for pem in pems)
    other = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    bundle = comment + one.replace(b"\n", b"\r\n") + comment + other + two + one
    assert pem_certificates.certificates(bundle) == pems


def test_other_names_of_a_certificate(pems: list[str]) -> None:
    """OpenSSL's TRUSTED ones have what they are trusted for behind them."""
    body = base64.b64decode("".join(pems[0].splitlines()[1:-1]))
    for kind, data in (("X509 ", body), ("TRUSTED ", body + b"\x30\x03\x0c\x01x")):
        text = f"-----BEGIN {kind}CERTIFICATE-----\n{base64.b64encode(data).decode()}\n-----END {kind}CERTIFICATE-----"
        assert pem_certificates.certificates(text.encode()) == pems[:1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{one}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "has a private key in it: leave"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA", "has a private key in it: leave"),
        ("", "no certificate in it (PEM"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no certificate in it (PEM"),
        ("\n{one}-----BEGIN CERTIFICATE-----\nA*==\n-----END CERTIFICATE-----\n", "at line {line}: no base64"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "the certificate at line 1: no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
            "the certificate at line 1: no certificate",
        ),
        ("{one}-----BEGIN CERTIFICATE-----\nMAMC", "has 2 certificates that begin and 1 that end"),
        ("{cut}{one}", "has 2 certificates that begin and 1 that end"),
    ],
)
def test_a_bundle_that_can_not_be_used(pems: list[str], text: str, fault: str) -> None:
    line = pems[0].count("\n") + 2
    with pytest.raises(pem_certificates.Unfit) as told:
        pem_certificates.certificates(text.format(one=pems[0], cut=pems[0][:200]).encode())
    assert fault.format(line=line) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_bundle_has_a_largest_size(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (pem_certificates.SIZE + 1))
    with pytest.raises(pem_certificates.Unfit, match="larger than 8 MiB"):
        pem_certificates.read(str(tmp_path / "large"))


def test_comments() -> None:
    lines = ["a.py:1:2: E1 x", "./a.py:1:2: E1 x", "/r/a.py:3: y", "b.py:4:1: other", "Found 3.", "a.py:9:9: late"]
    assert file_comments.comments(lines, "/r", {"a.py"}, 2) == {
        "a.py": [
            {"line": 1, "message": "E1 x", "level": "warning"},
            {"line": 3, "message": "y", "level": "warning"},
        ]
    }


@pytest.mark.parametrize(
    ("line", "path", "number", "message"),
    [
        ("größe.py:1:2: x", "größe.py", 1, "x"),
        ("a b.py:1: x", "a b.py", 1, "x"),
        (" led.py:1: x", " led.py", 1, "x"),
        ("c:7:d.py:1:2: x: y:3: z", "c:7:d.py", 1, "x: y:3: z"),
        ("\x1b[1ma b.py\x1b[0m:1:2: \x1b[31mx\x1b[0m", "a b.py", 1, "x"),
        ("a b.py:1: " + "x" * 5000, "a b.py", 1, "x" * 999 + "…"),
        ("a b.py:1: x\x07y\u202ez", "a b.py", 1, "x y z"),
    ],
)
def test_names_and_texts_of_comments(line: str, path: str, number: int, message: str) -> None:
    changed = {"größe.py", "a b.py", " led.py", "c:7:d.py"}
    assert file_comments.comments([line], "/r", changed, 9) == {
        path: [{"line": number, "message": message, "level": "warning"}]
    }


@pytest.mark.parametrize(
    "line", ["a.py:0:1: x", "a.py:12345678901: x", "a.py:1:", "a.py:x: y", "b.py:1: x", "", ":1: x"]
)
def test_what_gerrit_takes_no_comment_on(line: str) -> None:
    assert file_comments.comments([line], "/r", {"a.py"}, 9) == {}


class Git:
    """The module's way to run a program, and what it ends with."""

    def run_command(self, command: list[str], encoding: None) -> tuple[int, bytes, bytes]:
        done = subprocess.run(command, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def fail_json(self, msg: str) -> None:
        raise SystemExit(msg)


def commit(repository: Path, *words: str) -> None:
    git = ["git", "-C", str(repository), "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run([*git, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A first commit with names that git quotes, one that is no UTF-8 among them."""
    folder = tmp_path / "r"
    commit(tmp_path, "init", "-q", "r")
    for name in (
        b"gr\xc3\xb6\xc3\x9fe.py",
        b'qu"ote.py',
        b"tab\t.py",
        b"line\n.py",
        b"back\\.py",
        b"latin\xff.py",
        b"a.py",
    ):
        (folder / os.fsdecode(name)).write_text("1\n" * 30)
    (folder / "sub").mkdir()
    (folder / "sub" / "b.py").touch()
    commit(folder, "add", ".")
    commit(folder, "commit", "-q", "-m", "first")
    return folder


FIRST = {"größe.py", 'qu"ote.py', "tab\t.py", "line\n.py", "back\\.py", "a.py", "sub/b.py"}


def test_a_first_commit_brings_all_its_files(repository: Path) -> None:
    assert file_comments.changed_files(Git(), str(repository)) == ("", FIRST)


def test_a_folder_of_the_repository_and_the_users_configuration(repository: Path) -> None:
    """Names are from the repository's root, as Zuul wants them, whatever git is configured to do."""
    for name, value in (("diff.relative", "true"), ("core.quotePath", "true"), ("diff.noprefix", "true")):
        commit(repository, "config", name, value)
    prefix, changed = file_comments.changed_files(Git(), str(repository / "sub"))
    assert (prefix, changed) == ("sub/", FIRST)
    found = file_comments.comments(
        ["b.py:1: x", "../a.py:1: y", "a.py:1: z"], str(repository / "sub"), changed, 9, prefix
    )
    assert sorted(found) == ["a.py", "sub/b.py"]


def test_removed_renamed_and_merged_files(repository: Path) -> None:
    commit(repository, "checkout", "-q", "-b", "side")
    commit(repository, "mv", "a.py", "renamed.py")
    commit(repository, "rm", "-q", "sub/b.py")
    commit(repository, "commit", "-q", "-m", "side")
    assert file_comments.changed_files(Git(), str(repository))[1] == {"renamed.py"}
    commit(repository, "checkout", "-q", "-")
    commit(repository, "commit", "-q", "--allow-empty", "-m", "other")
    assert file_comments.changed_files(Git(), str(repository))[1] == set()
    commit(repository, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert file_comments.changed_files(Git(), str(repository))[1] == {"renamed.py"}


def test_what_is_no_repository_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"directory: {tmp_path}: fatal: not a git repository"):
        file_comments.changed_files(Git(), str(tmp_path))
    commit(tmp_path, "init", "-q", ".")
    with pytest.raises(SystemExit, match=f"directory: {tmp_path}: "):
        file_comments.changed_files(Git(), str(tmp_path))


def test_what_devstacks_die_says_is_told_and_not_that_it_cleans_up(tmp_path: Path) -> None:
    """`die` ends the trace, so nothing but the words themselves tells the clean-up from what was before it."""
    (tmp_path / "logs").mkdir()
    stamp = "2026-11-25 22:01:38.094 | "
    lines = [
        "++ functions-common:die:290 :   local exitcode=0",
        "[Call Trace]",
        "[ERROR] plugin.sh:3 no greeting today",
        "exit_trap: cleaning up child processes",
        "Error on exit",
    ]
    (tmp_path / "logs" / "devstacklog.txt").write_text("".join(f"{stamp}{line}\n" for line in lines))
    assert devstack_failure.of_stack(str(tmp_path)) == ["stack.sh ended: [ERROR] plugin.sh:3 no greeting today"]
