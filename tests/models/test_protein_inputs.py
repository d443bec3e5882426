"""Proteins: what is read, what is refused, and at which position."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import tokens
from saliscope import InputError, ModelError, OptionError, explain
from saliscope.models.protein import AMINO_ACIDS, ProteinModel, is_protein_vocabulary


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("MV1LS", "position 3 is '1', not a residue letter"),
        ("MV LS9", "position 5 is '9'"),
        ("MV-LS", "position 3 is '-', a gap"),
        ("MV.LS", "position 3 is '.', a gap"),
        ("MV*LS", "position 3 is '*', a stop sign inside"),
        ("MVLS**", "position 5 is '*'"),
        ("----", "only gaps"),
        ("-.-*", "only gaps"),
        ("", "empty"),
        ("  \n\t", "empty"),
        ("*", "empty"),
        ("ACGTACGTACGTACGTACGTACGT", "nucleotide sequence"),
        ("acguacguacguacguacguacgu", "nucleotide sequence"),
        ("M" * 65, "has 65 residues; tiny-esm takes at most 62"),
        ("MV\u00dfL", "position 3 is '\u00df'"),
        ("MV\u0131L", "position 3 is '\u0131'"),
        ("M\u212aV", "position 2"),
        ("MV\x00L", "position 3"),
        ("{{7*7}}", "position 1 is '{'"),
        ("<script>", "position 1 is '<'"),
        (None, "not NoneType"),
        (5, "not int"),
        (b"MVL", "not bytes"),
    ],
    ids=repr,
)
def test_what_is_no_protein_is_refused_with_its_place(
    protein: ProteinModel, raw: Any, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        protein.prepare(raw, name="rec 1")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    if isinstance(raw, str):
        assert str(caught.value).startswith("rec 1")


def test_the_longest_protein_that_fits_is_taken(protein: ProteinModel) -> None:
    assert protein.limit == 64
    (sample,) = protein.prepare("M" * 62)
    assert len(sample.context["ids"]) == 64
    assert explain(protein, "MV" * 31, "gradient").values.sizes == {"position": 62}
    with pytest.raises(InputError):
        protein.prepare("M" * 63)


@pytest.mark.parametrize("raw", ["mvhlt", "MVHLT*", " MVHLT\n", "MV HLT", "Mvhlt*"])
def test_case_space_and_a_final_stop_do_not_matter(protein: ProteinModel, raw: str) -> None:
    (sample,), (plain,) = protein.prepare(raw), protein.prepare("MVHLT")
    assert sample.key == plain.key
    assert sample.text == "MVHLT"


def test_short_or_plain_sequences_are_no_nucleotides(protein: ProteinModel) -> None:
    for raw in ("ACGT", "ACGTACGTACGTACGTACG", "A" * 30, "AG" * 15, "ACGT" * 8 + "M"):
        assert protein.prepare(raw)[0].text == raw


def test_letters_that_the_model_does_not_know_become_x(protein: ProteinModel) -> None:
    (sample,) = protein.prepare("MJVXB")
    x = protein.vocabulary["X"]
    assert sample.context["ids"].tolist()[2] == x
    assert sample.context["unknown"] == {2, 4}
    (found,) = sample.findings
    assert found.code == "unknown_units"
    assert "J2, X4" in found.sentence
    assert list(sample.units.coords["residue"][1])[1:-1] == list("MJVXB")
    assert not protein.prepare("MVBZUO")[0].findings


class Strict:
    """A tokenizer with a sign for nothing but the letters that it knows."""

    unk_token_id = None

    def __init__(self) -> None:
        self.inner = tokens.esm_tokenizer()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, text: str) -> Any:
        """Return what the tokenizer says."""
        return self.inner(text)

    def get_vocab(self) -> dict[str, int]:
        """Return the alphabet without X."""
        return {sign: i for sign, i in self.inner.get_vocab().items() if sign not in {"X", "<unk>"}}


def test_without_an_x_a_letter_that_is_not_known_is_refused() -> None:
    model = ProteinModel(tokens.esm(), Strict(), "strict")
    assert model.prepare("MV")[0].context["unknown"] == frozenset()
    with pytest.raises(InputError, match="MVJ: J3: strict does not know it, nor an X; replace it"):
        model.prepare("MVJ")


@given(st.text("ACDEFGHIKLMNPQRSTVWYXBZUO", min_size=1, max_size=19))
def test_residues_are_mapped_letter_by_letter(protein: ProteinModel, raw: str) -> None:
    (sample,) = protein.prepare(raw)
    ids = sample.context["ids"]
    assert ids[0] == 0
    assert ids[-1] == 2
    assert [tokens.RESIDUES[i] for i in ids[1:-1]] == list(raw)
    assert sample.units.kept.tolist() == list(range(1, len(raw) + 1))
    assert list(sample.units.coords["position"][1]) == [0, *range(1, len(raw) + 1), 0]


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_one_line(protein: ProteinModel, raw: str) -> None:
    try:
        (sample,) = protein.prepare(raw)
    except InputError as error:
        told = str(error)
        assert len(told.splitlines()) == 1
    else:
        assert sample.text.isascii()
        assert sample.text.isupper()
        assert sample.text == "".join(raw.split()).removesuffix("*").upper()


@pytest.mark.parametrize(
    ("baseline", "name"),
    [(None, "mask"), ("mask", "mask"), ("pad", "pad"), ("zero", "zero"), ("A", "A"),
     ("<mask>", "<mask>"), ("AAAAA", "AAAAA"), ("aaaaa", "aaaaa")],
)  # fmt: skip
def test_baselines_by_name(protein: ProteinModel, baseline: Any, name: str) -> None:
    (sample,) = protein.prepare("MVHLT")
    assert protein.baseline(sample, baseline).name == name
    a = explain(protein, "MVHLT", "ig", baseline=baseline, steps=2)
    assert a.provenance["baseline"] == name


@pytest.mark.parametrize(
    ("baseline", "words"),
    [("AAAA", "has 4 units and the input has 5"), ("zeross", "units"), ("a1", "neither"),
     (0.0, "not one of protein"), ("delete", "units"), ("", "neither")],
)  # fmt: skip
def test_baselines_that_do_not_fit(protein: ProteinModel, baseline: Any, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        explain(protein, "MVHLT", "ig", baseline=baseline)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_deletion_is_refused_where_the_target_stands_at_positions(protein: ProteinModel) -> None:
    from saliscope import RefusedError

    with pytest.raises(RefusedError, match="fill='mask'"):
        explain(protein, "MVHLT", "masking", fill="delete")


def test_only_amino_acid_alphabets_are_proteins() -> None:
    assert is_protein_vocabulary({a: i for i, a in enumerate(AMINO_ACIDS)})
    assert not is_protein_vocabulary({a: i for i, a in enumerate("ACGT")})
    assert not is_protein_vocabulary({**{a: i for i, a in enumerate(AMINO_ACIDS)},
                                      **{f"w{i}": i for i in range(300)}})  # fmt: skip
    with pytest.raises(ModelError, match="not an amino-acid alphabet"):
        ProteinModel(tokens.bert(), tokens.word_tokenizer(), "bert")


def test_masking_notes_what_token_dropout_does(protein: ProteinModel) -> None:
    assert "token_dropout" in explain(protein, "MVH", "occlusion").health
    assert "token_dropout" not in explain(protein, "MVH", "occlusion", fill="A").health
    plain = ProteinModel(tokens.esm(token_dropout=False), tokens.esm_tokenizer(), "esm")
    assert "token_dropout" not in explain(plain, "MVH", "occlusion").health
