"""Numbers of a document: each is kept as it is written, with its value and its table."""

from __future__ import annotations

from typing import Any

__all__ = ["Numbers"]


class Numbers:
    """Writes numbers, and keeps what it wrote.

    Examples
    --------
    >>> n = Numbers()
    >>> n(-0.034, "two", "probes.csv", "length"), n.rows[0]["value"]
    ('−0.03', -0.034)
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, value: Any, kind: str, table: str, what: str) -> str:
        """Return a number as it is written, and keep it.

        Parameters
        ----------
        value : number
        kind : {"share", "count", "two", "one", "signed", "times", "whole"}
            How it is rounded.
        table : str
            File that it comes from.
        what : str
            What it is.
        """
        number = float(value)
        written = {
            "share": f"{number:.0%}" if round(number, 3) in {0, 1} else f"{number:.1%}",
            "whole": f"{number:g}", "count": f"{number:,.0f}", "two": f"{number:.2f}",
            "one": f"{number:.1f}", "signed": f"{number:+.2f}",
            "times": f"{number:,.0f}" if number >= 10 else f"{number:.1f}",
        }[kind].replace("-", "−")  # fmt: skip
        self.rows.append({"written": written, "value": number, "table": table, "what": what})
        return written
