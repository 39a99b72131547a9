"""One target under libFuzzer, by atheris: `python -m tests.fuzz.guided TARGET [libFuzzer's options] FOLDER`.

The folder gets the seeds, then whatever reaches new code.

It never returns: libFuzzer ends the process. What is imported inside `instrument_imports` reports its branches.
"""

import sys
from pathlib import Path


def main(name: str, options: list[str]) -> None:
    """Hand the process to libFuzzer."""
    import atheris

    ours = ["agent", "rules", "wire", "hardware", "provisioning", "central"]
    with atheris.instrument_imports(include=[*ours, "tomllib"]):
        from tests.fuzz.outside import prepared

        target = prepared(name)
    folder = next(Path(option) for option in options if not option.startswith("-"))
    for at, data in enumerate(target.seeds()):
        (folder / f"seed-{at}").write_bytes(data)
    atheris.Setup([sys.argv[0], *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
