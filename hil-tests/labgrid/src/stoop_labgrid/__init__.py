"""labgrid drivers that start a board through stoop.

Importing this package registers them with labgrid: an environment file needs ``imports: [stoop_labgrid]``.
"""

from .driver import StoopDriver
from .netboot import NetbootError
from .strategy import Status, StoopStrategy

__all__ = ["NetbootError", "Status", "StoopDriver", "StoopStrategy"]
