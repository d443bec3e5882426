"""Packages whose public names are imported on first use, so that importing the package is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(
    package: str, where: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package (PEP 562).

    Parameters
    ----------
    package : str
        Its `__name__`.
    where : mapping of str to str
        The module below the package that each public name stands in; "" for a name that is a
        subpackage itself.

    Examples
    --------
    >>> get, names = lazily("saliscope.core", {"nearest": "errors"})
    >>> get("nearest")("lenght", ["length", "width"]), "nearest" in names()
    ("did you mean 'length'?", True)
    """
    home = sys.modules[package].__dict__ if package in sys.modules else {}

    def get(name: str) -> Any:
        if name not in where:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(f"{package}.{where[name] or name}")
        value = home[name] = getattr(module, name) if where[name] else module
        return value

    def names() -> list[str]:
        return sorted({*home, *where})

    return get, names
