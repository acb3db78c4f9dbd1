"""stoop as a process, played by a few lines of Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from stoop_labgrid import netboot


def played(folder: Path, body: str) -> list[str]:
    """Return the words that run a program with this body."""
    path = folder / "stoop.py"
    path.write_text(f"import json, sys, time\ndef say(**event): print(json.dumps(event), flush=True)\n{body}\n")
    return [sys.executable, str(path)]


def test_every_event_is_given_when_it_comes(tmp_path: Path) -> None:
    """The process waits for a file that the callback makes: an event that came late would end it in a time-out."""
    mark = tmp_path / "on"
    body = f"""
from pathlib import Path
say(event="restart-it")
while not Path({str(mark)!r}).exists(): time.sleep(0.01)
print("not an event")
say(event="booted")
"""
    events = netboot.run(played(tmp_path, body), lambda event: event["event"] == "restart-it" and mark.touch(), 60)
    assert [event["event"] for event in events] == ["restart-it", "booted"]


def test_a_failure_has_stoops_message_and_exit_code(tmp_path: Path) -> None:
    """The event that says why is the message."""
    body = 'say(event="restart-it"); say(event="failed", message="the prompt did not come"); sys.exit(3)'
    with pytest.raises(netboot.NetbootError, match=r"^the prompt did not come$") as failure:
        netboot.run(played(tmp_path, body), lambda _: None, 60)
    assert failure.value.exit_code == 3
    assert [event["event"] for event in failure.value.events] == ["restart-it", "failed"]


def test_a_failure_without_an_event_has_what_stoop_wrote(tmp_path: Path) -> None:
    """A usage error ends stoop before its first event."""
    body = 'print("stoop: there is no such board", file=sys.stderr); sys.exit(2)'
    with pytest.raises(netboot.NetbootError, match="there is no such board"):
        netboot.run(played(tmp_path, body), lambda _: None, 60)


def test_what_hangs_is_ended(tmp_path: Path) -> None:
    """The message says how far it came."""
    body = 'say(event="prompt"); time.sleep(3600)'
    with pytest.raises(netboot.NetbootError, match="after 1 s; its last event was `prompt`") as failure:
        netboot.run(played(tmp_path, body), lambda _: None, 1)
    assert failure.value.exit_code is None


def test_a_callback_that_fails_ends_stoop(tmp_path: Path) -> None:
    """The relay did not switch: there is nothing to wait for."""

    def relay(_: netboot.Event) -> None:
        raise OSError("no relay")

    with pytest.raises(OSError, match="no relay"):
        netboot.run(played(tmp_path, 'say(event="restart-it"); time.sleep(3600)'), relay, 60)


def test_a_stoop_that_is_not_there_is_named() -> None:
    """The message has the program."""
    with pytest.raises(netboot.NetbootError, match="cannot start no-such-stoop: No such file"):
        netboot.run(["no-such-stoop"], lambda _: None, 60)


def test_the_command_line_has_what_was_given() -> None:
    """What is left out is stoop's to choose."""
    words = netboot.command_line("stoop", "a.bin", serial="tcp://rig:5101")
    assert words == ["stoop", "netboot", "a.bin", "--serial", "tcp://rig:5101", "--json"]
    words = netboot.command_line("stoop", "a.bin", serial="/dev/ttyUSB0", board="b", speed=57600, options=["--yes"])
    assert words[6:] == ["--board", "b", "--speed", "57600", "--yes"]


def test_lines_that_hold_no_event_are_passed_over() -> None:
    """Whatever a program prints, only objects with an event count."""
    for line in ["", "[]", "1", "{", json.dumps({"event": 1}), json.dumps({"state": "x"})]:
        assert netboot._event(line) is None  # noqa: SLF001
