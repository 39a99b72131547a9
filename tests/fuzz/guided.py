"""One target under libFuzzer, by atheris: `python -m tests.fuzz.guided TARGET [libFuzzer's options]`.

It never returns: libFuzzer ends the process. What is imported inside `instrument_imports` reports its branches.
"""

import sys


def main(name: str, options: list[str]) -> None:
    """Hand the process to libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=["agent", "wire", "hardware", "provisioning", "central"]):
        from tests.fuzz.outside import prepared

        target = prepared(name)
    atheris.Setup([sys.argv[0], *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
