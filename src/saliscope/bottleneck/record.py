"""What an audit found: tables, and what they say in a few words."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saliscope.core.errors import InputError
from saliscope.core.files import write_beside

__all__ = ["TABLES", "Audit", "read_audit"]

TABLES: dict[str, str] = {
    "rank": "how many directions the numbers use",
    "kept": "how far the bottleneck moves where only order, or only letters change",
    "attention": "how wide and how far each head looks",
    "slots": "what each slot looks at, and who looks at it",
    "probes": "what can be read off, beside controls and other representations",
    "rebuilt": "what is written from the bottleneck, beside wrong bottlenecks",
    "variants": "missense variants followed through the bottleneck",
    "similarity": "alignment with each layer of a protein language model",
    "agreement": "attention on the same variants, beside that model's",
    "beside": "the same, residue by residue",
}
"""Names of the tables of an audit, and what each says."""

MOVED = 1e-3
"""A bottleneck has moved where its change is more than a thousandth of its size, and ten times
numeric noise."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What `saliscope.bottleneck.audit` found.

    Parameters
    ----------
    model : str
    rival : str
        The model beside it; "" where none.
    parts : mapping of str to str
        Names of encoder, bottleneck and decoder.
    tables : mapping of str to pandas.DataFrame
        By `TABLES`; those that do not exist for a model or its inputs are missing.
    meta : mapping
        inputs, residues, families, slots, width, noise, dimension, seed, alone, limit, demo.
    notes : tuple of str
        What was left out, and why.
    """

    model: str
    rival: str
    parts: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    meta: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table by its name; empty where the audit has none of it."""
        return self.tables.get(name, pd.DataFrame())

    @property
    def keeps(self) -> str:
        """What moves the bottleneck: "composition", "order", "both", "neither", or "unknown"."""
        table = self["kept"]
        if table.empty:
            return "unknown"
        moved = {
            str(what): bool(
                (part["distance"].median() > MOVED) and (part["times noise"].median() > 10)
            )
            for what, part in table.groupby("change")
        }
        return {
            (True, True): "both", (True, False): "order", (False, True): "composition",
            (False, False): "neither",
        }[moved["order"], moved["letters"]]  # fmt: skip

    def accuracy(
        self, group: str = "all", label: str = "all", source: str = "bottleneck"
    ) -> pd.Series | None:
        """Return the row of the table of rebuilt places, or None where there is none."""
        table = self["rebuilt"]
        if table.empty:
            return None
        own = (table["group"] == group) & (table["label"] == label) & (table["from"] == source)
        found = table[own]
        return None if found.empty else found.iloc[0]

    def best(self, task: str, features: str) -> pd.Series | None:
        """Return the row of the probe that reads a task best off a representation."""
        table = self["probes"]
        if table.empty:
            return None
        own = table[(table["task"] == task) & (table["features"] == features)]
        return None if own.empty else own.iloc[int(np.argmax(own["value"].to_numpy()))]

    def to_csv(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write every table as CSV into a folder that exists, and audit.json beside them.

        Raises
        ------
        InputError
            A file cannot be written.
        """
        about = {
            "model": self.model, "rival": self.rival, "parts": dict(self.parts),
            "meta": dict(self.meta), "notes": list(self.notes), "tables": list(self.tables),
        }  # fmt: skip
        files = {
            f"{name}.csv": table.to_csv(index=False, lineterminator="\n")
            for name, table in self.tables.items()
        }
        files["audit.json"] = json.dumps(about, indent=2) + "\n"
        return [write_beside(Path(folder) / n, text.encode()) for n, text in files.items()]

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the audit as one page that opens offline: document, figures, tables."""
        from saliscope.bottleneck.page import audit_html

        return audit_html(self, path)

    def __repr__(self) -> str:
        lines = [f"Audit of {self.model}: {self.meta['inputs']} inputs"]
        cut = ", ".join(f"{word} {name}" for word, name in self.parts.items())
        lines.append(f"  cut          {cut}")
        lines.append(f"  bottleneck   {self.meta['slots']} x {self.meta['width']} numbers")
        if self.keeps != "unknown":
            lines.append(f"  moved by     {self.keeps}")
        own = self.accuracy()
        if own is not None:
            wrong = [
                f"{r['from']} {r['accuracy']:.1%}"
                for _, r in self["rebuilt"].iterrows()
                if r["group"] == "all" and r["from"] != "bottleneck"
            ]
            lines.append(f"  rebuilt      {own['accuracy']:.1%} ({'; '.join(wrong)})")
        if not self["probes"].empty:
            for task in dict.fromkeys(self["probes"]["task"]):
                best = self.best(task, "bottleneck")
                if best is not None:
                    lines.append(
                        f"  {task[:12]:<12} {best['measure']} {best['value']:.3f}, selectivity "
                        f"{best['selectivity']:+.3f} ({best['probe']} probe)"
                    )
        table = self["variants"]
        if not table.empty:
            lines.append(f"  variants     {np.mean(table['survives']):.0%} of {len(table)} survive")
        lines.extend(f"  note         {note}" for note in self.notes)
        return "\n".join(lines)


def read_audit(folder: str | os.PathLike[str]) -> Audit:
    """Read an audit that `Audit.to_csv` wrote; no model is needed.

    Raises
    ------
    InputError
        The folder holds none, or a table of it is missing.
    """
    try:
        about = json.loads((Path(folder) / "audit.json").read_text("utf-8"))
        tables = {n: pd.read_csv(Path(folder) / f"{n}.csv") for n in about["tables"]}
        return Audit(
            about["model"], about["rival"], about["parts"], tables, about["meta"],
            tuple(about["notes"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{folder}: holds no audit ({' '.join(str(error).split())[:120]}); write one first"
        raise InputError(msg) from error
