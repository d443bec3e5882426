"""`Catalog`: a finished catalog, checked when it is opened, queried in SQL."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.variants.catalog.entries import WHAT
from saliscope.variants.catalog.storage import (
    ARRAYS,
    COMMIT,
    META,
    PARTS,
    digest,
    library,
    read_table,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCHEMA", "Catalog"]

SCHEMA = 1
"""Version of the layout; see the page "Catalogs" of the documentation."""


@dataclass(frozen=True, eq=False)
class Catalog:
    """What a model says of the proteins of one gene; made by `build_catalog`.

    Parameters
    ----------
    folder : pathlib.Path
    meta : mapping
        What `meta.json` holds: transcript, model, settings, sources of counts.

    Examples
    --------
    >>> import tempfile
    >>> from saliscope.variants.catalog.build import build_catalog
    >>> from saliscope.variants.coding.transcript import Transcript
    >>> t = Transcript("T.1", "T", "ATGTGGTAA")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     catalog = build_catalog(t, "zoo:protein", folder)
    ...     found = catalog.query("SELECT what, count(*) FROM entries GROUP BY what ORDER BY 1")
    ...     shifts = catalog.shifts("missense")
    >>> found.values.tolist(), len(shifts), f"{shifts.iloc[0]:.1f}"
    ([['missense', 7], ['reference', 1]], 7, '0.2')
    """

    folder: Path
    meta: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Catalog:
        """Return the catalog of a folder, once all of its files are found to be whole.

        Raises
        ------
        InputError
            One line: no catalog, one that is not finished, one of a newer schema, a file that is
            not as it was written.
        """
        place = Path(folder)
        if (place / COMMIT).exists() or ((place / PARTS).exists() and not (place / META).exists()):
            msg = f"{place}: the build was cut off; run it again, and it goes on where it stopped"
            raise InputError(msg)
        try:
            text = (place / META).read_text(encoding="utf-8")
        except OSError as error:
            msg = f"{place}: holds no catalog ({META}: {error.strerror}); build one first"
            raise InputError(msg) from error
        again = "remove the folder and build the catalog again"
        try:
            meta = json.loads(text)
            schema = int(meta["schema"])
        except (ValueError, TypeError, KeyError) as error:
            msg = f"{place / META}: is not the description of a catalog; {again}"
            raise InputError(msg) from error
        if schema > SCHEMA:
            msg = (
                f"{place}: was written by a newer Saliscope (schema {schema}; this one reads "
                f"{SCHEMA}); update Saliscope, or build into another folder"
            )
            raise InputError(msg)
        for name, known in meta["files"].items():
            file = place / name
            try:
                found = digest(file.read_bytes())
            except OSError as error:
                msg = f"{file}: cannot be read ({error.strerror}); {again}"
                raise InputError(msg) from error
            if found != known:
                msg = f"{file}: is truncated or was changed since it was written; {again}"
                raise InputError(msg)
        return cls(place, meta)

    def table(self, name: str) -> Any:
        """Return "proteins", "entries" or "counts" as a `pyarrow.Table`."""
        if name not in ARRAYS:
            msg = f"{name!r} is not a table of a catalog: {nearest(name, ARRAYS)}"
            raise OptionError(msg)
        return read_table(self.folder / f"{name}.parquet")

    def entries(self) -> pd.DataFrame:
        """Return all entries, a row each."""
        frame: pd.DataFrame = self.table("entries").to_pandas()
        return frame

    def counts(self) -> pd.DataFrame:
        """Return how often each source has each entry, a row per group."""
        frame: pd.DataFrame = self.table("counts").to_pandas()
        return frame

    def query(self, sql: str) -> pd.DataFrame:
        """Return the answer to a question in SQL, by DuckDB over the Parquet files.

        Parameters
        ----------
        sql : str
            Of the views `entries`, `counts` and `proteins`; other files cannot be reached.

        Raises
        ------
        InputError
            DuckDB refuses it.
        """
        duckdb = library("duckdb")
        with duckdb.connect() as connection:
            for name in ARRAYS:
                file = str((self.folder / f"{name}.parquet").resolve()).replace("'", "''")
                connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{file}')")
            inside = str(self.folder.resolve()).replace("'", "''")
            connection.execute(f"SET allowed_directories = ['{inside}/']")
            connection.execute("SET enable_external_access = false")
            try:
                answer: pd.DataFrame = connection.execute(sql).df()
            except duckdb.Error as error:
                line = str(error).strip().splitlines()[0]
                msg = f"{self.folder}: DuckDB does not take this query: {line}"
                raise InputError(msg) from error
        return answer

    def score(self, protein: str) -> float | None:
        """Return the pseudo-log-likelihood of a protein, given by its residues.

        The sum over residues of log p(residue | protein) in one unmasked pass, in float64. None
        for a protein that is not in the catalog.
        """
        found = self._found(protein, "likelihood", "value", None)
        return None if found is None else float(found)

    def embedding(
        self, protein: str, readout: str = "mean", residues: str | None = None
    ) -> npt.NDArray[np.float32] | None:
        """Return an embedding of a protein, shape (width,).

        Parameters
        ----------
        protein : str
            Its residues.
        readout : {"mean", "site", "window", "residue"}
            Mean over all residues, over those that differ from the reference, over those and 8 on
            both sides; "residue" of the reference alone.
        residues : str, optional
            Which ones, of the reference, as in the columns `site` and `around` of the entries:
            "240", "232-245".
        """
        known = ("mean", "residue", "site", "window")
        if readout not in known:
            msg = f"readout={readout!r} does not exist: {nearest(readout, known)}"
            raise OptionError(msg)
        found = self._found(protein, readout, "vector", residues)
        return None if found is None else np.asarray(found, dtype=np.float32)

    def _found(self, protein: str, readout: str, column: str, residues: str | None) -> Any:
        pc = library("pyarrow.compute")
        table = self._proteins
        key = digest(protein.encode())
        rows = pc.and_(pc.equal(table["protein"], key), pc.equal(table["readout"], readout))
        if residues is not None:
            rows = pc.and_(rows, pc.equal(table["residues"], residues))
        found = table.filter(rows)
        if not len(found):
            return None
        # Of a long protein the row of all windows together is the longest text.
        best = max(range(len(found)), key=lambda i: len(found["window"][i].as_py()))
        return found[column][best].as_py()

    @property
    def _proteins(self) -> Any:
        return self.table("proteins")

    def shifts(self, what: str = "missense") -> pd.Series[float]:
        """Return score minus the reference's, by entry, where the lengths are equal.

        Parameters
        ----------
        what : {"missense", "variant", "haplotype", "reference"}
        """
        if what not in WHAT:
            msg = f"{what!r} is not what an entry is: {nearest(what, WHAT)}"
            raise OptionError(msg)
        frame = self.entries()
        chosen = frame[(frame["what"] == what) & frame["shift"].notna()]
        return chosen.set_index("entry")["shift"]
