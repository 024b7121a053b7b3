"""The user name and password for a registry, from where `docker login` keeps them.

Source: Docker's config.json (auths, credHelpers, credsStore) and its protocol for credential helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from recipes.errors import BadInput, ToolMissing
from recipes.model import Command
from recipes.oci.reference import DOCKER_HUB
from recipes.support import shell
from recipes.support.console import note

Login = tuple[str, str]

IDENTITY = "<token>"
"""The user of a login whose password is an identity token, which is exchanged for tokens."""


def find_login(host: str) -> Login | None:
    """(user, password) for a registry, or None for an anonymous visit. A helper that fails is noted and passed over.

    Raises: BadInput where config.json is there and unreadable.
    """
    config = _read_config()
    names = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB) if host == DOCKER_HUB else (host,)
    auths = _table(config, "auths")
    keys = [key for name in names for key in (name, f"https://{name}", f"http://{name}")]
    for key in dict.fromkeys((*keys, *(key for key in auths if _host_of(key) in names))):
        helper = _table(config, "credHelpers").get(key) or config.get("credsStore")
        if helper and (login := _ask(str(helper), key)):
            return login
        entry = auths.get(key)
        if isinstance(entry, dict) and (login := _decode(entry, key)):
            return login
    return None


def _read_config() -> dict[str, Any]:
    # Not Path.home(), which raises where HOME and the user list do not say where that is.
    path = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")) / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {str(path)!r}: {error}", hint="repair it, or log in again") from error
    return config if isinstance(config, dict) else {}


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _host_of(key: str) -> str:
    """Older logins are kept by an address with a scheme and a path."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _decode(entry: dict[str, Any], key: str) -> Login | None:
    if entry.get("identitytoken"):
        return IDENTITY, str(entry["identitytoken"])
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return entry["username"], entry["password"]
    if not entry.get("auth"):
        return None
    try:
        user, colon, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"the login for {key} in Docker's config.json is damaged", hint="log in again") from error
    return (user, password.strip("\0")) if colon else None  # as docker does


def _ask(helper: str, key: str) -> Login | None:
    command = Command((f"docker-credential-{helper}", "get"))
    try:
        done = shell.run(command, stdin=key.encode(), timeout=30, output_limit=1 << 20)
    except ToolMissing as error:
        note(f"Docker's config.json names a credential helper, but {error.message}")
        return None
    if done.exit_code != 0:
        return None  # most often "credentials not found in native keychain"
    try:
        answer = json.loads(done.stdout)
        return str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        note(f"docker-credential-{helper} sent an invalid answer")
        return None
