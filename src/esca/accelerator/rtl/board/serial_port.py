"""A serial port as a stream of bytes; needs the extra ``board`` (pyserial)."""

from esca.errors import EscaError
from esca.runtime.extra import needed

QUIET_SECONDS = 0.5
"""Without a byte, behind which no answer is expected any more."""


class SerialPort:
    """The port at ``path`` at ``baud``; EscaError where it cannot be opened, read or written."""

    def __init__(self, path: str, baud: float) -> None:
        self._serial = needed("serial", "board")
        self._path = path
        try:
            self._port = self._serial.Serial(path, int(baud), timeout=QUIET_SECONDS)
        except (self._serial.SerialException, ValueError) as error:
            raise EscaError(f"board: {path}: {error}") from error

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
        except self._serial.SerialException as error:
            raise EscaError(f"board: {self._path}: {error}") from error

    def read(self) -> bytes:
        """What has come, 1 byte or more; none where nothing comes for a while."""
        try:
            first: bytes = self._port.read(1)
            more: bytes = self._port.read(self._port.in_waiting) if first else b""
        except self._serial.SerialException as error:
            raise EscaError(f"board: {self._path}: {error}") from error
        return first + more

    def close(self) -> None:
        """Give the port back."""
        self._port.close()
