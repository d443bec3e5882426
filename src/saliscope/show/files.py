"""Figures as files, and as parts of a page."""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from matplotlib import rc_context
from matplotlib.figure import Figure

from saliscope.core.errors import OptionError
from saliscope.core.record import write_beside
from saliscope.show.style import INK, LOWER, MUTED, PLAIN, RAISE, RULE, quiet_glyphs

__all__ = ["inline_svg", "save_figure"]

_KINDS = (".png", ".svg", ".pdf")
# On a page these follow the reader's light or dark setting.
_FOLLOW = {
    INK: "currentColor",
    MUTED: "var(--sali-muted, #59636e)",
    RULE: "var(--sali-rule, #d0d7de)",
    RAISE: "var(--sali-raise, #b85c10)",
    LOWER: "var(--sali-lower, #1f6fb2)",
    PLAIN: "var(--sali-plain, #2f6f7e)",
}
_SMALL = re.compile(r"(-?\d+\.\d{2})\d+")


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 300) -> Path:
    """Save a figure as .png, .svg or .pdf; the file is whole or absent.

    The same figure gives the same bytes: no date is written. In SVG and PDF text stays text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Its ending names the format.
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OptionError
        If the ending is another one.
    InputError
        If the file cannot be written.
    """
    kind = Path(path).suffix.lower()
    if kind not in _KINDS:
        msg = f"{path}: a figure is saved as {', '.join(_KINDS)}; give one of these endings"
        raise OptionError(msg)
    return write_beside(path, _bytes(figure, kind[1:], dpi))


def _bytes(figure: Figure, kind: str, dpi: int = 300) -> bytes:
    buffer = io.BytesIO()
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    with (
        rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "saliscope"}),
        quiet_glyphs(),
    ):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=date, transparent=False)
    return buffer.getvalue()


def inline_svg(figure: Figure, label: str) -> str:
    """Return a figure as an SVG element that stands in an HTML page.

    Ids are unique by content, comments and metadata are gone, text is text, and the colors of ink
    and bars follow the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    label : str
        What the picture shows, for those who cannot see it.
    """
    raw = _bytes(figure, "svg", 100)
    root = ET.fromstring(raw)  # noqa: S314 (matplotlib wrote it just now)
    prefix = "s" + hashlib.sha256(raw + label.encode()).hexdigest()[:8] + "-"
    used = {m.decode() for m in re.findall(rb"(?:href=\"#|url\(#)([^\")]+)", raw)}
    for node in root.iter():
        node.tag = node.tag.partition("}")[2] or node.tag
        for key in list(node.attrib):
            _attribute(node, key, prefix, used)
        if node.text is not None and not node.text.strip() and node.tag != "text":
            node.text = None
        if node.tail is not None and not node.tail.strip():
            node.tail = None
    _prune(root)
    root.attrib |= {"role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")


def _attribute(node: ET.Element, key: str, prefix: str, used: set[str]) -> None:
    value = node.attrib.pop(key)
    key = key.partition("}")[2] or key
    if key == "version" or (key == "id" and value not in used):
        return
    if key == "id":
        value = prefix + value
    elif key == "href" and value.startswith("#"):
        value = f"#{prefix}{value[1:]}"
    elif "url(#" in value:
        value = value.replace("url(#", f"url(#{prefix}")
    if key in {"style", "fill", "stroke"}:
        for known, follow in _FOLLOW.items():
            value = value.replace(known, follow)
    if key in {"d", "x", "y", "transform", "style", "points"}:
        value = _SMALL.sub(r"\1", value)
    if key == "transform":
        value = value.replace("rotate(-0 ", "rotate(0 ")
    if key == "style":
        # Quoted family names; the page has its own.
        value = re.sub(r"font: ([^;]*?px) [^;]*", r"font: \1 'DejaVu Sans', sans-serif", value)
    node.set(key, value)


def _prune(root: ET.Element) -> None:
    """Drop metadata, the white ground, and groups that hold nothing."""
    for parent in list(root.iter()):
        for child in list(parent):
            ground = child.tag == "path" and "fill: #ffffff" in child.get("style", "")
            if child.tag == "metadata" or ground:
                parent.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "g" and not len(child) and not child.attrib:
                parent.remove(child)
