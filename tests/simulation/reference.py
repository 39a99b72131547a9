"""The site as it truly is, and a second opinion on every decision, written without a look at the agent's rules.

`judge` works from the published order of denials: no directory, unknown, revoked, device revoked, inactive, clock
unknown, not yet valid, expired. The last five are asked of those who come in only.
"""

from dataclasses import dataclass, field

from wire.directory import directory_digest
from wire.events import DecisionBody, Stamp
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, Direction, Outcome, Reason

Verdict = tuple[Outcome, Reason]


@dataclass
class Site:
    """Every version of every device's directory that central ever had, and when each boot began."""

    versions: dict[tuple[str, str, int], dict[str, DirectoryRow]] = field(default_factory=dict)
    refs: dict[str, DirectoryRef] = field(default_factory=dict)
    booted: dict[str, int] = field(default_factory=dict)

    def publish(self, device: str, epoch: str, ver: int, rows: list[DirectoryRow]) -> None:
        """Make a version the newest of a device; rows are in order of key."""
        self.versions[device, epoch, ver] = {row.key: row for row in rows}
        self.refs[device] = DirectoryRef(epoch, ver, directory_digest(rows))

    def newest(self, device: str) -> list[DirectoryRow]:
        """Return the rows in force."""
        ref = self.refs[device]
        return list(self.versions[device, ref.epoch, ref.ver].values())

    def true_at(self, boot: str, mono_ms: int) -> int:
        """Return the true wall time at a moment of a boot."""
        return self.booted[boot] + mono_ms


def judge(site: Site, device: str, decided: DecisionBody, at: Stamp, *, is_shut_out: bool = False) -> Verdict:
    """Return what has to be decided about a presentation with the directory that its receipt names.

    `is_shut_out` where central has told the device that it may not work any more.
    """
    receipt, credential = decided.receipt, decided.credential
    if not receipt.dir_epoch:
        return Outcome.DENY, Reason.NO_DIRECTORY
    held = site.versions[device, receipt.dir_epoch, receipt.dir_ver].get(credential)
    if held is None:
        return Outcome.DENY, Reason.UNKNOWN_CREDENTIAL
    if held.is_revoked:
        return Outcome.DENY, Reason.CREDENTIAL_REVOKED
    if decided.direction is Direction.OUT:
        return Outcome.GRANT, Reason.MEMBER_VALID
    if is_shut_out:
        return Outcome.DENY, Reason.DEVICE_REVOKED
    if not held.is_active:
        return Outcome.DENY, Reason.MEMBER_INACTIVE
    return _judge_time(held, at)


def _judge_time(held: DirectoryRow, at: Stamp) -> Verdict:
    begins, ends = held.valid_from_ms, held.valid_to_ms
    if begins is None and ends is None:
        return Outcome.GRANT, Reason.MEMBER_VALID
    if at.q is ClockQuality.NONE:
        return Outcome.DENY, Reason.CLOCK_UNKNOWN
    if begins is not None and begins > at.wall_ms:
        return Outcome.DENY, Reason.NOT_YET_VALID
    if ends is not None and not ends > at.wall_ms:
        return Outcome.DENY, Reason.EXPIRED
    return Outcome.GRANT, Reason.MEMBER_VALID
