"""Short notices to the processes that hold devices' connections.

A notice may be lost: the layer drops what is over its capacity, and Redis may be away. The versions in heartbeats are
the truth; a notice only saves the wait for the next one.
"""

import logging
from typing import Any, Final
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

GROUP: Final = "doorstile.links"
"""The group that every process with connections listens to."""
TYPE: Final = "link.hint"

_log = logging.getLogger(__name__)


def directory_changed(site_id: UUID) -> None:
    """Say that a site's directory has a new version. Call it after the commit, from synchronous code."""
    _send({"what": "directory", "site": str(site_id)})


def presence_changed(site_id: UUID) -> None:
    """Say that somebody came or went at a site. Call it after the commit, from synchronous code."""
    _send({"what": "presence", "site": str(site_id)})


def command_due(device_id: UUID) -> None:
    """Say that a device has a command to fetch. Call it after the commit, from synchronous code."""
    _send({"what": "command", "device": str(device_id)})


def revoked(device_id: UUID) -> None:
    """Say that a device lost its right to connect. Call it after the commit, from synchronous code."""
    _send({"what": "revoked", "device": str(device_id)})


def _send(notice: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(GROUP, {"type": TYPE, **notice})
    except (OSError, RedisError, ChannelFull) as fault:
        _log.warning("notice %s not sent: %s; devices learn of it with their next heartbeat", notice["what"], fault)
