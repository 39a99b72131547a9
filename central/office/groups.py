"""How the administration is ordered: by what staff want to do, each list with one line that says what it is for."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Listed:
    """One list; `model` is its app's label and its name, `name` what it is called here if not as there."""

    model: str
    says: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Lists that are used together."""

    name: str
    says: str
    lists: tuple[Listed, ...]


GROUPS: Final = (
    Grouped("People", "Who may come, and by what", (
        Listed("directory.Member", "Who may come: sites, plan, cards, rights"),
        Listed("directory.Credential", "Cards and codes, whose they are, and if they are revoked"),
        Listed("passes.Pass", "Every pass that was issued; new ones under Passes on the dashboard"),
        Listed("presence.Whereabouts", "Who is inside by the record; lets somebody in once more"),
        Listed("desk.Capture", "Which cards were read, by whom and for whom"),
    )),
    Grouped("What happened", "From the doors' own records; stays as it is", (
        Listed("checkins.Visit", "Who came, from when to when"),
        Listed("checkins.Event", "Each thing that a door wrote down"),
        Listed("checkins.Alert", "What central noticed in the record; to be acknowledged"),
    )),
    Grouped("Hours and rules", "When and where they may pass", (
        Listed("directory.Plan", "What a membership includes: hours and zones"),
        Listed("directory.Schedule", "Hours of the week by name, for plans, groups and doors"),
        Listed("directory.Holiday", "Days on which the hours for holidays hold"),
        Listed("directory.Group", "Members who share hours, zones or limits"),
        Listed("directory.Zone", "Areas behind doors, and how many may be in them"),
        Listed("directory.SiteRules", "What holds at every door of a site, also without the link"),
        Listed("directory.DoorRules", "What one door does: its zone, mode and hours"),
        Listed("directory.CredentialClass", "What each kind of card or code is good for"),
    )),
    Grouped("Sites and doors", "What stands where", (
        Listed("devices.Site", "Places, each with its time zone"),
        Listed("devices.Door", "Doors; a new device joins by a code made here"),
        Listed("devices.Device", "What works the doors; revoke one that was stolen"),
        Listed("devices.EnrolmentCode", "Codes by which devices join, used and unused"),
        Listed("devices.Command", "What doors were asked to do, by whom, and what came of it"),
        Listed("parts.DoorForm", "Doors whose readers see only a part of a card's number"),
    )),
    Grouped("For technicians", "Of the record and the keys; not needed day by day", (
        Listed("checkins.Run", "Journals of devices, and how far central has them"),
        Listed("checkins.Loss", "Events that a device declared lost"),
        Listed("checkins.DeadLetter", "Events that central could not use; to be tried again"),
        Listed("review.ReviewedRun", "Decisions made again from the record, and if they agree"),
        Listed("passes.PassKey", "Keys that sign passes"),
        Listed("rotation.KeyRotation", "Changes of the key under which devices know cards"),
    )),
    Grouped("Accounts", "Who may do what at central", (
        Listed("auth.User", "Staff who log in"),
        Listed("auth.Group", "Rights that several of the staff share", "Groups of staff"),
        Listed("api.ApiKey", "Other systems that read or change members"),
    )),
)  # fmt: skip
