"""The agent's configuration: one TOML file, checked once, at the boundary.

Every key but `profile` has a default that suits a device; what hangs at the door has to be named, and nothing stands in
for it. An error names the full key, the value and the remedy.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from agent.errors import ConfigError
from hardware.explain import NotTomlError, explain, read_toml

DEFAULT_PATH: Final = Path("/etc/doorstile/agent.toml")

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
MebiBytes = Annotated[int, msgspec.Meta(ge=1)]
PathText = Annotated[str, msgspec.Meta(title="text", pattern=r"^[^\x00]+$", max_length=4096)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the file's tables."""


class DoorConfig(_Section, frozen=True, kw_only=True):
    """How the door behaves."""

    hold_off_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3.0
    """A second presentation by the same person in the same direction within this time is the same presentation.

    What staff ask for by a double tap has to come within it."""
    held_open_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 30.0
    """How long the door may stand open before that is an alarm; needs a door contact."""
    relock_when_opened: bool = True
    """Whether the lock closes as soon as the door was opened, instead of at the end of its time."""
    own_text: Annotated[str, msgspec.Meta(min_length=1, max_length=17)] = "Ring the bell"
    """What the page says to do where the door cannot help and nobody answers."""


class LinkConfig(_Section, frozen=True, kw_only=True):
    """How central is reached; where it is stands in the identity that `doorstile join` wrote."""

    ca_file: PathText | None = None
    """Certificates to trust instead of the system's, PEM."""
    pin: str | None = None
    """SHA-256 of central's public key (SubjectPublicKeyInfo), hex; checked besides the chain."""
    proxy: str | None = None
    """HTTP proxy for the connection; none is used unless it stands here."""
    open_timeout_s: Seconds = 10.0
    """How long a connection may take to come up."""


class JournalConfig(_Section, frozen=True, kw_only=True):
    """How much the device keeps."""

    max_mib: MebiBytes = 512
    """Size limit of the journal; acknowledged events go first, check-ins that wait never."""
    keep_acknowledged: Annotated[int, msgspec.Meta(ge=0)] = 20_000
    """Acknowledged events that stay, so that a central restored from a backup can ask for them again."""


class KioskConfig(_Section, frozen=True, kw_only=True):
    """The local page. It listens on the loopback interface only."""

    enabled: bool = True
    """Whether the page is served."""
    port: Port = 8080
    """TCP port; 0 takes any free one and logs it."""


class Config(_Section, frozen=True, kw_only=True):
    """Everything that the file may say."""

    state: PathText = "/var/lib/doorstile"
    """Folder of the device's identity, journal and directory; one agent at a time."""
    profile: PathText | None = None
    """Hardware profile: the name of a shipped one, or a path ending in .toml. The agent does not start without."""
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"
    """Least severe message that is logged."""
    door: DoorConfig = DoorConfig()
    link: LinkConfig = LinkConfig()
    journal: JournalConfig = JournalConfig()
    kiosk: KioskConfig = KioskConfig()

    @property
    def state_folder(self) -> Path:
        """`state` as a path."""
        return Path(self.state)

    @property
    def named_profile(self) -> str:
        """`profile`; raise ConfigError where none is named."""
        if self.profile is None:
            raise ConfigError(
                'profile: not named; say what hangs at the door: profile = "acr122u-relay" in the configuration, or '
                "--profile simulated to try without hardware"
            )
        return self.profile


def load_config(path: Path | None) -> Config:
    """Read the file at `path`, or the default one where it exists; raise ConfigError with key, value and remedy."""
    if path is None:
        if not DEFAULT_PATH.exists():
            return Config()
        path = DEFAULT_PATH
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path}: cannot be read ({error}); check the path and its rights") from error
    return parse_config(text, source=str(path))


def parse_config(text: str, *, source: str = "<text>") -> Config:
    """Check the text of a configuration; `source` is how messages call it."""
    try:
        raw = read_toml(text)
    except NotTomlError as error:
        raise ConfigError(f"configuration {source}: not valid TOML: {error}; correct that line") from error
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"configuration {source}: {explain(error, raw)}") from error


def overridden(config: Config, *, state: Path | None, profile: str | None, kiosk_port: int | None) -> Config:
    """Return the configuration with what the command line says instead; None changes nothing."""
    if state is not None:
        config = msgspec.structs.replace(config, state=str(state))
    if profile is not None:
        config = msgspec.structs.replace(config, profile=profile)
    if kiosk_port is not None:
        config = msgspec.structs.replace(config, kiosk=msgspec.structs.replace(config.kiosk, port=kiosk_port))
    return config
