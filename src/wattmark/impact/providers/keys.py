"""Keys of publishers: from the environment, or from the system's keyring. Never stored, shown or logged here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wattmark.errors import ConfigError

SERVICE = "wattmark"
"""The keyring's name of ours: ``keyring set wattmark electricitymaps``."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that does not show itself."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "[secret]"


def secret_of(
    name: str, variables: Sequence[str], environ: Mapping[str, str] | None = None, *, needed: bool = True
) -> Secret | None:
    """The secret in the first of these variables that is set, else the keyring's of that name.

    Raises ConfigError where there is none (and one is needed), or where it cannot be sent as it stands.
    """
    env = os.environ if environ is None else environ
    value = next((env[variable].strip() for variable in variables if env.get(variable, "").strip()), None)
    if value is None:
        value = _from_keyring(name)
    if value is None:
        if not needed:
            return None
        raise ConfigError(
            f"{name} wants a key", hint=f"put it into {variables[0]}, or: keyring set {SERVICE} {name}"
        )
    if any(not " " <= letter < "\x7f" for letter in value):
        raise ConfigError(f"the key of {name} has letters that no key has", hint="copy it once more")
    return Secret(value)


def _from_keyring(name: str) -> str | None:
    """None without the package ``keyring``, or with a keyring that is locked or not there."""
    try:
        import keyring  # pyright: ignore[reportMissingImports]
        import keyring.errors  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    try:
        value: object = keyring.get_password(SERVICE, name)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except (keyring.errors.KeyringError, OSError):  # pyright: ignore[reportUnknownMemberType]
        return None
    return value.strip() or None if isinstance(value, str) else None
