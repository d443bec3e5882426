"""Results survive a file without loss, and files that are broken are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from helpers import toys
from saliscope import Attribution, InputError, OptionError, explain
from saliscope.core.health import CATALOG, Finding
from saliscope.core.record import plain, write_beside

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def attributions(draw: st.DrawFn) -> Attribution:
    """Draw a result with odd names, odd numbers, and perhaps several targets and examples."""
    lead = draw(st.sampled_from([(), ("target",), ("example",), ("target", "example")]))
    axes = draw(st.sampled_from([("position",), ("y", "x")]))
    sizes = {d: draw(st.integers(1, 4)) for d in (*lead, *axes)}
    dims = (*lead, *axes)
    shape = tuple(sizes[d] for d in dims)
    data = xr.Dataset({"values": (dims, draw(npst.arrays(np.float64, shape, elements=numbers)))})
    outer = tuple(sizes[d] for d in lead)
    data["score"] = (lead, draw(npst.arrays(np.float64, outer, elements=numbers)))
    names = draw(st.lists(texts, min_size=sizes.get("target", 1), max_size=sizes.get("target", 1)))
    if "target" in lead:
        data = data.assign_coords(target=names)
    if "position" in axes:
        count = sizes["position"]
        coords = draw(st.lists(st.integers(-5, 10**12), min_size=count, max_size=count))
        letters = draw(st.lists(texts, min_size=count, max_size=count))
        data = data.assign_coords(position=coords, residue=("position", letters))
    meta = {
        "name": draw(texts), "text": draw(texts), "method": "gradient", "target": names,
        "health": [], "provenance": {"evaluations": 3, "notes": draw(json_data)},
    }  # fmt: skip
    return Attribution(data, meta)


@given(attributions())
@settings(max_examples=25)
def test_save_and_load_lose_nothing(tmp_path: Path, a: Attribution) -> None:
    path = tmp_path / "a.nc"
    a.save(path)
    b = Attribution.load(path)
    assert b.equals(a)
    assert a.equals(b)
    assert b.values.dtype == a.values.dtype
    assert b.values.dims == a.values.dims
    assert set(b.data.indexes) == set(a.data.indexes)
    assert b.to_bytes() == a.to_bytes() == path.read_bytes()
    assert plain(dict(b.meta)).keys() == dict(a.meta).keys()


@given(attributions())
@settings(max_examples=15)
def test_every_export_takes_odd_names_and_numbers(tmp_path: Path, a: Attribution) -> None:
    assert len(a.to_frame()) == a.values.size
    assert len(a.top(3)) == min(3, a.values.size)
    assert a.to_csv(tmp_path / "a.csv").encode() == (tmp_path / "a.csv").read_bytes()
    assert json.loads(a.to_json())["kind"] == "attribution"
    assert repr(a).startswith("Attribution of")
    assert np.asarray(a).shape == a.to_numpy().shape


def result() -> Attribution:
    """Return a small real result."""
    return explain(toys.two_layer(), torch.tensor([toys.TWO_LAYER_INPUT]).double(), "ig", [0, 1])


def test_a_change_of_anything_is_seen() -> None:
    a = result()
    assert a.equals(Attribution(a.data, a.meta))
    assert not a.equals(Attribution(a.data + 1e-16, {**a.meta, "name": "other"}))
    assert not a.equals(Attribution(a.data.assign(values=a.values + 1), a.meta))


def test_a_real_result_has_what_it_says() -> None:
    a = result()
    assert a.values.dims == ("target", "example", "dim_1")
    assert a.select("1").target == "1"
    assert a.select(0).target == "0"
    np.testing.assert_array_equal(a.select("1").to_numpy(), a.to_numpy()[1])
    for bad in ("2", 2, -3):
        with pytest.raises(OptionError, match="no target"):
            a.select(bad)
    one = explain(toys.two_layer(), torch.ones(1, 3).double(), "ig", 0)
    assert one.select(0) is one
    top = one.top(2)
    assert abs(top["value"][0]) >= abs(top["value"][1])
    assert isinstance(np.asarray(one, dtype=np.float32)[0, 0], np.float32)


def test_a_missing_number_is_none() -> None:
    a = explain(toys.two_layer(), torch.ones(1, 3).double(), "gradient", 0)
    assert a.baseline_score is None
    assert a.gap is None
    assert a.error is None
    assert a.signed
    norm = explain(toys.two_layer(), torch.ones(1, 3).double(), "gradient", 0, absolute=True)
    assert not norm.signed


def test_many_long_names_fit_into_a_file(tmp_path: Path) -> None:
    count = 20_000
    data = xr.Dataset(
        {"values": ("position", np.arange(float(count)))},
        coords={"residue": ("position", ["\u00e4\u4e2d\U0001f600"] * count)},
    )
    a = Attribution(data, {"method": "x", "target": ["t"], "text": "M" * 200_000, "provenance": {}})
    assert Attribution.load(a.save(tmp_path / "a.nc")).equals(a)


def header(**changed: Any) -> str:
    """Return the JSON attribute of a saved result, with changes."""
    whole = {"format": 1, "kind": "attribution", "labels": {}, "meta": {}}
    return json.dumps({k: v for k, v in (whole | changed).items() if v is not None})


BROKEN = {
    "empty": b"",
    "text": b"this is no netCDF file",
    "zip": b"PK\x03\x04rest",
    "signature only": b"\x89HDF\r\n\x1a\n",
}
HEADERS = {
    "no header": None,
    "no JSON": "{",
    "a list": "[1, 2]",
    "a number": "3",
    "another kind": header(kind="attention"),
    "a later format": header(format=99),
    "no kind": header(kind=None),
    "no meta": header(meta=None),
    "labels of an unknown axis": header(labels={"residue": {"dims": ["nowhere"], "values": ["A"]}}),
    "too many labels": header(labels={"residue": {"dims": ["position"], "values": ["A"] * 9}}),
    "labels without dims": header(labels={"residue": {}}),
    "labels as a list": header(labels=[1]),
    "format as a word": header(format="new"),
}


def refused(path: Path) -> None:
    """The file is refused in one line that names it."""
    with pytest.raises(InputError) as caught:
        Attribution.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_something_else_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(BROKEN[name])
    refused(path)


@pytest.mark.parametrize("name", HEADERS)
def test_files_with_a_broken_header_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["values"] = np.zeros(2)
        file["values"].dims[0].label = "position"
        if HEADERS[name] is not None:
            file.attrs["saliscope"] = HEADERS[name]
    refused(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_files_that_were_cut_off_are_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.nc"
    whole = result().to_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.nc")
    refused(tmp_path)


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_beside(path, b"old")
    assert path.read_bytes() == b"old"

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(InputError, match="No space left"):
            write_beside(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(InputError, match="is a folder"):
        write_beside(tmp_path, b"x")
    with pytest.raises(InputError, match="cannot be written"):
        write_beside(tmp_path / "none" / "a.txt", b"x")
    with pytest.raises(InputError, match="cannot be written"):
        write_beside(path / "below", b"x")


def test_findings_survive_with_their_facts(tmp_path: Path) -> None:
    facts = {"count": 3, "total": 4, "odd": float("nan"), "name": "\u00fc"}
    severity, sentence, remedy = CATALOG["non_finite"]
    a = result().with_findings([Finding("non_finite", severity, sentence, remedy, facts)])
    b = Attribution.load(a.save(tmp_path / "a.nc"))
    assert b.equals(a)
    assert next(iter(b.health)).facts["name"] == "\u00fc"
    assert not b.health.ok
