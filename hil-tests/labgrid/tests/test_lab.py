"""The drivers on a place of a real lab, with the environment file of the examples.

``LG_COORDINATOR``, ``LG_PLACE``, ``LG_IMAGE`` and ``STOOP`` (the program) say which; without them nothing is tested.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

labgrid = pytest.importorskip("labgrid")

from labgrid.strategy import StrategyError  # noqa: E402

from stoop_labgrid import NetbootError, StoopStrategy  # noqa: E402

EXAMPLE = Path(__file__).parent.parent / "examples/environment.yaml"
SOURCE = Path(__file__).parent.parent / "src"
MILESTONES = ["restart-it", "prompt", "board", "fetched", "booted"]
NEEDED = ("LG_COORDINATOR", "LG_PLACE", "LG_IMAGE", "STOOP")

pytestmark = pytest.mark.skipif(
    not all(os.environ.get(name) for name in NEEDED), reason=f"no lab: {', '.join(NEEDED)} are not set"
)


def client(*words: object) -> str:
    """Run labgrid-client and return what it prints."""
    program = Path(sys.executable).parent / "labgrid-client"
    # Where it is not installed, labgrid-client is to find the package as well.
    search = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search.rstrip(os.pathsep)}
    said = subprocess.run([program, *words], check=False, capture_output=True, text=True, timeout=600, env=environment)
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def place() -> str:
    """Return the place's name, and have it for as long as these tests run."""
    name = os.environ["LG_PLACE"]
    client("-p", name, "acquire")
    yield name
    client("-p", name, "release")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return the example with the path of stoop and this lab's board."""
    text = EXAMPLE.read_text().replace("qemu-malta-le", os.environ.get("STOOP_BOARD", "qemu-malta-le"))
    path = tmp_path / "environment.yaml"
    path.write_text(f"tools: {{stoop: {os.environ['STOOP']}}}\n{text}")
    return path


@pytest.fixture
def board(environment: Path) -> StoopStrategy:
    """Return the target's strategy, and switch the board off afterwards."""
    target = labgrid.Environment(str(environment)).get_target("main")
    strategy = target.get_driver("StoopStrategy", activate=False)
    yield strategy
    strategy.broken = None
    strategy.transition("off")


def test_a_board_that_is_off_comes_to_its_kernel_and_goes_off_again(board: StoopStrategy) -> None:
    """Every state is what the relay says."""
    board.transition("off")
    assert not board.power.get()
    board.transition("kernel")
    assert board.power.get()
    events = [event["event"] for event in board.stoop.events]
    assert [event for event in events if event in MILESTONES] == MILESTONES, events
    board.transition("off")
    assert not board.power.get()


def test_an_image_that_is_not_there_leaves_the_board_off(board: StoopStrategy) -> None:
    """The failure has stoop's own words."""
    board.stoop.image = "/no/such/image"
    with pytest.raises(StrategyError) as failure:
        board.transition("kernel")
    cause = failure.value.__cause__
    assert isinstance(cause, NetbootError), cause
    assert "/no/such/image" in str(cause)
    assert not board.power.get()


def test_a_shell_is_refused_where_there_is_none(board: StoopStrategy) -> None:
    """The message says what the target lacks."""
    with pytest.raises(StrategyError) as failure:
        board.transition("shell")
    assert "no ShellDriver" in str(failure.value.__cause__)


def test_the_command_line_brings_it_to_a_state(environment: Path) -> None:
    """``labgrid-client -s kernel`` knows the strategy by the import alone."""
    assert client("-c", environment, "-s", "kernel", "power", "get").endswith("is on")
    assert client("-c", environment, "-s", "off", "power", "get").endswith("is off")
