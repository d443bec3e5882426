"""The report: whole, escaped, small, honest."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from saliscope.core.attribution import Attribution
from saliscope.core.health import CATALOG, finding
from saliscope.show import html, notebook
from saliscope.show.canvas import quantize, views
from saliscope.show.wording import ALWAYS

from .show_records import FACTS, HBB, REVIEW, attention, protein, provenance, tensor, words

EVIL = [
    "{{7*7}}", "{% raw %}", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "' onmouseover=alert(1) '", "</style></title><b>", "]]>--><!--", "\x00\x0b\ud800\u202e",
]  # fmt: skip
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Collect elements and attributes, and see that elements close in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.open, self.data = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.data.append(data)

    @property
    def text(self):
        return " ".join("".join(self.data).split())


def check(page, scripts):
    """Parse a page; nothing runs, loads or repeats that should not."""
    found = Page(page)
    assert found.tags.count("script") == scripts
    assert not {"iframe", "object", "embed", "link", "base", "form"} & set(found.tags)
    assert not [k for _, k, _ in found.attributes if k.startswith("on")]
    for tag, key, value in found.attributes:
        if key in {"src", "href", "xlink:href", "action"}:
            assert value.startswith(("#", "data:image/png;base64,")), (tag, key, value)
    ids = [v for _, k, v in found.attributes if k == "id"]
    assert len(ids) == len(set(ids))
    for _, key, value in found.attributes:
        for use in re.findall(r"url\(#([^)]+)\)", value or "") + (
            [value[1:]] if key == "href" and value.startswith("#") else []
        ):
            assert use in ids
    assert not re.search(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))
    page.encode()
    return found


def records():
    return [
        protein(), protein(targets=("A", "B"), name="two"), attention(), words(),
        words("Good\nfilm 😀", name="second"), attention("mean", sequence=HBB[:40]),
        tensor((2, 4, 5)),
    ]  # fmt: skip


def test_whole_page():
    page = html(records(), title="Two proteins & a film")
    found = check(page, scripts=2 + 2)
    assert page.startswith("<!DOCTYPE html>")
    text = found.text
    assert "Two proteins & a film" in text
    assert text.count(ALWAYS) == 2  # at the top, and among the limits
    assert text.count("the limits of ") == len(records())
    assert text.count("How to read it") == len(records())
    limits = text[text.index("What the maps do not say") :]
    assert text.count("Not assessed in this report") == 1
    assert text.count("Masking misleads where two units say the same.") == 1
    assert text.count("Attention says where information was read from") == 1
    assert "Masking misleads where two units say the same." in limits
    assert limits.index("Not assessed") < limits.index("Attention says")
    assert "positive" in text
    assert "79.8%" in text
    assert len(page) < 500_000


def test_records_of_one_input_stand_together():
    page = html([protein(), words(), attention()])
    assert page.count('<section class="input"') == 2
    assert Page(page).text.index("Attention, received") < Page(page).text.index("dreadful mess")


@pytest.mark.parametrize("bad", EVIL)
def test_everything_from_outside_is_escaped(bad):
    text = f"{bad} film"
    label = [bad, "film"]
    data = xr.Dataset(
        {"values": ("position", np.array([1.0, -1.0]))},
        coords={"position": [1, 2], "token": ("position", label),
                "start": ("position", [0, len(bad) + 1]),
                "end": ("position", [len(bad), len(bad) + 5])},
    )  # fmt: skip
    made = provenance(model={"name": bad, bad: bad}, created=bad)
    meta = {"name": bad, "text": text, "modality": bad, "method": bad, "target": [bad],
            "scale": bad, "unit": bad, "prediction": [{"label": bad, "probability": 0.5}],
            "health": [{"code": bad, "severity": "note", "sentence": bad, "remedy": bad}],
            "how": bad, "misuse": bad, "provenance": made}  # fmt: skip
    piece = Attribution(data, meta)
    residue = protein("MV", name=bad, targets=(bad, bad + "2"), unit=bad)
    residue = Attribution(residue.data.assign_coords(residue=("position", label)), residue.meta)
    heat = attention(sequence="MV", name=bad, reduce="received")
    heat = type(heat)(
        heat.data.assign_coords(residue=("position", label)),
        {**heat.meta, "kind": bad, "options": {"specials": bad}},
    )
    several = [piece, residue, heat, tensor((2, 3), name=bad, target=[bad])]
    found = check(html(several, title=bad), scripts=2 + 1)
    assert "49 film" not in found.text
    assert "img" not in found.tags
    check(notebook(piece), scripts=0)
    check(notebook(heat), scripts=0)


def test_hard_inputs():
    nan = protein(HBB[:10])
    nan.data["values"].values[2] = np.nan
    zero = words("a b", values=[0.0, 0.0], name="zero")
    cases = [
        nan, zero, protein("M", health=(), name="one"), protein("MV" * 200, name="long"),
        words("", name="empty"), words("שלום עולם", name="x" * 500), tensor((1, 2, 2, 2, 2)),
        attention(sequence="M", layers=1, heads=1), words("", [], name=""),
        protein(HBB[:9], targets=[f"t{k}" for k in range(9)], name="nine"),
        words(targets=[f"t{k}" for k in range(2)], name="pair"),
    ]  # fmt: skip
    found = check(html(cases), scripts=3)
    assert "1 of 10 values are not finite" in found.text
    assert "All values are zero" in found.text
    assert "at most three are drawn" in found.text
    for record in cases[:-5]:
        check(notebook(record), scripts=0)


def test_health_shows_three_and_keeps_all():
    codes = ["unmasked_copy", "saturated", "training_mode", "token_dropout", "flat"]
    page = html([protein(HBB[:10], health=codes)])
    before, _, after = page.partition("<summary>2 more</summary>")
    assert before.count('<li class="sali-warning">') == 3
    assert after.count('<li class="sali-note">') == 2
    assert "3 warnings · 2 notes" in page
    assert CATALOG["training_mode"][2] in Page(page).text
    assert finding("saturated", **FACTS).sentence in Page(page).text


def test_prediction_without_probabilities():
    guess = [{"label": "a", "score": 1.25, "probability": None}]
    assert "score 1.25" in Page(html([words("a b", prediction=guess)])).text


def test_no_records():
    assert "There are no records to show." in html([])


def test_many_records_are_listed_but_not_all_drawn(monkeypatch):
    monkeypatch.setattr("saliscope.show.report.MOST_DRAWN", 2)
    monkeypatch.setattr("saliscope.show.report.MOST_LISTED", 3)
    page = html([words("a", name=f"r{k}") for k in range(5)])
    check(page, scripts=2)
    assert page.count('<article class="map"') == 2
    assert "The first 3 of 5 maps are listed." in page
    assert "The first 2 of 5 maps are drawn" in page


def test_attention_is_small_and_right():
    record = attention(sequence="M" * 245, layers=33, heads=20)
    page = html([record])
    assert len(page) < 500_000
    data = json.loads(re.search(r'<script type="application/json">(\{.*?)</script>', page)[1])
    assert len(data["views"]) == 1 + 33
    view = data["views"][5]
    cells = np.frombuffer(base64.b64decode(view["data"]), np.uint8).reshape(20, 245)
    exact = record.values.values[4]
    np.testing.assert_allclose((cells / 254.0) ** 2 * view["max"], exact, atol=exact.max() / 254)


def test_attention_shrinks_to_the_budget():
    for reduce in ("received", "mean", "rollout"):
        record = attention(reduce, sequence="M" * 300, layers=6, heads=4)
        for budget in (240_000, 20_000, 2_000):
            made = views(record, budget)
            size = sum(len(base64.b64decode(v["data"])) for v in made.data["views"])
            assert size <= max(budget, 8 * 24 * 24 * 2)
            assert made.notes or size == record.values.size or reduce == "received"


def test_quantize_extremes():
    assert quantize(np.zeros((1, 2))) == (base64.b64encode(b"\0\0").decode(), 0.0)
    assert quantize(np.array([[np.nan]]))[0] == base64.b64encode(b"\xff").decode()


def test_same_records_give_the_same_page():
    few = [protein(HBB[:40]), attention(sequence=HBB[:9]), words()]
    assert html(few) == html(few)


def test_colored_text_keeps_the_text():
    page = html([words()])
    block = re.search(r'<p class="sali-text".*?</p>', page, re.DOTALL)[0]
    bare = re.sub(r"<i .*?</i>|<[^>]+>", "", block)
    assert bare == REVIEW
    assert 'title="word 10: −' in block


def test_show_needs_no_model():
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None;"
        "import saliscope.show as s; assert s.html([]);"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "bad = [m for m in sys.modules if m.startswith('saliscope.')"
        " and not m.startswith(('saliscope.core', 'saliscope.show'))]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
