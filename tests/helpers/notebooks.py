"""Run notebooks, each in a process of its own that has its imports already.

A program: ``python notebooks.py FOLDER NOTEBOOK ...``. It runs nothing itself: it imports what
notebooks need, which takes longer than most of them, and forks for each. Of one that fails, the
error is left in FOLDER, under the name of the notebook.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import torch
import transformers.models.bert.modeling_bert
import transformers.models.esm.modeling_esm  # noqa: F401
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import saliscope.api.explaining
import saliscope.bottleneck.probes
import saliscope.show
import saliscope.study


class Shell(InteractiveShell):
    """Runs cells, and shows what they give to nobody."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Wait for no window: figures become pictures in the notebook."""


def run(path: Path, own: str) -> None:
    """Run the cells of a notebook as Jupyter does, in an empty folder that it must leave empty."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    plt.switch_backend("agg")
    torch.set_num_threads(1)
    silent = Config({"HistoryManager": {"enabled": False}})
    shell = Shell(ipython_dir=own, config=silent)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
            done = shell.run_cell(cell.source)
            if not done.success:
                msg = f"code cell {number + 1} of {path.name} fails"
                raise RuntimeError(msg) from done.error_in_exec or done.error_before_exec
        left = [file.name for file in Path(folder).iterdir()]
        assert not left, f"{path.name} leaves {left}"


def main(folder: Path, paths: list[Path]) -> None:
    """Run notebooks one after the other."""
    saliscope.bottleneck.probes._DRAWS = 20  # nobody reads the numbers here
    saliscope.bottleneck.probes._PLACES = 20
    for path in paths:
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            continue
        try:
            with tempfile.TemporaryDirectory() as own:
                run(path, own)
        except BaseException:  # noqa: BLE001 - this process must not go on
            (folder / path.stem).write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
