"""The made pages say what the code says, and every public name is documented."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

import saliscope
import saliscope.variants
from saliscope.core.health import CATALOG
from saliscope.core.registry import methods
from saliscope.variants.report.words import check_words

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "_generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_on_disk_are_what_the_code_says(generate: ModuleType) -> None:
    assert generate.stale() == []
    assert generate.main(["--check"]) == 0


def test_a_page_that_differs_fails_the_check(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = (generate.ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(front, encoding="utf-8")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    page = tmp_path / "docs" / "methods.md"
    page.write_text(page.read_text(encoding="utf-8") + "typed by hand\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1


def test_every_method_and_finding_has_its_place(generate: ModuleType) -> None:
    page, health = generate.methods_page(), generate.health_page()
    for name, spec in methods().items():
        assert f"## `{name}`" in page
        assert spec.equation in page
        for field in spec.options.__dataclass_fields__:
            assert f"| `{field}` |" in page
    assert all(f"| `{code}` |" in health for code in CATALOG)
    assert "{" not in health


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    for package in (saliscope, saliscope.variants):
        name = re.escape(package.__name__)
        found = re.findall(rf"^\.\. auto\w+:: {name}\.(\w+)$", text, re.MULTILINE)
        assert sorted(found) == sorted(package.__all__)
        assert all(hasattr(package, each) for each in found)


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {
        p.relative_to(DOCS).with_suffix("").as_posix()
        for ending in ("*.md", "*.ipynb")
        for p in DOCS.rglob(ending)
        if "_build" not in p.parts and p.name != "index.md"
    }
    listed = {line.strip() for line in index.splitlines()}
    assert pages <= listed


NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_committed_without_outputs_or_with_all(path: Path) -> None:
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if "outputs" in c]
    counts = [c["execution_count"] for c in cells]
    outputs = [o for c in cells for o in c["outputs"]]
    if any(counts) or outputs:
        assert counts == list(range(1, len(cells) + 1))
        assert path.stat().st_size < 1_500_000
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_does_not_say_what_a_report_may_not(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    texts += ["".join(o["text"]) for c in cells for o in c.get("outputs", ()) if "text" in o]
    assert [fault for text in texts for fault in check_words(text)] == []
