"""Words that a report does not use, for no model can keep what they promise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

__all__ = ["check_words", "page_text"]

_NEVER = {
    "likely real": "a call may be real, an effect is not shown to be; say what was compared",
    "proves": "a model's number is no proof; say what it measures",
    "causes": "a model knows no cause; say what the score does",
    "pathogenic effect": "pathogenicity is not what was measured; say what was",
}
# AN is a key of VCF files; "an" is an article.
_UNLESS = {
    "epistasis": ("model", re.compile(r"\bmodel", re.IGNORECASE),
                  "a second difference of a score is the model's; say so"),
    "novel": ("AN", re.compile(r"\bAN\b"),
              "absence is a statement about chromosomes that were called; give the AN"),
}  # fmt: skip
_ZERO_SIGMA = re.compile(r"(?<![\d.])[+−-]?0(?:\.0+)? (?:sigma|σ)")
_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_INLINE = frozenset({"a", "b", "bdi", "em", "i", "small", "span", "strong", "sub", "sup", "tspan"})


def check_words(text: str) -> list[str]:
    """Return what is wrong with the words of a text: one line for each fault.

    Refused are promises ("likely real", "proves", "causes", "pathogenic effect"); "epistasis" in a
    sentence that does not name the model; "novel" in a sentence without an allele number; and
    "0.0 sigma", which would call something measured that was not (a synonymous change), or stand
    for "at the median".

    Parameters
    ----------
    text : str
        Plain text; of a page, what `page_text` returns.

    Examples
    --------
    >>> check_words("Taking it out lowers the score. Not epistasis: an interaction of the model.")
    []
    >>> check_words("p.Ala154=: 0.0 sigma")
    ["'p.Ala154=: 0.0 sigma': holds '0.0 sigma'; say 'not assessed', or 'at the median'"]
    """
    return [fault for sentence in _END.split(text) for fault in _faults(" ".join(sentence.split()))]


def _faults(sentence: str) -> Iterator[str]:
    shown = sentence if len(sentence) <= 80 else f"{sentence[:79]}…"
    for word, why in _NEVER.items():
        if re.search(rf"\b{word}", sentence, re.IGNORECASE):
            yield f"{shown!r}: holds {word!r}; {why}"
    for word, (name, needed, why) in _UNLESS.items():
        if re.search(rf"\b{word}\b", sentence, re.IGNORECASE) and not needed.search(sentence):
            yield f"{shown!r}: holds {word!r} without {name!r}; {why}"
    if found := _ZERO_SIGMA.search(sentence):
        yield f"{shown!r}: holds {found.group()!r}; say 'not assessed', or 'at the median'"


def page_text(page: str) -> str:
    r"""Return the words of an HTML page: what is read, and what is read aloud, block by block.

    Examples
    --------
    >>> page_text('<p>likely <b>real</b></p><script>x</script><svg aria-label="a dot"></svg>')
    'likely real\na dot'
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    """Collects text; a block begins a new line."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style"}:
            self._hidden += 1
        if tag not in _INLINE:
            self.parts.append("\n")
        for name, value in attrs:
            if name in {"aria-label", "title", "alt"} and value:
                self.parts.append(f"\n{value}\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._hidden -= 1
        if tag not in _INLINE:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # A line break inside a block is a space, and no end of a sentence.
            self.parts.append(data.replace("\n", " "))
