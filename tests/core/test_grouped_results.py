"""Finished maps by words, spans, patches, columns: sums that add up, and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from saliscope import Attribution, InputError, OptionError
from saliscope.core.groups import check
from saliscope.core.words import sentences_of, words_of

TEXT = "It isn't bad. Fine!"


def result(values: Any, coords: dict[str, Any] | None = None, **more: Any) -> Attribution:
    """Return a map along positions that adds up: a score of 3.5 from a baseline of 1."""
    values = np.asarray(values, dtype=np.float64)
    meta: dict[str, Any] = {
        "method": "integrated_gradients", "target": ["a"], "unit_kind": "token", "health": [],
        "provenance": {"evaluations": 5}, **more.pop("meta", {}),
    }  # fmt: skip
    numbers = {"score": 3.5, "baseline_score": 1.0, "gap": values.sum() - 2.5, "error": 0.01}
    numbers.update(more)
    data = {k: v for k, v in numbers.items() if v is not None}
    return Attribution(
        xr.Dataset({"values": ("position", values), **data}, coords or _positions(len(values))),
        meta,
    )


def _positions(count: int) -> dict[str, Any]:
    return {"position": np.arange(1, count + 1)}


def tokens() -> Attribution:
    """Return seven tokens of two sentences, one of which has no characters."""
    spans = [(0, 2), (3, 6), (6, 8), (9, 12), (12, 13), (13, 13), (14, 18), (18, 19)]
    coords = {
        **_positions(8), "token": ("position", [TEXT[a:b] for a, b in spans]),
        "start": ("position", [a for a, _ in spans]), "end": ("position", [b for _, b in spans]),
    }  # fmt: skip
    values = [0.5, -1.0, 0.25, -2.0, 0.0, 0.125, 4.0, 1.0]
    return result(values, coords, stderr=("position", np.full(8, 0.5)),
                  probability_drop=("position", np.zeros(8)),
                  meta={"text": TEXT, "modality": "text"})  # fmt: skip


def test_words_and_sentences_of_a_text() -> None:
    words = tokens().group("word")
    assert words.to_frame()["word"].tolist() == ["It", "isn't", "bad", ".", "Fine", "!", "rest"]
    assert words.to_numpy().tolist() == [0.5, -0.75, -2.0, 0.0, 4.0, 1.0, 0.125]
    assert words.data["start"].to_numpy().tolist() == [0, 3, 9, 12, 14, 18, 0]
    assert words.data["end"].to_numpy().tolist() == [2, 8, 12, 13, 18, 19, 0]
    assert words.data["units"].to_numpy().tolist() == [1, 2, 1, 1, 1, 1, 1]
    sentences = tokens().group("sentence")
    expected = [["It isn't bad.", -2.25], ["Fine!", 5.0], ["rest", 0.125]]
    assert sentences.to_frame()[["sentence", "value"]].to_numpy().tolist() == expected
    again = words.group("sentence")
    assert again.to_frame()[["sentence", "value"]].to_numpy().tolist() == expected
    assert again.provenance["grouped"] == [
        {"by": "word", "reduce": "sum", "groups": 7},
        {"by": "sentence", "reduce": "sum", "groups": 3},
    ]
    assert words.group("word").equals(words)


def test_a_sum_keeps_what_adds_up_and_bounds_what_does_not() -> None:
    before = tokens()
    after = before.group("sentence")
    assert (after.score, after.baseline_score, after.gap) == (3.5, 1.0, before.gap)
    assert after.to_numpy().sum() - (after.score - after.baseline_score) == pytest.approx(after.gap)
    # Of 8.875 in all sizes 7.375 are left, so the same error is a larger share of the map.
    assert after.error == pytest.approx(0.01 * 8.875 / 7.375)
    assert after.data["stderr"].to_numpy().tolist() == [2.5, 1.0, 0.5]
    assert "probability_drop" not in after.data
    assert [f.code for f in after.health] == ["stderr_bound"]
    assert after.meta["how"] == "Each sentence has the sum of its tokens."


@pytest.mark.parametrize(
    ("reduce", "expected", "stderr"),
    [
        ("mean", [-0.5, 1.0], [0.5, 1.0]), ("max", [2.0, 1.0], None),
        ("norm", [np.sqrt(13.25), 1.0], None), ("absmax", [-3.0, 1.0], None),
    ],
)  # fmt: skip
def test_other_reducers_have_no_gap_and_say_so(
    reduce: str, expected: list[float], stderr: list[float] | None
) -> None:
    a = result([2.0, -3.0, 1.0, -0.5], stderr=("position", np.array([0.25, 0.5, 1.0, 0.75])))
    grouped = a.group(["x", "x", "y", "x"], reduce)
    np.testing.assert_allclose(grouped, expected, rtol=1e-12)
    assert (grouped.gap, grouped.error, grouped.score) == (None, None, 3.5)
    assert "groups_not_summed" in grouped.health
    assert grouped.signed == (reduce != "norm")
    if stderr is None:
        assert "stderr" not in grouped.data
    else:
        np.testing.assert_allclose(grouped.data["stderr"], stderr)


def test_a_sum_of_what_does_not_add_up_is_flagged() -> None:
    masked = result([1.0, 2.0, 3.0], gap=None, meta={"method": "masking"})
    assert "groups_not_additive" in masked.group(2).health
    assert "groups_not_additive" not in masked.group(1).health  # nothing was summed


def test_groups_of_one_unit_keep_everything() -> None:
    a = result([1.0, -2.0], probability_drop=("position", np.array([0.1, 0.2])),
               coords={**_positions(2), "residue": ("position", ["M", "V"])},
               meta={"unit_kind": "residue"})  # fmt: skip
    codons = a.group("codon")
    assert codons.data["probability_drop"].to_numpy().tolist() == [0.1, 0.2]
    names = ["position", "codon", "coding_start", "coding_end", "value"]
    assert codons.to_frame()[names].to_numpy().tolist() == [
        [1, "M1", 1, 3, 1.0], [2, "V2", 4, 6, -2.0],
    ]  # fmt: skip
    assert not len(codons.health)


def test_codons_of_nucleotides() -> None:
    coords = {**_positions(6), "token": ("position", list("atgTGG"))}
    codons = result([1, 2, 3, 4, 5, 6], coords).group("codon")
    assert codons.to_frame()[["codon", "first", "last", "value"]].to_numpy().tolist() == [
        ["ATG", 1, 3, 6.0], ["TGG", 4, 6, 15.0],
    ]  # fmt: skip
    with pytest.raises(OptionError, match="5 nucleotides are no whole number of codons"):
        result([1] * 5, {**_positions(5), "token": ("position", list("ATGTG"))}).group("codon")


def written() -> Attribution:
    """Return three tokens of an input, and three that a model wrote behind it."""
    text = "It was un" + "believably good. Fine"
    spans = [(0, 2), (3, 6), (7, 9), (9, 19), (20, 24), (24, 25), (26, 30)]
    coords = {
        **_positions(7), "token": ("position", [text[a:b] for a, b in spans]),
        "start": ("position", [a for a, _ in spans]), "end": ("position", [b for _, b in spans]),
        "stream": ("position", ["prompt"] * 3 + ["output"] * 4),
    }  # fmt: skip
    return result([1, 2, 4, 8, 16, 32, 64], coords, meta={"text": text, "modality": "text"})


def test_no_word_or_sentence_holds_both_what_was_given_and_what_was_written() -> None:
    columns = ["sentence", "stream", "value"]
    assert written().group("sentence").to_frame()[columns].to_numpy().tolist() == [
        ["It was un", "prompt", 7.0], ["believably good.", "output", 56.0],
        ["Fine", "output", 64.0],
    ]  # fmt: skip
    words = written().group("word").to_frame()
    assert words["word"].tolist()[2:4] == ["un", "believably"]
    assert words["stream"].tolist() == ["prompt"] * 3 + ["output"] * 4
    again = written().group("word").group("sentence")
    assert again.data["stream"].values.tolist() == ["prompt", "output", "output"]


def test_streams_of_other_groups_are_named() -> None:
    windows = written().group(2)
    assert windows.data["stream"].values.tolist() == [
        "prompt", "prompt and output", "output", "output",
    ]  # fmt: skip
    members = written().group({"verb": [2], "good": [4, 5]})
    assert members.data["stream"].values.tolist() == ["prompt", "output", "prompt and output"]
    by_stream = written().group("stream")
    assert by_stream.to_frame()[["stream", "value"]].to_numpy().tolist() == [
        ["prompt", 7.0], ["output", 120.0],
    ]  # fmt: skip


def test_spans_and_members() -> None:
    coords = {"position": [11, 12, 13, 14], "residue": ("position", list("MVHL"))}
    a = result([1, 2, 4, 8], coords)
    by_span = a.group([(11, 12, "head"), (14, 14, "tail")])
    columns = ["span", "first", "last", "units", "value"]
    assert by_span.to_frame()[columns].to_numpy().tolist() == [
        ["head", 11, 12, 2, 3.0], ["tail", 14, 14, 1, 8.0], ["rest", 13, 13, 1, 4.0],
    ]  # fmt: skip
    apart = a.group([(11, 11, "site"), (14, 14, "site"), (12, 13, "loop")])
    assert apart.to_frame()["value"].tolist() == [9.0, 6.0]
    assert a.group({"ends": [11, 14], "none": []}).to_frame()[["group", "value"]].to_numpy(
    ).tolist() == [["ends", 9.0], ["rest", 6.0]]  # fmt: skip
    by_letter = a.group("residue")
    assert by_letter.to_frame()["residue"].tolist() == list("MVHL")


def test_columns_of_a_table() -> None:
    data = xr.Dataset(
        {"values": (("example", "column"), [[1.0, 2.0, 4.0], [0.0, -1.0, 1.0]]),
         "score": ("example", [9.0, 8.0]), "baseline_score": ("example", [2.0, 8.0]),
         "gap": ("example", [0.0, 0.0])},
        {"column": ["zip", "city", "age"], "example": [0, 1]},
    )  # fmt: skip
    a = Attribution(data, {"method": "shapley", "target": ["a"], "provenance": {}})
    grouped = a.group({"address": ["zip", "city"], "age": ["age"]})
    assert grouped.values.dims == ("example", "position")
    assert grouped.to_numpy().tolist() == [[3.0, 4.0], [-1.0, 1.0]]
    assert grouped.data["score"].to_numpy().tolist() == [9.0, 8.0]
    with pytest.raises(OptionError, match="no unit 'cty'; did you mean 'city'"):
        a.group({"address": ["zip", "cty"]})


def test_patches_of_an_image() -> None:
    values = np.arange(20.0).reshape(4, 5)
    data = xr.Dataset({"values": (("y", "x"), values), "score": 190.0, "gap": 0.0})
    a = Attribution(data, {"method": "gradient", "target": ["a"], "provenance": {}})
    patches = a.group((3, 2))
    assert patches.to_numpy().tolist() == [[33.0, 45.0, 27.0], [31.0, 35.0, 19.0]]
    assert patches.data["y"].to_numpy().tolist() == [0, 3]
    assert patches.data["x"].to_numpy().tolist() == [0, 2, 4]
    assert a.group(2, "max").to_numpy().tolist() == [[6, 8, 9], [16, 18, 19]]
    segments = np.array([[0] * 5, [7] * 5, [7] * 5, [-1] * 5])
    by_segment = a.group(segments)
    assert by_segment.to_frame()[["group", "value"]].to_numpy().tolist() == [
        ["0", 10.0], ["7", 95.0], ["rest", 85.0],
    ]  # fmt: skip
    with pytest.raises(OptionError, match="one axis, and this result has y, x"):
        a.group([(0, 1, "top")])


def test_several_targets_keep_their_names() -> None:
    data = xr.Dataset(
        {"values": (("target", "position"), [[1.0, 2.0, 3.0], [0.0, 5.0, -5.0]]),
         "score": ("target", [6.0, 0.0]), "error": ("target", [0.1, 0.1]),
         "interaction": (("target", "first", "second"), np.zeros((2, 3, 3)))},
        {"target": ["a", "b"], "position": [1, 2, 3], "first": list("xyz"), "second": list("xyz")},
    )  # fmt: skip
    a = Attribution(data, {"method": "shapley", "target": ["a", "b"], "provenance": {}})
    grouped = a.group([(2, 3, "end")])
    assert grouped.to_numpy().tolist() == [[5.0, 1.0], [0.0, 0.0]]
    assert grouped.select("b").to_frame()["value"].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(grouped.error, [0.1, 0.1])  # nothing is left to relate the second to
    assert "interaction" not in grouped.data


def test_a_loaded_result_is_grouped_alike(tmp_path: Path) -> None:
    a = tokens()
    a.save(tmp_path / "a.nc")
    loaded = Attribution.load(tmp_path / "a.nc")
    assert loaded.group("sentence").equals(a.group("sentence"))
    grouped = loaded.group("word")
    grouped.save(tmp_path / "b.nc")
    assert Attribution.load(tmp_path / "b.nc").equals(grouped)
    assert grouped.to_csv().splitlines()[0] == "position,word,start,end,units,value,stderr"
    assert "isn&#39;t" in grouped.to_html()


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("wrod", "'wrod' do not exist for this result; it has: token, word, sentence"),
        ("codon", "'codon' do not exist"), ("position", "do not exist"),
        ([(0, 3, "a")], "from 0 to 3 does not lie within 1 to 8"),
        ([(3, 2, "a")], "from 3 to 2 does not lie"), ([(1, 2)], r"\(1, 2\) is not a span"),
        ([(1, 3, "a"), (3, 4, "b")], "position 3 lies in both 'a' and 'b'"),
        ({"a": "token"}, "'a': give a list"), ({"a": [99]}, "'a': this result has no unit 99"),
        ({}, "no unit of this result belongs to a group"), ([-1] * 8, "no unit"),
        ([1, 2], r"groups have shape \(2,\) of int64; .*shape \(8,\)"),
        ([0.5] * 8, "of float64"), ([[1, 2], [3]], "ragged"), (0, "do not fit"),
        ((2, 2), "2 x 2 units do not fit"),
    ],
)  # fmt: skip
def test_groups_that_do_not_fit_are_refused(by: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        tokens().group(by)
    assert "\n" not in str(caught.value)


def test_other_refusals() -> None:
    with pytest.raises(OptionError, match="reduce='summ' does not exist: did you mean 'sum'"):
        tokens().group("word", "summ")
    scalar = Attribution(xr.Dataset({"values": ("example", [1.0])}), {"provenance": {}})
    with pytest.raises(OptionError, match="nothing to group"):
        scalar.group(2)
    with pytest.raises(OptionError, match=r"protein model .*'word'; give residue, codon"):
        check("word", "protein")
    assert not issubclass(OptionError, InputError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("He said no. Then he left", ["He said no.", "Then he left"]),
        ("Dr. Smith met J. R. R. Tolkien.", ["Dr. Smith met J. R. R. Tolkien."]),
        ("It was I. He knew", ["It was I.", "He knew"]),
        ('"Good!" she said. (Really.) Yes', ['"Good!" she said.', "(Really.)", "Yes"]),
        ("At 3.5 stars... fine", ["At 3.5 stars... fine"]),
        ("e.g. This", ["e.g. This"]),
        ("no end\nbut a line\n\nnew one", ["no end\nbut a line", "new one"]),
        ("好。坏！", ["好。", "坏！"]),
        ("  spaced.   Out  ", ["spaced.", "Out"]),
        ("", []),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in sentences_of(text)] == expected


@given(st.text("aA .!?\n\"'。(", max_size=60))
def test_sentences_hold_everything_but_space_and_no_word_is_cut(text: str) -> None:
    spans = sentences_of(text)
    assert all(a < b for a, b in spans)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    for start, end in words_of(text):
        if text[start:end].isalnum():
            assert any(a <= start and end <= b for a, b in spans)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30).flatmap(
        lambda values: st.tuples(
            st.just(values),
            st.lists(st.integers(-1, 5), min_size=len(values), max_size=len(values)),
        )
    )
)
def test_sums_of_any_partition_add_up(case: tuple[list[float], list[int]]) -> None:
    values, labels = case
    a = result(values)
    if max(labels) < 0:
        with pytest.raises(OptionError):
            a.group(labels)
        return
    grouped = a.group(labels)
    frame = grouped.to_frame().set_index("group")["value"]
    for label in set(labels):
        expected = sum(v for v, own in zip(values, labels, strict=True) if own == label)
        assert frame["rest" if label < 0 else str(label)] == pytest.approx(expected, abs=1e-9)
    assert grouped.to_numpy().sum() == pytest.approx(sum(values), abs=1e-9)
    assert grouped.data["units"].sum() == len(values)
