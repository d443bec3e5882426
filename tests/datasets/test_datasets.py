"""Data sets of the package, and readers that must not believe a file."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import saliscope
from saliscope import InputError, OptionError, datasets

DATA = Path(os.environ.get("SALISCOPE_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason="needs the shared data")
LOAN = "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201 1"
PERSON = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, ?, Not-in-family, White, Male, 2174, "
    "0, 40, United-States, <=50K"
)
READERS: list[Callable[[Path], object]] = [
    datasets.german_credit, datasets.adult, datasets.compas, datasets.ricci, datasets.hatecheck,
    datasets.identity_phrases, lambda path: datasets.identity_phrases(words=path),
    lambda path: datasets.winobias(path, path),
]  # fmt: skip


def one_line(caught: pytest.ExceptionInfo[InputError], path: Path) -> None:
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_what_ships_is_small_and_has_a_license_and_a_source() -> None:
    assert saliscope.datasets is datasets
    table = datasets.available()
    assert set(table["name"]) <= set(datasets.__all__)
    assert table["license"].str.len().gt(0).all()
    assert table["source"].str.len().gt(10).all()
    folder = Path(saliscope.__file__).parent / "samples"
    assert sum(each.stat().st_size for each in folder.rglob("*")) < 500_000
    for name in table.loc[table["ships"], "name"]:
        found = getattr(datasets, name)()
        if isinstance(found, pd.DataFrame):
            assert found.attrs["license"] == datasets.about(name).license
        elif isinstance(found, datasets.Sample):
            assert found.about is datasets.about(name)
    with pytest.raises(OptionError, match="did you mean 'compas'"):
        datasets.about("compass")


def test_a_sentence_is_there_once_and_labels_are_balanced() -> None:
    table = datasets.sentences()
    keys = table["text"].str.lower().str.replace(r"[^a-z0-9]", "", regex=True)
    assert keys.is_unique
    assert set(table["positive"]) == {0, 1}
    assert table.groupby("source")["positive"].mean().between(0.45, 0.55).all()
    assert table.loc[table["text"] == "Crust is not good.", "positive"].tolist() == [0]


def test_good_loans_are_one_whichever_way_the_file_writes_them(tmp_path: Path) -> None:
    raw = tmp_path / "german.data"
    raw.write_text(f"{LOAN}\n{LOAN[:-1]}2\n", encoding="utf-8")
    loans = datasets.german_credit(raw)
    assert loans["credit_risk"].tolist() == [1, 0]
    first = loans.iloc[0]
    assert (first["status"], first["duration"], first["housing"]) == ("no account", 6, "rent")
    assert (first["foreign_worker"], first["people_liable"]) == ("no", "0 to 2")
    assert datasets.german_credit(raw, codes=True)["status"].tolist() == ["A11", "A11"]
    other = tmp_path / "swapped.csv"
    table = datasets.german_credit(codes=True)
    table.assign(credit_risk=1 - table["credit_risk"]).to_csv(other, index=False)
    with pytest.raises(InputError, match=r"1 in 300 of 1000 rows, so 1 seems to be bad"):
        datasets.german_credit(other)
    raw.write_text(LOAN.replace("A101", "A109"), encoding="utf-8")
    with pytest.raises(InputError, match=r"other_debtors is 'A109' in row 1"):
        datasets.german_credit(raw)
    raw.write_text(LOAN.replace(" 67 ", " old "), encoding="utf-8")
    with pytest.raises(InputError, match=r"age is 'old' in row 1 of the data, not a whole number"):
        datasets.german_credit(raw)


@needs_data
def test_the_copy_in_the_package_is_that_of_the_two_files() -> None:
    ours = datasets.german_credit()
    for name in ("german_credit_named_columns.csv", "fairness_german.csv"):
        pd.testing.assert_frame_equal(ours, datasets.german_credit(DATA / "tabular" / name))
    # bad loans, of those without delays and with: the corrected table puts risk where it should be
    bad = 1 - ours.groupby("credit_history", observed=True)["credit_risk"].mean()
    assert bad.idxmax() == "delays in the past"
    assert bad.idxmin() == "all credits at this bank paid back"


def test_adult_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    raw, test, headed = (tmp_path / n for n in ("adult.data", "adult.test", "adult.csv"))
    raw.write_text(f"{PERSON}\n\n", encoding="utf-8")
    test.write_text(f"|1x3 Cross validator\n{PERSON}.\n", encoding="utf-8")
    names = "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,"
    names += "race,sex,capital-gain,capital-loss,hours-per-week,native-country,income-per-year"
    headed.write_bytes(gzip.compress(f"{names}\n{PERSON}\n".encode()))
    frames = [datasets.adult(path) for path in (raw, test, headed)]
    for frame in frames:
        pd.testing.assert_frame_equal(frame, frames[0])
        assert frame.loc[0, ["age", "sex", "income"]].tolist() == [39, "Male", "<=50K"]
        assert frame["occupation"].isna().all()
        assert list(frame["income"].cat.categories) == ["<=50K", ">50K"]
    raw.write_text(f"{PERSON.replace('<=50K', 'rich')}\n", encoding="utf-8")
    with pytest.raises(InputError, match="income is 'rich' in row 1 of the data"):
        datasets.adult(raw)


@needs_data
def test_tables_about_people_have_the_numbers_that_are_known() -> None:
    adult = datasets.adult(DATA / "tabular" / "fairness_adult.csv")
    assert len(adult) == 32561
    assert (adult["income"] == ">50K").sum() == 7841
    path = DATA / "tabular" / "compas-scores-two-years.no-names.csv"
    compas = datasets.compas(path)  # counts of ProPublica's own analysis
    assert len(compas) == 6172
    assert compas["two_year_recid"].sum() == 2809
    assert (compas["race"] == "African-American").sum() == 3175
    assert len(datasets.compas(path, filtered=False)) == 7214
    assert not {"name", "dob", "c_case_number"} & set(compas)
    ricci = datasets.ricci(DATA / "tabular" / "fairness_ricci.csv")
    passed = ricci.groupby("race", observed=True)["passed"].sum().to_dict()
    assert (len(ricci), passed) == (118, {"B": 9, "H": 6, "W": 41})


def test_ricci_checks_that_exams_give_the_combined_score(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("Position,Oral,Written,Race,Combine\nCaptain,80,95,W,89\nCaptain,80,95,W,88\n")
    with pytest.raises(InputError, match="combined score in row 2 of the data is not"):
        datasets.ricci(path)


def idx(folder: Path, name: str, array: np.ndarray) -> Path:
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    path = folder / f"{name}-ubyte.gz"
    path.write_bytes(gzip.compress(head + array.tobytes()))
    return path


def test_clothes_are_read_and_digits_are_told_from_them(tmp_path: Path) -> None:
    images = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28)
    idx(tmp_path, "t10k-images-idx3", images)
    labels = idx(tmp_path, "t10k-labels-idx1", np.array([9, 2], np.uint8))
    found = datasets.fashion_mnist(tmp_path)
    assert (found.images == images).all()
    assert [found.names[i] for i in found.labels] == ["Ankle boot", "Pullover"]
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz; give the folder"):
        datasets.fashion_mnist(tmp_path, "train")
    idx(tmp_path, "t10k-labels-idx1", np.array([9], np.uint8))
    with pytest.raises(InputError, match="2 pictures and 1 labels"):
        datasets.fashion_mnist(tmp_path)
    labels.write_bytes(gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x09\x01"))
    with pytest.raises(InputError, match=r"holds 1 bytes for the shape \(9,\)"):
        datasets.fashion_mnist(tmp_path)
    if DATA.exists():
        assert (
            np.bincount(datasets.fashion_mnist(DATA / "images/fashion_mnist").labels).min() == 1000
        )
        with pytest.raises(InputError, match="this is not Fashion-MNIST"):
            datasets.fashion_mnist(DATA / "images" / "mnist")


@needs_data
def test_swaps_differ_in_nothing_but_the_term() -> None:
    bias = DATA / "text" / "bias"
    cases = datasets.hatecheck(bias / "hatecheck_test_suite_cases.csv", swaps=True)
    assert (cases.groupby("template")["term"].nunique() == 7).all()
    assert cases.groupby("template")["hateful"].std().max() == 0
    assert len(cases) == 421 * 7
    pairs = datasets.winobias(*(bias / f"winobias_{w}_stereotyped_type2.txt.test" for w in
                                ("pro", "anti")))  # fmt: skip
    assert (pairs.groupby("template")["term"].agg(lambda t: "".join(sorted(t))) == "heshe").all()
    assert pairs["template"].nunique() == 391
    assert not pairs["text"].str.contains(r"[\[\]]").any()


@needs_data
def test_filled_patterns_are_the_phrases_that_were_published() -> None:
    published = pd.read_csv(DATA / "text" / "bias" / "jigsaw_en_sentence_templates.csv.gz")
    published = published[published["template"] != "you_occupation"]  # no identity in it
    ours = datasets.identity_phrases(names=True)
    toxic = dict(zip(ours["text"], ours["toxic"], strict=True))
    assert set(published["phrase"]) <= set(toxic)
    same = published["phrase"].map(toxic) == (published["toxicity"] == "toxic")
    assert same.all()


def test_a_twin_that_is_none_is_refused(tmp_path: Path) -> None:
    pro, anti = tmp_path / "pro", tmp_path / "anti"
    pro.write_text("1 The cook called [the guard] and paid [him] .\n")
    anti.write_text("1 The cook called [the guard] and paid [her] .\n")
    assert datasets.winobias(pro, anti)["term"].tolist() == ["he", "she"]
    anti.write_text("1 The cook saw [the guard] and paid [her] .\n")
    with pytest.raises(InputError, match="is not the twin"):
        datasets.winobias(pro, anti)
    anti.write_text("The cook saw the guard.\n")
    with pytest.raises(InputError, match="line 1 has no number, or no pronoun in brackets"):
        datasets.winobias(pro, anti)


@given(content=st.one_of(st.binary(max_size=60), st.text(",;\n 1a\t{}[]|", max_size=60)))
def test_no_file_brings_a_reader_down(
    content: bytes | str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bad") / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for read in READERS:
        with pytest.raises(InputError) as caught:
            read(path)
        one_line(caught, path)
