"""`doorstile hardware key`: give an OSDP reader a key of its own."""

import click
import msgspec

from agent.commands.trying import HardwareFault, Result, known, run, with_profile
from hardware.profiles import OsdpReader, Profile


@click.command("key")
@click.argument("name", metavar="READER")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_profile
def key(profile: Profile, name: str, as_json: bool) -> None:
    """Give an OSDP reader a key of its own. Stop the agent first.

    It begins from the reader's install mode, or from the key that it has. The new key is random, goes into the reader's
    key_file for the agent's user alone, and is printed nowhere.
    """
    parts = {part.name: part for part in profile.readers if isinstance(part, OsdpReader)}
    known(name, list(parts), "OSDP reader")
    try:
        from hardware.readers.osdp_keying import give_key
    except ImportError as error:
        raise HardwareFault(f"libosdp is missing ({error}); pip install 'doorstile[osdp]'") from error
    run(give_key(parts[name]))
    detail = f"{name} answers by its new key, which is in {parts[name].key_file}"
    if as_json:
        click.echo(msgspec.json.encode(Result("key", passed=True, detail=detail)).decode())
    else:
        click.echo(f"key: ok, {detail}")
