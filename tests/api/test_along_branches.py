"""Substitutions along a branch: numbered along the ancestor, gaps passed over."""

from __future__ import annotations

import pytest

from saliscope import InputError, OptionError, attention, explain
from saliscope.api.branch import along_branch
from saliscope.models.protein import ProteinModel


def test_rows_are_the_differences_of_two_maps(protein: ProteinModel) -> None:
    found = along_branch(protein, "MV-LTPEEK", "MVHLSPE-V", method="masking", target="likelihood")
    assert found["substitution"].tolist() == ["T4S", "K8V"]
    maps = [explain(protein, s, "masking", "likelihood") for s in ("MVLTPEEK", "MVHLSPEV")]
    seen = [attention(protein, s).received(-1) for s in ("MVLTPEEK", "MVHLSPEV")]
    for row, before, after in ((0, 3, 4), (1, 7, 7)):
        one, two = (float(m.values[i]) for m, i in zip(maps, (before, after), strict=True))
        assert found["attribution_change"][row] == pytest.approx(two - one, abs=1e-12)
        one, two = (float(m.values[i]) * 8 for m, i in zip(seen, (before, after), strict=True))
        assert found["attention_before"][row] == pytest.approx(one, abs=1e-12)
        assert found["attention_change"][row] == pytest.approx(two - one, abs=1e-12)


def test_what_is_no_branch_is_refused(protein: ProteinModel) -> None:
    with pytest.raises(InputError, match="3 letters and the descendant 2"):
        along_branch(protein, "MVH", "MV")
    with pytest.raises(InputError, match="no substitution"):
        along_branch(protein, "MV-", "MVH")
    with pytest.raises(OptionError, match="model of text"):
        along_branch("zoo:sentiment", "MVH", "MVK")
