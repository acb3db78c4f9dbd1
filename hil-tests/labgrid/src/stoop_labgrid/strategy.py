"""The states of a board that stoop starts: off, kernel, shell."""

from __future__ import annotations

import enum

import attr
from labgrid.factory import target_factory
from labgrid.strategy import Strategy, StrategyError, never_retry


class Status(enum.Enum):
    """What the board does."""

    unknown = 0
    off = 1
    kernel = 2
    shell = 3


@target_factory.reg_driver
@attr.s(eq=False)
class StoopStrategy(Strategy):
    """Bring a board to ``off``, ``kernel`` (started by stoop) or ``shell`` (logged in by the ShellDriver).

    A console driver and a ShellDriver are used when the target has them.
    """

    # labgrid reads it from the class and does not change it.
    bindings = {  # noqa: RUF012
        "power": "PowerProtocol",
        "stoop": "StoopDriver",
        "console": {"ConsoleProtocol", None},
        "shell": {"ShellDriver", None},
    }

    status = attr.ib(default=Status.unknown)

    @never_retry
    def transition(self, status: Status | str) -> None:
        """Bring the board to that state."""
        status = status if isinstance(status, Status) else Status[status]
        if status is Status.unknown:
            raise StrategyError("a board cannot be brought to an unknown state")
        if status is self.status:
            return
        if status is Status.off:
            self._switch_off()
        elif status is Status.kernel:
            self._start()
        else:
            if self.shell is None:
                raise StrategyError("the target has no ShellDriver")
            self.transition(Status.kernel)
            self.target.activate(self.shell)
        self.status = status

    @never_retry
    def force(self, status: Status | str) -> None:
        """Take the board as being in that state already."""
        status = status if isinstance(status, Status) else Status[status]
        driver = {Status.off: self.power, Status.kernel: self.console, Status.shell: self.shell}.get(status)
        if driver is None:
            raise StrategyError(f"the state {status.name} cannot be forced on this target")
        self.target.activate(driver)
        self.status = status

    def _switch_off(self) -> None:
        for driver in (self.shell, self.console, self.stoop):
            if driver is not None:
                self.target.deactivate(driver)
        self.target.activate(self.power)
        self.power.off()

    def _start(self) -> None:
        """Have stoop listen first and switch power on when it waits: no byte of the start is lost."""
        self._switch_off()
        self.status = Status.off
        self.target.activate(self.stoop)
        self.stoop.on_restart = self.power.on
        try:
            self.stoop.boot()
        except Exception:
            # What does not start is not left on.
            self.power.off()
            raise
        finally:
            self.stoop.on_restart = None
            self.target.deactivate(self.stoop)
        if self.console is not None:
            self.target.activate(self.console)
