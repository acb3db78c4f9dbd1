"""``stoop netboot --json`` as a process: its command line and its events. Knows nothing of labgrid."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from typing import Any, Callable

#: How long the process may take to end after its last event, in seconds.
GRACE = 10.0

Event = dict[str, Any]


class NetbootError(Exception):
    """The board did not start.

    ``exit_code`` is stoop's: 1 it failed, 2 it cannot be done, 3 the board did not answer, 75 no place; ``None`` when
    stoop was ended because the time was over.
    """

    def __init__(self, message: str, exit_code: int | None, events: list[Event]) -> None:
        """Keep what stoop said before it failed: ``events``."""
        super().__init__(message)
        self.exit_code = exit_code
        self.events = events


def command_line(  # noqa: PLR0913
    stoop: str,
    image: str,
    *,
    serial: str,
    board: str | None = None,
    speed: int | None = None,
    until: str | None = None,
    options: list[str] | None = None,
) -> list[str]:
    """Return the words of the command: ``serial`` is an address as stoop takes it, ``speed`` is in bits a second."""
    words = [stoop, "netboot", image, "--serial", serial, "--json"]
    for name, value in (("--board", board), ("--speed", speed), ("--until", until)):
        if value is not None:
            words += [name, str(value)]
    return words + (options or [])


def run(words: list[str], on_event: Callable[[Event], None], timeout: float) -> list[Event]:
    """Run stoop to its end, call ``on_event`` with each event as it comes, and return them all.

    Raises NetbootError when stoop fails, when ``timeout`` (seconds) is over, or when it cannot be started. Whatever
    ``on_event`` raises ends stoop.
    """
    try:
        process = subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        message = f"cannot start {words[0]}: {error.strerror or error}"
        raise NetbootError(message, None, []) from error
    with process:
        try:
            return _follow(process, on_event, timeout)
        finally:
            process.kill()


def _follow(process: subprocess.Popen[str], on_event: Callable[[Event], None], timeout: float) -> list[Event]:
    """Read events until stoop has ended."""
    lines: queue.Queue[str | None] = queue.Queue()
    complaints: list[str] = []
    _in_thread(process.stdout, lines.put, lambda: lines.put(None))
    reading = _in_thread(process.stderr, complaints.append, lambda: None)
    events: list[Event] = []
    until = time.monotonic() + timeout
    while True:
        try:
            line = lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            message = f"stoop was not done after {timeout:g} s{_last(events)}"
            raise NetbootError(message, None, events) from None
        if line is None:
            break
        event = _event(line)
        if event is not None:
            events.append(event)
            on_event(event)
    try:
        exit_code = process.wait(GRACE)
    except subprocess.TimeoutExpired:
        raise NetbootError("stoop closed its output and did not end", None, events) from None
    if exit_code != 0:
        reading.join(GRACE)
        raise NetbootError(_reason(exit_code, events, complaints), exit_code, events)
    return events


def _in_thread(lines: Any, take: Callable[[str], None], end: Callable[[], None]) -> threading.Thread:  # noqa: ANN401
    def read() -> None:
        for line in lines:
            take(line)
        end()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _event(line: str) -> Event | None:
    """Return the event of a line; ``None`` for a line that holds none."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _last(events: list[Event]) -> str:
    return f"; its last event was `{events[-1]['event']}`" if events else "; it said nothing"


def _reason(exit_code: int, events: list[Event], complaints: list[str]) -> str:
    """Return the message of the event that says why, else what stoop wrote to stderr."""
    for event in reversed(events):
        if event["event"] == "failed" and event.get("message"):
            return str(event["message"])
    said = "".join(complaints).strip()
    return said or f"stoop failed ({exit_code}){_last(events)}"
