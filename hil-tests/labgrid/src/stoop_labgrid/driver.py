"""The driver that has stoop fetch and start an image over the board's console."""

from __future__ import annotations

import os
import pathlib
import socket
import urllib.parse
from typing import Any, Callable

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import LinuxBootProtocol
from labgrid.resource import SerialPort
from labgrid.step import step
from labgrid.util.proxy import proxymanager

from . import netboot

_OPTIONAL_TEXT = attr.validators.optional(attr.validators.instance_of(str))


@target_factory.reg_driver
@attr.s(eq=False)
class StoopDriver(Driver, LinuxBootProtocol):
    """Start an image with ``stoop netboot``.

    It has the serial *port*, not another driver's console: stoop talks to the bootloader itself. Whatever else has the
    port must be deactivated meanwhile; StoopStrategy does that. stoop serves the image itself, unless the place has a
    TFTPProvider whose folder is on this host.

    Args:
        image: a key of the environment's ``images``, or the path of a packed image
        board: the board as stoop knows it; from the image when it is left out
        until: a regular expression for the console at which the board counts as started; the kernel's first line when
            left out
        timeout: how long the start may take, in seconds
        options: more options for ``stoop netboot``

    """

    # labgrid reads it from the class and does not change it.
    bindings = {  # noqa: RUF012
        "port": {"SerialPort", "NetworkSerialPort"},
        "tftp": {"TFTPProvider", "RemoteTFTPProvider", None},
    }

    image = attr.ib(validator=attr.validators.instance_of(str))
    board = attr.ib(default=None, validator=_OPTIONAL_TEXT)
    until = attr.ib(default="Linux version ", validator=attr.validators.instance_of(str))
    timeout = attr.ib(default=300.0, converter=float)
    options = attr.ib(factory=list, validator=attr.validators.instance_of(list))

    def __attrs_post_init__(self) -> None:
        """Take the path of stoop from the environment's ``tools``."""
        super().__attrs_post_init__()
        environment = self.target.env
        self.stoop = environment.config.get_tool("stoop") if environment else "stoop"
        self.on_restart: Callable[[], None] | None = None
        self.events: list[netboot.Event] = []

    def on_activate(self) -> None:
        """Need nothing: stoop opens the port when it starts."""

    def on_deactivate(self) -> None:
        """Need nothing: stoop has closed the port when it has ended."""

    @Driver.check_active
    @step(args=["name"])
    def boot(self, name: str = "") -> None:
        """Start the image; ``name`` is another one than the driver's own.

        ``on_restart`` is called when stoop hears the console and waits for the board: the time to switch power on.

        Raises:
            NetbootError: the board did not start; its message is stoop's

        """
        words = netboot.command_line(
            self.stoop,
            self._image(name or self.image),
            serial=self._serial(),
            board=self.board,
            speed=self.port.speed,
            until=self.until,
            options=self._network() + [str(option) for option in self.options],
        )
        self.logger.info("starting %s", " ".join(words))
        self.events = netboot.run(words, self._on_event, self.timeout)

    @Driver.check_active
    def await_boot(self) -> None:
        """Have nothing to wait for: ``boot`` returns when the board has started."""

    @Driver.check_active
    def reset(self) -> None:
        """Cannot reset a board: power does."""
        raise NotImplementedError("switch the board's power")

    def _on_event(self, event: dict[str, Any]) -> None:
        self.logger.info("stoop: %s", event)
        if event["event"] == "restart-it" and self.on_restart is not None:
            self.on_restart()

    def _image(self, name: str) -> str:
        """Return the path of a key of ``images``, or the path that it is."""
        environment = self.target.env
        if environment is not None and name in environment.config.get_images():
            return environment.config.get_image_path(name)
        return os.fspath(pathlib.Path(name).expanduser())

    def _network(self) -> list[str]:
        """Return the options for the place's TFTP server, if its folder is here and the board sees nothing else."""
        if self.tftp is None:
            return []
        server = urllib.parse.urlsplit(self.tftp.external)
        host = getattr(self.tftp, "host", "localhost")
        here = host in ("localhost", "127.0.0.1", socket.gethostname())
        if not here or server.scheme != "tftp" or server.path.strip("/") or not server.hostname:
            return []
        return ["--address", server.hostname, "--tftp-folder", self.tftp.internal, "--board-address", "dhcp"]

    def _serial(self) -> str:
        """Return the port as stoop takes it, through labgrid's proxies where there are some."""
        if isinstance(self.port, SerialPort):
            return self.port.port
        host, port = proxymanager.get_host_and_port(self.port)
        scheme = "tcp" if self.port.protocol == "raw" else "rfc2217"
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{port}"
