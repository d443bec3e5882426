"""The registry of methods: one registration puts a method everywhere.

``@method(...)`` on a generator function is all that a module under ``saliscope.methods`` does to
appear in `saliscope.explain`, the command line, the docs table and the contract suite.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from saliscope.core.ask import Method, Options, Steps
from saliscope.core.errors import OptionError, nearest

__all__ = ["MethodSpec", "get_method", "method", "methods", "option", "options_from"]

_METHODS: dict[str, MethodSpec] = {}
_ALIASES: dict[str, str] = {}
_LOADED = False

F = TypeVar("F", bound=Callable[..., Steps])


@dataclass(frozen=True)
class MethodSpec:
    """A method and all that its users are told of it.

    Parameters
    ----------
    name : str
    run : Method
        The generator function.
    options : type of Options
    needs : frozenset of str
        What the model must offer: "values", "gradients".
    summary, cost, use, misuse, source : str
        One line each: what it is, what it costs in passes, when to use it, when it misleads,
        and the paper.
    equation : str
        In LaTeX, for the docs.
    signed : bool
        Whether values have a sign that means something.
    takes : frozenset of str
        Which of the general parameters it uses: "baseline" (the start of a path), "background"
        (several baselines, to average over), "examples" (the same, by default the other examples
        of a tensor), "fill" (what stands in place of units taken away), "tolerance",
        "max_evaluations".
    unit : str
        What the values are measured in: "score" (units of the target), "score per input", ...
    aliases : tuple of str
        Words that captum, shap and others use for it.
    """

    name: str
    run: Method
    options: type[Options]
    needs: frozenset[str]
    summary: str
    cost: str
    use: str
    misuse: str
    source: str
    equation: str
    signed: bool
    takes: frozenset[str]
    unit: str
    aliases: tuple[str, ...]

    @property
    def accepts(self) -> frozenset[str]:
        """The general parameters of `explain` that it takes: a background is given as baseline."""
        several = {"background", "examples"}
        return self.takes - several | ({"baseline"} if self.takes & several else set())


def option(default: Any, doc: str) -> Any:
    """Declare an option of a method: a default and one line that every surface shows.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Demo(Options):
    ...     window: int = option(1, "units per window")
    >>> dataclasses.fields(Demo)[0].metadata["doc"]
    'units per window'
    """
    return dataclasses.field(default=default, metadata={"doc": doc})


def _squash(name: str) -> str:
    # Grad-CAM++ is not Grad-CAM.
    return "".join(c for c in name.casefold().replace("+", "plus") if c.isalnum())


def method(
    name: str, *, options: type[Options] = Options, needs: frozenset[str] | set[str],
    summary: str, cost: str, use: str, misuse: str, source: str, equation: str,
    signed: bool = True, takes: frozenset[str] | set[str] = frozenset(), unit: str = "score",
    aliases: tuple[str, ...] = (),
) -> Callable[[F], F]:  # fmt: skip
    """Register the decorated generator function as a method; see `MethodSpec`."""

    def register(run: F) -> F:
        _METHODS[name] = MethodSpec(
            name, run, options, frozenset(needs), summary, cost, use, misuse, source, equation,
            signed, frozenset(takes), unit, aliases,
        )  # fmt: skip
        for alias in (name, *aliases):
            _ALIASES[_squash(alias)] = name
        return run

    return register


def unregister(name: str) -> None:
    """Remove a method again (for tests that register one)."""
    del _METHODS[name]
    for alias in [a for a, target in _ALIASES.items() if target == name]:
        del _ALIASES[alias]


def methods() -> Mapping[str, MethodSpec]:
    """Return all methods by name; importing them on first use."""
    global _LOADED  # noqa: PLW0603 - the one flag of a lazy import
    if not _LOADED:
        package = importlib.import_module("saliscope.methods")
        for info in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"saliscope.methods.{info.name}")
        _LOADED = True
    return types.MappingProxyType(dict(sorted(_METHODS.items())))


def get_method(name: str) -> MethodSpec:
    """Return a method by its name or an alias.

    Raises
    ------
    OptionError
        If there is none; the nearest is named.

    Examples
    --------
    >>> get_method("IntegratedGradients").name
    'integrated_gradients'
    """
    known = methods()
    found = _ALIASES.get(_squash(str(name)))
    if found is None:
        msg = f"method {name!r} does not exist: {nearest(str(name), known)}"
        raise OptionError(msg)
    return known[found]


def options_from(spec: MethodSpec, given: Mapping[str, Any]) -> Options:
    """Make the options of a method from keyword arguments, refusing unknown ones.

    Numbers given as text (from a command line or a file) are read by the field's type.
    """
    fields = {f.name: f for f in dataclasses.fields(spec.options)}
    for name in given:
        if name not in fields:
            hint = nearest(name, fields) if fields else "it has no options"
            msg = f"{spec.name} has no option {name!r}: {hint}"
            raise OptionError(msg)
    hints = typing.get_type_hints(spec.options)
    values = {name: _read(value, hints[name], name) for name, value in given.items()}
    return spec.options(**values)


def _read(value: Any, hint: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    kinds = typing.get_args(hint) or (hint,)
    # Literal words count as kinds too: Literal["a", "b"] | None is ("a", "b", None).
    kinds = tuple(
        word
        for kind in kinds
        for word in (
            typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else (kind,)
        )
    )
    if type(None) in kinds and value.casefold() == "none":
        return None
    if bool in kinds and value.casefold() in {"true", "false", "yes", "no"}:
        return value.casefold() in {"true", "yes"}
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(value)
            except ValueError:
                continue
    if any(typing.get_origin(k) is tuple or k is tuple for k in kinds) and "," in value:
        with contextlib.suppress(ValueError):
            return tuple(int(v) for v in value.split(","))
    if str in kinds or any(isinstance(k, str) for k in kinds):
        return value
    msg = f"{name}={value!r} is not a value that this option takes ({hint})"
    raise OptionError(msg)
