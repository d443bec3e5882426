"""The way through a tree of proteins: from its oldest ancestor with a sequence to one tip."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.core.textfile import Path_, text_of
from saliscope.sites.alignment import read_aligned

__all__ = ["Lineage", "read_lineage"]


@dataclass(frozen=True, eq=False)
class Lineage:
    """Proteins from an ancestor to its descendant, in order; made by `read_lineage`.

    Parameters
    ----------
    names : tuple of str
        Nodes of the tree, without their support.
    sequences : tuple of str
        As the files have them: all of one length where they are aligned.
    notes : tuple of str
        What was left out.
    path : str
        Where the sequences come from, for messages.
    """

    names: tuple[str, ...]
    sequences: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    path: str = ""


def read_lineage(
    tree: Path_, sequences: Path_ | Sequence[Path_], tip: str, *, number: int = 1
) -> Lineage:
    r"""Read the proteins on the way from the root of a tree to a tip.

    Parameters
    ----------
    tree : path
        Newick, plain or gzip; a file may hold several trees. Support behind a name ("Node5/96")
        is no part of it.
    sequences : path or sequence of path
        FASTA of tips and ancestors, aligned or not. Records are named as the nodes are, or, where
        a file is about several trees, with the tree's number before it: "2_Node5".
    tip : str
        Name of the tip, or of an inner node.
    number : int
        Which tree of the file, from 1.

    Raises
    ------
    InputError
        The file is no tree; a node has no sequence (the root may lack one, since reconstruction
        without an outgroup gives none); fewer than two proteins are left.
    OptionError
        There is no such tree or tip.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = pathlib.Path(folder)
    ...     _ = (place / "a.nwk").write_text("((one:1,two:1)old/97:1,three:2)root;")
    ...     _ = (place / "a.fasta").write_text(">old\nMVHK\n>one\nMVHR\n>two\nMVHK\n>three\nMIHK\n")
    ...     found = read_lineage(place / "a.nwk", place / "a.fasta", "one")
    >>> found.names, found.sequences
    (('old', 'one'), ('MVHK', 'MVHR'))
    """
    names = _way(tree, tip, number)
    paths = [sequences] if isinstance(sequences, (str, bytes)) or not isinstance(
        sequences, Sequence
    ) else list(sequences)  # fmt: skip
    where = ", ".join(map(str, paths))
    known = _records(paths)
    keys = [next((k for k in (f"{number}_{n}", n) if k in known), None) for n in names]
    notes: tuple[str, ...] = ()
    if keys[0] is None and len(names) > 1:
        notes = (f"{names[0]}, the root, has no sequence; left out",)
        names, keys = names[1:], keys[1:]
    missing = [n for n, k in zip(names, keys, strict=True) if k is None]
    if missing:
        msg = (
            f"{tree}: {len(missing)} of {len(names)} nodes on the way to {tip!r} have no sequence "
            f"in {where}, the first is {missing[0]!r}; name the records as the nodes, or "
            f"'{number}_{missing[0]}'"
        )
        raise InputError(msg)
    if len(names) < 2:
        msg = f"{tree}: no node above {tip!r} has a sequence; name a tip with ancestors above it"
        raise InputError(msg)
    rows = tuple(known[k] for k in keys if k is not None)
    return Lineage(tuple(names), rows, notes, where)


def _records(paths: Sequence[Path_]) -> dict[str, str]:
    known: dict[str, str] = {}
    for path in paths:
        for name, row in zip(*read_aligned(path), strict=True):
            if known.get(name, row) != row:
                msg = (
                    f"{path}: {name!r} stands twice, with two sequences; where a file is about "
                    "several trees, put the tree's number before the name, as in '2_Node5'"
                )
                raise InputError(msg)
            known[name] = row
    return known


def _way(path: Path_, tip: str, number: int) -> list[str]:
    """Return the named nodes from the root of a tree to a tip."""
    text = text_of(path).strip()
    if not text.startswith("("):
        msg = f"{path}: is not a tree in Newick format, which begins with '('; give one"
        raise InputError(msg)
    phylo: Any = import_module("Bio.Phylo")
    newick: Any = import_module("Bio.Phylo.NewickIO")
    try:
        trees = list(phylo.parse(io.StringIO(text), "newick"))
    except (newick.NewickError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path}: is not a tree in Newick format ({reason}); correct it, or copy it again"
        raise InputError(msg) from error
    if not 1 <= number <= len(trees):
        msg = f"{path}: has {len(trees)} trees; there is no tree {number}"
        raise OptionError(msg)
    root = trees[number - 1].root
    nodes = {_name(node): node for node in root.find_clades() if _name(node)}
    if tip not in nodes:
        msg = f"{path}: tree {number} has no node {tip!r}; {nearest(tip, nodes)}"
        raise OptionError(msg)
    way = [root, *(node for node in root.get_path(nodes[tip]) if node is not root)]
    return [name for name in map(_name, way) if name] or [tip]


def _name(node: Any) -> str:
    """Return the name of a node without its support, which stands behind a slash at inner ones."""
    name = str(node.name or "")
    return name if node.is_terminal() else name.rsplit("/", 1)[0]
