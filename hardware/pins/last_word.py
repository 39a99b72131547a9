"""What the keeper runs: it waits until the agent is gone, and then switches the agent's lines off.

`python -I -S last_word.py AGENT CHIP LINE=LEVEL...`: the agent's process id, and its pipe as standard input. `.` there
says that nothing is left to do; the pipe's end alone says that the agent died. `LINE UNTIL` says that a line is on
until then at most, in ms of CLOCK_MONOTONIC, or with 0 that it is off. An agent that has not switched off by then is
stopped or stuck, guard and all: it is killed, which ends a stopped process too, and is then as dead as any.

Each line is then requested with its resting level, which makes it an output at that level in one step (`struct
gpio_v2_line_request` in linux/gpio.h, Linux 5.10 and later), whether the kernel kept the dead agent's level or dropped
it to its pull. The lines of a process are let go one after another while it ends, so a busy one is asked for again;
after a while somebody new has it, and it is theirs.

Imports nothing of ours and little else: it waits for as long as the agent lives, in some MiB.
"""

import errno
import fcntl
import os
import select
import struct
import sys
import time

GET_LINE = 0xC250B407
"""_IOWR(0xB4, 0x07, struct gpio_v2_line_request)"""
REQUEST = struct.Struct("=64I32sQI5IIIQQ216xII5Ii")
"""Offsets and the name of whom they are for; flags; one attribute of ten; how many lines, and the answer."""
_FLAG_OUTPUT = 1 << 3
_OUTPUT_VALUES = 2
_NAME = b"doorstile-keeper"
TRIES = 250
RETRY_S = 0.002
SECOND_CHANCE_MS = 200
"""For an agent that slept together with the keeper, as in a machine that was suspended: it may be at it already."""
_SIGKILL = 9


def request(line: int, level: int) -> bytes:
    """Return the request for one line as an output at a level."""
    attribute = (_OUTPUT_VALUES, 0, level, 1)
    return REQUEST.pack(line, *[0] * 63, _NAME, _FLAG_OUTPUT, 1, *[0] * 5, *attribute, 1, 0, *[0] * 5, 0)


def is_left_to_us(pipe: int, agent: int) -> bool:
    """Wait until the other end is closed (True) or says that all is done (False), and kill an agent that is late."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    due_ms: dict[int, int] = {}
    unread = b""
    while True:
        if _is_late(poll, due_ms):
            due_ms.clear()
            end(agent)
        elif not (heard := os.read(pipe, 4096)):
            return True
        else:
            *lines, unread = (unread + heard).split(b"\n")
            if any(text.startswith(b".") for text in (*lines, unread)):
                return False
            for text in lines:
                hear(text, due_ms)


def hear(text: bytes, due_ms: dict[int, int]) -> None:
    """Note until when a line is on, or that it is off."""
    line, _, until_ms = text.partition(b" ")
    due_ms[int(line)] = int(until_ms)
    if not due_ms[int(line)]:
        del due_ms[int(line)]


def end(agent: int) -> None:
    """Kill the agent if it is still our parent; once it is dead its number may be somebody else's."""
    if os.getppid() == agent:
        os.write(2, b"keeper: a line is on past its ceiling and the agent does not switch it off; killing the agent\n")
        os.kill(agent, _SIGKILL)


def _is_late(poll: select.poll, due_ms: dict[int, int]) -> bool:
    """Wait for a word from the agent; True where none came until a line's time was over, and none right after."""
    if not due_ms:
        return not poll.poll()
    left_ms = min(due_ms.values()) - time.monotonic_ns() // 1_000_000
    return not poll.poll(max(0, left_ms)) and not poll.poll(SECOND_CHANCE_MS)


def rest(chip: int, levels: dict[int, int]) -> dict[int, int]:
    """Drive lines to their levels, in order. Return those that could not be had, with the error's number."""
    failed = dict.fromkeys(levels, errno.EBUSY)
    for _ in range(TRIES):
        for line in [line for line, number in failed.items() if number == errno.EBUSY]:
            failed[line] = _claim(chip, line, levels[line])
        failed = {line: number for line, number in failed.items() if number}
        if errno.EBUSY not in failed.values():
            break
        select.select([], [], [], RETRY_S)
    return failed


def _claim(chip: int, line: int, level: int) -> int:
    try:
        fcntl.ioctl(chip, GET_LINE, request(line, level))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def main(arguments: list[str]) -> int:
    """Keep watch; return the exit code."""
    agent, chip = int(arguments[0]), os.open(arguments[1], os.O_RDWR | os.O_CLOEXEC)
    levels = {int(line): int(level) for line, _, level in (text.partition("=") for text in arguments[2:])}
    if not is_left_to_us(0, agent):
        return 0
    failed = rest(chip, levels)
    words = ", ".join(f"GPIO{line}: {os.strerror(number)}" for line, number in failed.items())
    os.write(2, f"keeper: the agent died; its lines are at rest, but for: {words or 'none'}\n".encode())
    return 1 if failed else 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
