"""What a workload claimed before the power went, and so what must be true of the files after it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tried:
    """An event that may be there: the promise that it opens or settles."""

    opens: str
    settles: str
    outcome: str


@dataclass(slots=True)
class Replaced:
    """Something that is replaced as a whole: version `done` is durable, `begun` may be."""

    done: str = ""
    begun: str = ""


@dataclass(slots=True)
class Claims:
    """All claims up to a crash point."""

    tried: dict[str, Tried] = field(default_factory=dict)
    durable: dict[tuple[str, int], str] = field(default_factory=dict)
    acking: dict[str, int] = field(default_factory=dict)
    acked: set[str] = field(default_factory=set)
    forgetting: set[str] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)
    wholes: dict[str, Replaced] = field(default_factory=dict)

    def note(self, words: list[str]) -> None:
        """Take in one claim."""
        match words:
            case ["run", run]:
                self.runs.append(run)
            case ["trying", key, *promise]:
                self.tried[key] = Tried(*("" if word == "-" else word for word in promise))
            case ["durable", run, n, key]:
                self.durable[run, int(n)] = key
            case ["acking", run, n, *keys]:
                self.acked.update(keys)
                self.acking[run] = max(int(n), self.acking.get(run, 0))
            case ["forgetting", key]:
                self.forgetting.add(key)
            case [what, version]:
                self._note_whole(what, version)
            case _:
                raise ValueError(f"no such claim: {words}")

    def _note_whole(self, what: str, version: str) -> None:
        name = what.removesuffix("-begun")
        whole = self.wholes.setdefault(name, Replaced())
        if what == name:
            whole.done = version
        whole.begun = version

    def allowed(self, name: str) -> set[str]:
        """Return the versions of a whole that may be found; "" is none."""
        whole = self.wholes.get(name, Replaced())
        return {whole.done, whole.begun}
