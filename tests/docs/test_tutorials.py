"""The five tutorials keep what they promise: size, time, words before use, questions."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PATHS = sorted(TUTORIALS.glob("*.ipynb"))
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in PATHS}
DATA = Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
MINUTES = {"0": 5, "1": 15, "2": 20, "3": 10, "4": 10}
_ENTRY = re.compile(r"^> \*\*(.+?)\*\*: ", re.MULTILINE)
_RECALLED = re.compile(r"^\*Words you have from .*?: (.*)\.\*$", re.MULTILINE)
_QUESTION = re.compile(r"^\*\*(Q\d+)\.\*\* (.+)$", re.MULTILINE)


def prose(notebook: nbformat.NotebookNode) -> str:
    """Return the Markdown of a notebook; headings and the list of recalled words are left out."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    text = re.sub(r"^#.*$", "", _RECALLED.sub("", text), flags=re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", text)  # addresses of links are not read


def first_use(term: str, text: str) -> int | None:
    found = re.search(rf"\b{re.escape(term)}(s|es)?\b", text, flags=re.IGNORECASE)
    return found and found.start()


def questions(text: str) -> dict[str, str]:
    return dict(_QUESTION.findall(text))


def test_there_is_one_tutorial_for_each_module_of_the_lab() -> None:
    assert [name[0] for name in NOTEBOOKS] == list(MINUTES)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_few_and_short_and_were_run(name: str) -> None:
    cells = [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    assert len(cells) <= 12
    assert max(len(cell.source.splitlines()) for cell in cells) <= 8
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
    streams = [out for cell in cells for out in cell.outputs if out.output_type == "stream"]
    assert [out.text for out in streams if out.name == "stderr"] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_estimated_time_is_that_of_the_lab(name: str) -> None:
    assert f"**Time:** {MINUTES[name[0]]} minutes" in NOTEBOOKS[name].cells[0].source


def test_a_term_is_explained_where_it_first_appears() -> None:
    known: set[str] = set()
    every = {term for notebook in NOTEBOOKS.values() for term in _ENTRY.findall(prose(notebook))}
    for name, notebook in NOTEBOOKS.items():
        text = prose(notebook)
        recalled = _RECALLED.search("\n".join(c.source for c in notebook.cells))
        named = set(recalled[1].split(", ")) if recalled else set()
        assert named <= known, f"{name} recalls what no module before it explained"
        own = {entry[1]: entry.start(1) for entry in _ENTRY.finditer(text)}
        assert not own.keys() & known, f"{name} explains again what was explained before"
        for term in every:
            at = first_use(term, text)
            if at is not None and term not in named:
                assert own.get(term) == at, f"{name} uses {term!r} before it explains it"
        unused = {term for term in named if first_use(term, text) is None}
        assert not unused, f"{name} recalls words that it does not use: {unused}"
        known |= own.keys()


def test_every_question_has_a_place_on_the_sheet_and_an_entry_in_the_key() -> None:
    asked = {k: v for n in NOTEBOOKS.values() for k, v in questions(prose(n)).items()}
    assert list(asked) == [f"Q{i}" for i in range(1, len(asked) + 1)]
    sheet = (TUTORIALS / "answer-sheet.md").read_text(encoding="utf-8")
    key = (TUTORIALS / "teachers-key.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (Q\d+)$", sheet, re.MULTILINE) == list(asked)
    assert re.findall(r"^### (Q\d+)$", key, re.MULTILINE) == list(asked)
    lab = (
        "In your own words, what is a saliency map",
        "Give an example of a real-world",
        "Why might a saliency map not tell the whole story",
    )
    assert all(asked[f"Q{i}"].startswith(words) for i, words in enumerate(lab, 1))


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")
def test_cases_that_went_to_the_public_are_read_from_the_users_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tables = DATA / "tabular"
    shutil.copy(tables / "compas-scores-two-years.no-names.csv", "compas-scores-two-years.csv")
    shutil.copy(tables / "fairness_ricci.csv", "ricci.csv")
    names: dict[str, object] = {}
    exec("from saliscope import datasets", names)
    for cell in [c for c in NOTEBOOKS["4_ethics_in_practice"].cells if c.cell_type == "code"][-2:]:
        exec(cell.source, names)
    shown = capsys.readouterr().out
    assert "skipped" not in shown
    # ProPublica: of those not charged again, 42 % of black and 22 % of white people scored high.
    assert re.search(r"^0 +African-American +1514 +0.42$", shown, re.MULTILINE)
    assert re.search(r"^ +Caucasian +1281 +0.22$", shown, re.MULTILINE)
    assert re.search(r"^B +27 +0.33$", shown, re.MULTILINE)
