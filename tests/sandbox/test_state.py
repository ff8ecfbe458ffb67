# SPDX-License-Identifier: Apache-2.0
"""The state folder: ports, passwords, lock, and what happens when it is damaged."""

import socket
import stat
from pathlib import Path

import pytest

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.state import PORTS, State


def test_every_port_is_chosen_once_and_kept(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.choose_ports({}, frozenset())
    state.save()
    first = dict(state.choices.ports)
    assert set(first) == set(PORTS)
    assert len(set(first.values())) == len(PORTS)
    again = State(tmp_path)
    again.choose_ports({}, frozenset())
    assert again.choices.ports == first


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.choose_ports({}, frozenset())
    with socket.create_server(("127.0.0.1", state.port("logs"))):
        taken = state.port("logs")
        state.choose_ports({}, frozenset())
        assert state.port("logs") != taken
        state.choices.ports["logs"] = taken
        state.choose_ports({}, frozenset({"logs"}))
        assert state.port("logs") == taken, "a port that our own running service holds stays"


def test_a_pinned_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(SandboxError) as fault:
            State(tmp_path).choose_ports({"zuul-web": number}, frozenset())
    assert f"--port zuul-web={number}: used by another process" in str(fault.value)
    assert "\n" not in str(fault.value)


def test_passwords_are_kept_where_only_the_owner_reads(tmp_path: Path) -> None:
    state = State(tmp_path)
    password = state.password("gerrit-ci")
    state.save()
    assert State(tmp_path).password("gerrit-ci") == password
    assert stat.S_IMODE(state.choices_file.stat().st_mode) == 0o600


def test_a_folder_that_another_version_wrote_still_works(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text('{"ports": {"logs": 20001}, "a_choice_of_yesterday": 1}')
    assert State(tmp_path).port("logs") == 20001


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_state_folder_says_how_to_start_afresh(tmp_path: Path, text: str) -> None:
    (tmp_path / "sandbox.json").write_text(text)
    with pytest.raises(SandboxError, match=r"sandbox\.json: not readable .*down --purge"):
        State(tmp_path)


def test_who_is_not_root_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    State(tmp_path).save()

    def refuse(_path: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SandboxError, match=r"sandbox\.json: holds passwords, so only root reads it: use sudo"):
        State(tmp_path)


def test_two_commands_do_not_work_on_one_sandbox(tmp_path: Path) -> None:
    refused = pytest.raises(SandboxError, match="another command works on this sandbox")
    with State(tmp_path).locked(), refused, State(tmp_path).locked():
        pass
    with State(tmp_path).locked():
        pass
