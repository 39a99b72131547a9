"""The whole machine on one page: configuration -> objects -> one TaskGroup.

Nothing else puts parts together, and what opens for somebody is reached from here alone. Read it from top to bottom:
what the agent is made of, how the parts are wired to each other, and what runs at once.

    readers ─▶ Presenter ─▶ Station ─▶ Journal (durable) ─▶ Acting ─▶ strike, light, buzzer, kiosk page
                (facts)     (decides)      │                  Keeper, a process of its own: off, if we die
                   ▲                       ▼
     Directory, Whereabouts, Keyring ◀── Link ◀─▶ central     (one WebSocket)

Staleness and Revocation say what central's silence, and its word, mean for decisions; `upkeep` has the small loops.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from agent import __version__, upkeep
from agent.acting import Acting, lock_of
from agent.capturing import Captures
from agent.clock import Clock, SimulatedTime, SystemTime, boot_id, has_rtc
from agent.commanding import Commanding, remembered_results
from agent.config import Config
from agent.core.types import EventId, OpenPromise
from agent.describing import described, vitals_of
from agent.fitting import door_of, passage_sense
from agent.identity import Identity, load_identity
from agent.keyring import Keyring
from agent.kiosk.server import Kiosk
from agent.kiosk.words import words_of
from agent.presenting import Presenter
from agent.reading import forms_of, places_of
from agent.revocation import Revocation
from agent.site_clock import ZONE_KEY, zone_name
from agent.staleness import Staleness
from agent.station import Station
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.store.kept import mark_of
from agent.store.notes import DIRECTORY
from agent.store.types import Draft, JournalLimits
from agent.supervise import Notifier, start_anew
from agent.sync.connect import Endpoint, LinkGate
from agent.sync.runner import Link, central_key
from hardware.base import Hardware
from hardware.errors import HardwareError
from hardware.factory import build, out_of_service
from hardware.keeper import Keeper
from hardware.profiles import Profile, load_profile
from wire.events import StartedBody
from wire.vocabulary import AlarmCode, EventKind

if TYPE_CHECKING:
    from agent.simulation import Simulation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything at one door, wired together and not yet running."""

    config: Config
    identity: Identity
    hardware: Hardware
    time: SimulatedTime
    clock: Clock
    journal: Journal
    directory: Directory
    presenter: Presenter
    staleness: Staleness
    revocation: Revocation
    station: Station
    link: Link
    kiosk: Kiosk
    simulation: "Simulation | None"


async def work(config: Config) -> None:
    """Work the door until cancelled; raise what must end the process. The outputs are off when this returns."""
    profile = load_profile(config.named_profile)
    identity = load_identity(config.state_folder)
    hardware, fault = _hardware(profile)
    keeper = Keeper(None) if fault else Keeper.over(profile, hardware.reports)
    try:
        async with _stores(config, identity) as (journal, directory), asyncio.TaskGroup() as tasks:
            agent = _assemble(config, profile, identity, hardware, journal, directory, tasks)
            await _record_start(agent)
            _start(agent, tasks)
            if fault:
                await start_anew(fault)
    finally:
        hardware.close()
        keeper.dismiss()


def _hardware(profile: Profile) -> tuple[Hardware, str]:
    """Return the door's hardware; where it cannot be had, what keeps the door out of service, and why."""
    if profile.rtc and not has_rtc():
        log.warning("profile %s asks for a battery-backed clock; see: doorstile hardware list", profile.name)
    try:
        return build(profile), ""
    except HardwareError as error:
        log.critical("out of service: %s", error)
        return out_of_service(profile, str(error)), str(error)


@asynccontextmanager
async def _stores(config: Config, identity: Identity) -> AsyncIterator[tuple[Journal, Directory]]:
    """Open both files of the device; one that is damaged never costs the other."""
    limits = JournalLimits(max_bytes=config.journal.max_mib << 20, keep_events=config.journal.keep_acknowledged)
    journal = Journal.open(config.state_folder, device=identity.device, limits=limits)
    try:
        directory = Directory.open(config.state_folder, journal.noted(DIRECTORY))
        try:
            yield journal, directory
        finally:
            await directory.close()
    finally:
        await journal.close()


def _assemble(
    config: Config,
    profile: Profile,
    identity: Identity,
    hardware: Hardware,
    journal: Journal,
    directory: Directory,
    tasks: asyncio.TaskGroup,
) -> Agent:
    """Construct every part and tell each of those that it talks to."""
    time = SimulatedTime(SystemTime())  # the system's own, until somebody who tries out a wrong clock shifts it
    clock = Clock(time, boot=boot_id(), has_rtc=has_rtc())
    lock = lock_of(hardware.strike, hardware.turnstile)
    acting = Acting(lock, hardware.light, hardware.buzzer, clock=clock, tasks=tasks, interlock=hardware.interlock)
    revocation = Revocation(directory, journal)
    staleness = Staleness(directory, clock, None if directory.issue is None else directory.issue.issued_ms)
    whereabouts = upkeep.whereabouts_of(journal, directory, clock)
    keyring = Keyring(identity, config.state_folder, lambda: central_key(identity, directory))
    presenter = Presenter(
        directory,
        journal,
        clock,
        keyring,
        book=lambda: directory.book,
        age_s=staleness.age_s,
        is_revoked=lambda: revocation.is_revoked,
        is_doubtful=journal.is_doubtful,
        presence=whereabouts,
    )
    captures = Captures(identity.device, lambda: central_key(identity, directory))
    station = Station(
        door_of(profile, config.door, name=identity.name, run=journal.run),
        places_of(profile),
        journal=journal,
        presenter=presenter,
        acting=acting,
        clock=clock,
        captures=captures,
        keyring=keyring,
    )
    gate = LinkGate()
    link = Link(
        Endpoint(
            identity.central,
            ca_pem=_ca_of(config, identity),
            pin=config.link.pin or identity.pin,
            proxy=config.link.proxy,
            open_timeout_s=config.link.open_timeout_s,
        ),
        identity,
        outbox=journal,
        directory=directory,
        commands=Commanding(station, journal, captures, keyring),
        clock=clock,
        random=SystemRandom(),
        agent=__version__,
        vitals=lambda: vitals_of(config.state_folder, hardware, station, journal),
        gate=gate,
        presence=whereabouts,
        forms=forms_of(profile),
        is_desk=profile.desk,
        keys=lambda: keyring.ids,
    )
    upkeep.learn_floor(clock, directory)
    _listen(link, clock, journal, directory, staleness, revocation)
    play = None
    if profile.is_simulated:
        from agent.simulation import simulate

        play = simulate(hardware, time, gate, lambda: described(hardware, station, journal, directory, link, time))
    panel, parts = (play.press, play.inputs.roles) if play is not None else (None, ())
    kiosk = Kiosk(
        door=identity.name,
        port=config.kiosk.port,
        own_text=config.door.own_text,
        panel=panel,
        parts=parts,
        time_zone=lambda: zone_name(directory.book, directory.get(ZONE_KEY), identity.time_zone),
    )
    acting.listeners.append(kiosk.show)
    if hardware.display is not None:
        display, own_text = hardware.display, config.door.own_text
        acting.listeners.append(lambda screen: display.show(*words_of(screen, own_text)))
    if play is not None:
        station.listeners.append(play.hearing.heard)
        acting.listeners.append(play.visitors.look)
        play.visitors.is_watched = lambda: kiosk.is_watched
    return Agent(
        config=config,
        identity=identity,
        hardware=hardware,
        time=time,
        clock=clock,
        journal=journal,
        directory=directory,
        presenter=presenter,
        staleness=staleness,
        revocation=revocation,
        station=station,
        link=link,
        kiosk=kiosk,
        simulation=play,
    )


def _listen(
    link: Link, clock: Clock, journal: Journal, directory: Directory, staleness: Staleness, revocation: Revocation
) -> None:
    """Hand on what central says beside commands; the order among listeners means nothing."""
    link.on_server_time.append(lambda told: clock.learn_server(told.asked_ms, told.answered_ms, told.server_ms))
    link.on_server_time.append(lambda told: staleness.heard() if told.is_current else None)
    link.on_directory.append(lambda _: staleness.heard())
    link.on_directory.append(lambda _: upkeep.learn_floor(clock, directory))
    link.on_directory.append(lambda ref: journal.note(DIRECTORY, mark_of(ref)))
    link.on_revoked.append(lambda is_revoked: revocation.told(is_revoked=is_revoked))


async def _record_start(agent: Agent) -> None:
    """Write that this run began, and how everything ended that a crash cut off. Nothing opens here."""
    at = agent.clock.stamp(agent.clock.now())
    senses = passage_sense(agent.station.state.door)
    drafts = [Draft(EventKind.STARTED, at, StartedBody(agent=__version__, senses=senses))]
    for found in agent.journal.report.found:
        log.warning("journal: %s", found)
        drafts.append(upkeep.alarm(AlarmCode.JOURNAL_DAMAGED, found, at))
    if agent.directory.found is not None:
        log.warning("directory: %s", agent.directory.found)
        drafts.append(upkeep.alarm(AlarmCode.DIRECTORY_DAMAGED, agent.directory.found, at))
    if agent.directory.ref is not None:
        agent.journal.note(DIRECTORY, mark_of(agent.directory.ref))
    await agent.journal.append_many(drafts)
    open_promises = agent.journal.open_promises()
    await agent.station.recover(tuple(OpenPromise(p.key, EventId(p.run, p.n)) for p in open_promises))
    # After that: what the crash cut off has ended as well, and central waits to hear how.
    agent.link.remember(remembered_results(tuple(agent.journal.settled_promises())))


def _start(agent: Agent, tasks: asyncio.TaskGroup) -> None:
    """Let everything run at once; the first part that ends unexpectedly ends them all."""
    notifier = Notifier()
    tasks.create_task(agent.journal.watch(), name="journal-watch")
    tasks.create_task(agent.station.run(), name="station")
    for part in agent.hardware.inputs:  # before the schedule, which may open: a fire may be on, or the other door open
        tasks.create_task(part.run(agent.station.sense), name=f"input-{part.name}")
    tasks.create_task(agent.station.keep_schedule(), name="schedule")
    for reader in agent.hardware.readers:
        tasks.create_task(reader.run(agent.station.present), name=f"reader-{reader.name}")
    tasks.create_task(agent.link.run(tasks), name="link")
    link, journal, clock = agent.link, agent.journal, agent.clock
    tasks.create_task(upkeep.show_link(link, journal, clock, agent.kiosk, notifier), name="link-state")
    tasks.create_task(upkeep.anchor_time(link, journal, clock), name="anchor")
    tasks.create_task(upkeep.settle_doubt(journal, clock), name="doubt")
    tasks.create_task(upkeep.scrub_journal(journal, clock), name="scrubber")
    tasks.create_task(upkeep.scrub_directory(agent.directory, journal, link, clock), name="directory-scrubber")
    tasks.create_task(agent.revocation.keep(), name="revocation")
    tasks.create_task(upkeep.keep_ready(agent.presenter, agent.staleness), name="upkeep")
    tasks.create_task(notifier.feed_watchdog(), name="watchdog")
    if agent.simulation is not None:
        from agent.simulation import serve

        tasks.create_task(serve(agent.simulation, agent.config.state_folder), name="control")
    if agent.config.kiosk.enabled:
        tasks.create_task(agent.kiosk.run(), name="kiosk")
    notifier.ready(f"{agent.identity.name}: reading cards")
    log.info("%s is open: profile %s, run %s", agent.identity.name, agent.config.profile, agent.journal.run)


def _ca_of(config: Config, identity: Identity) -> str | None:
    """Return the certificates to trust, PEM: the configuration's, else those of the enrolment, else the system's."""
    if config.link.ca_file is not None:
        return Path(config.link.ca_file).read_text(encoding="ascii")
    return identity.ca_pem
