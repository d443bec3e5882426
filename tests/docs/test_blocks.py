"""The Python blocks of every page run, in order, in a folder of their own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    if _BLOCK.search(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("saliscope.bottleneck.probes._DRAWS", 20)  # nobody reads the numbers here
    monkeypatch.setattr("saliscope.bottleneck.probes._PLACES", 20)
    for sample in (ROOT / "src" / "saliscope" / "samples" / "tpmt").iterdir():
        shutil.copy(sample, tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)  # the page is ours
