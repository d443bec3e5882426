"""The zoo: small models that ship inside the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from saliscope.core.errors import ModelError, nearest

__all__ = ["zoo_card", "zoo_folder", "zoo_names"]


def _root() -> Path:
    return Path(str(resources.files("saliscope"))) / "zoo"


def zoo_names() -> list[str]:
    """Return the names of the models that ship with the package.

    Examples
    --------
    >>> "protein" in zoo_names()
    True
    """
    return sorted(p.parent.name for p in _root().glob("*/config.json"))


def zoo_folder(name: str) -> Path:
    """Return the folder of a zoo model.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    if name not in zoo_names():
        msg = f"there is no model 'zoo:{name}': {nearest(name, zoo_names())}"
        raise ModelError(msg)
    return _root() / name


def zoo_card(name: str) -> str:
    """Return the card of a zoo model: data, licence, measured quality, what it is not for."""
    return (zoo_folder(name) / "card.md").read_text(encoding="utf-8")
