"""An audit keeps its tables, words and errors, on a page and in a file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from saliscope.audit import LIMITS, Audit, audit_html
from saliscope.core.errors import InputError, OptionError
from saliscope.core.health import Finding

TABLE = pd.DataFrame(
    {
        "place/of it": ["left", None, "", "<b>"],
        "count": np.array([3, -1, 2**40, 0]),
        "share": [0.1, np.nan, np.inf, 1 / 3],
        "caught": [True, False, False, True],
    }
)


def made(**more: object) -> Audit:
    wrong = Finding("spurious_cue", "error", "It looks at the corner.", "Look at the data.")
    return Audit.of(
        "toys", model="toy", verdict="caught", sentence="Caught: <the corner>.",
        frames={"places": TABLE, "none": TABLE.iloc[:0]},
        captions={"places": "what was pasted", "none": "nothing"}, facts={"Pictures": "4"},
        limits=["Only pasted patches were tried."], findings=[wrong],
        provenance={"seed": 3, "settings": {"places": 50}}, about={"box": [0, 0, 4, 4]},
    )  # fmt: skip


def test_a_saved_audit_is_the_same_to_the_last_bit(tmp_path):
    audit = made()
    again = Audit.load(audit.save(tmp_path / "audit.nc"))
    assert again.equals(audit)
    pd.testing.assert_frame_equal(again["places"], TABLE, check_exact=True)
    assert list(again.frames) == ["places", "none"]
    assert len(again["none"]) == 0
    assert list(again["none"].columns) == list(TABLE.columns)
    assert again.meta["about"]["box"] == [0, 0, 4, 4]
    assert [e.code for e in again.errors] == ["spurious_cue"]
    assert again.limits == (*LIMITS, "Only pasted patches were tried.")


def test_tables_go_to_a_folder_and_bad_ones_are_refused(tmp_path):
    audit = made()
    audit.to_csv(tmp_path / "out")
    assert (tmp_path / "out" / "places.csv").read_text().splitlines()[1] == "left,3,0.1,True"
    with pytest.raises(InputError, match="is no folder"):
        audit.to_csv(tmp_path / "out" / "places.csv")
    with pytest.raises(OptionError, match="did you mean 'places'"):
        audit["place"]
    with pytest.raises(TypeError, match="column 'x': not all floats"):
        Audit.of("groups", model="m", verdict="", sentence="", captions={"t": ""},
                 frames={"t": pd.DataFrame({"x": ["a", 1]})})  # fmt: skip
    with pytest.raises(AttributeError, match="has no map"):
        audit.values  # noqa: B018


def test_the_page_says_the_sentence_first_and_escapes_what_it_was_given():
    page = audit_html([made(), made()])
    assert page.index("Caught: &lt;the corner&gt;.") < page.index("<table")
    assert "&lt;b&gt;" in page
    assert "<b>Audit error.</b> It looks at the corner." in page
    for limit in LIMITS:
        assert page.count(str(escape(limit))) == 1
    assert page.count("Only pasted patches were tried.") == 2
    alone = made()._repr_html_()
    assert str(escape(LIMITS[0])) in alone
    assert "<html" not in alone


def test_an_audit_fits_on_a_screen():
    text = repr(made())
    assert len(text.splitlines()) < 25
    assert "audit error    It looks at the corner." in text
