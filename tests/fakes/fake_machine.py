"""A tree like `/sys` and `/dev`, with what a test plugs in."""

from pathlib import Path


class FakeMachine:
    """Plug things in, then look with `root` before the paths."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._events = 0

    def usb(self, port: str, usb_id: str, product: str, *, maker: str = "", faces: tuple[tuple[str, str], ...]) -> None:
        """Plug a device into a socket; `faces` are class and protocol of its interfaces, in hex."""
        vendor, _, number = usb_id.partition(":")
        bus = self.root / "sys/bus/usb/devices"
        self._write(bus / port / "idVendor", vendor)
        self._write(bus / port / "idProduct", number)
        self._write(bus / port / "product", product)
        if maker:
            self._write(bus / port / "manufacturer", maker)
        for at, (kind, protocol) in enumerate(faces):
            self._write(bus / f"{port}:1.{at}" / "bInterfaceClass", kind)
            self._write(bus / f"{port}:1.{at}" / "bInterfaceProtocol", protocol)

    def card_reader(self, port: str = "1-1.1") -> None:
        self.usb(port, "072f:2200", "ACR122U PICC Interface", maker="ACS", faces=(("0b", "00"),))

    def keyboard(self, port: str, usb_id: str, product: str) -> None:
        """Plug in something that types."""
        self.usb(port, usb_id, product, faces=(("03", "01"), ("03", "00")))
        self.typing(f"usb-0000:01:00.0-{port.partition('-')[2]}/input0", usb_id, product)

    def typing(self, phys: str, usb_id: str, name: str, *, has_keys: bool = True) -> None:
        """Add an input device."""
        vendor, _, number = usb_id.partition(":")
        device = self.root / f"sys/class/input/event{self._events}/device"
        self._events += 1
        self._write(device / "id/vendor", vendor)
        self._write(device / "id/product", number)
        self._write(device / "phys", phys)
        self._write(device / "name", name)
        self._write(device / "capabilities/ev", "120013" if has_keys else "5")

    def serial(self, name: str) -> None:
        self._write(self.root / "dev/serial/by-id" / name, "")

    def gpio_chip(self, number: int = 0) -> Path:
        return self._write(self.root / f"dev/gpiochip{number}", "")

    def i2c(self, bus: int = 1) -> None:
        self._write(self.root / f"dev/i2c-{bus}", "")

    def watchdog(self, state: str = "active") -> None:
        """Fit a watchdog; without a state the kernel says nothing of it."""
        folder = self.root / "sys/class/watchdog/watchdog0"
        folder.mkdir(parents=True)
        if state:
            self._write(folder / "identity", "Broadcom BCM2835 Watchdog timer")
            self._write(folder / "state", state)

    def rtc(self, name: str = "rtc-ds1307 1-0068") -> None:
        self._write(self.root / "sys/class/rtc/rtc0/name", name)

    @staticmethod
    def _write(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        return path
