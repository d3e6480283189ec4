"""The address of a stream, as people give it: ``redis://host/stream?group=shop``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from copyloom import InputError


@dataclass(frozen=True)
class Address:
    """An address, taken apart.

    Parameters
    ----------
    scheme, user, password : str
    hosts : str
        Host and port, or several of them with commas between.
    name : str
        Of the stream or topic.
    group : str
        Feeders of one group share the lines of a stream.
    settings : dict of str to str
        What else was asked for.
    """

    scheme: str
    user: str
    password: str
    hosts: str
    name: str
    group: str
    settings: dict[str, str]

    @property
    def shown(self) -> str:
        """The address without its password and settings."""
        return f"{self.scheme}://{self.hosts}/{self.name}"


def address_of(url: str, example: str, known: Collection[str]) -> Address:
    """Return the address that a URL is; `known` are settings that it may have, beside names with a dot in them.

    Raises
    ------
    InputError
        If it names no stream or group, or a setting that is not known; passwords are not repeated.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    group, name = settings.pop("group", ""), unquote(parts.path.removeprefix("/"))
    if not (hosts and name and group) or "/" in name:
        raise InputError(f"{parts.scheme}://{hosts}{parts.path} names no host, stream and group; write it as {example}")
    if unknown := sorted(one for one in settings if one not in known and "." not in one):
        raise InputError(f"{unknown[0]!r} is no setting of {parts.scheme}://; there are: group, {', '.join(known)}")
    return Address(parts.scheme, unquote(user), unquote(password), hosts, name, group, settings)
