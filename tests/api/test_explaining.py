"""`saliscope.explain` as a user calls it: kinds of input, errors, progress, resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import saliscope
from saliscope.api.progress import Meter
from saliscope.core.engine import Progress
from saliscope.models.protein import ProteinModel
from saliscope.models.text import TextModel

PROTEINS = ["MVHLTPEEK", "MKTAYIAKQR", "MVHLTPEEK"]


@pytest.fixture
def net() -> nn.Module:
    """Return a linear net with known weights."""
    net = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 0.0]]))
    return net


def test_one_many_and_a_stream(protein: ProteinModel) -> None:
    one = saliscope.explain(protein, PROTEINS[0], method="gradient")
    assert isinstance(one, saliscope.Attribution)
    assert (one.name, one.text) == ("MVHLTPEEK", "MVHLTPEEK")
    for many in (PROTEINS, tuple(PROTEINS)):
        found = saliscope.explain(protein, many, method="gradient")
        assert [f.text for f in found] == PROTEINS
        np.testing.assert_allclose(found[0], one, rtol=1e-10)
        np.testing.assert_array_equal(found[0], found[2])

    def source() -> Iterator[str]:
        yield from PROTEINS
        msg = "the source failed"
        raise RuntimeError(msg)

    stream = saliscope.explain(protein, iter(PROTEINS), method="gradient")
    assert isinstance(stream, Iterator)
    np.testing.assert_allclose(next(stream), one, rtol=1e-10)
    assert len(list(stream)) == 2
    with pytest.raises(RuntimeError, match="the source failed"):
        list(saliscope.explain(protein, source(), method="gradient"))
    assert saliscope.explain(protein, [], method="gradient") == []


def test_a_stream_is_taken_as_it_is_read(
    protein: ProteinModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saliscope.api.explaining.CHUNK", 2)
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for protein_ in PROTEINS * 3:
            taken += 1
            yield protein_

    stream = saliscope.explain(protein, source(), method="gradient")
    assert taken == 0
    next(stream)
    assert taken == 2
    assert len(list(stream)) == 8


def test_named_inputs(protein: ProteinModel) -> None:
    found = saliscope.explain(protein, saliscope.Input("HBB", "MVHL"), method="gradient")
    assert found.name == "HBB"
    found = saliscope.explain(
        protein, [saliscope.Input("a", "MVHL"), ("M", "V"), "MV"], "gradient", errors="collect"
    )
    assert found[0].name == "a"
    assert isinstance(found[1], saliscope.InputError)
    assert "string" in str(found[1])


def test_errors_raised_or_collected(protein: ProteinModel) -> None:
    bad = ["MVHL", "MV1L", "", "---"]
    with pytest.raises(saliscope.InputError, match="position 3 is '1'"):
        saliscope.explain(protein, bad, method="gradient")
    found = saliscope.explain(protein, bad, method="gradient", errors="collect")
    assert isinstance(found[0], saliscope.Attribution)
    assert all(isinstance(f, saliscope.InputError) for f in found[1:])
    (failed,) = saliscope.explain(protein, ["MV1L"], method="gradient", errors="collect")
    assert isinstance(failed, saliscope.InputError)
    with pytest.raises(saliscope.OptionError, match="'collect'"):
        saliscope.explain(protein, bad, method="gradient", errors="colect")  # type: ignore[call-overload]


def test_progress_adds_up(protein: ProteinModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saliscope.api.explaining.CHUNK", 2)
    seen: list[Progress] = []
    sequences = ["MVHLTPEEK", "MKTAYIAKQR", "MKV", "MKL", "MAA"]
    saliscope.explain(protein, sequences, method="masking", progress=seen.append)
    assert (seen[-1].done, seen[-1].started) == (5, 5)
    rows = [s.rows for s in seen]
    assert rows == sorted(rows)
    assert rows[-1] >= sum(map(len, sequences))


def test_no_bar_where_nobody_looks(
    protein: ProteinModel, capsys: pytest.CaptureFixture[str]
) -> None:
    saliscope.explain(protein, PROTEINS, method="gradient", progress=True)
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Meter(progress=True, total=3) as meter:
        meter.tell(Progress(1, 2, 30, 4))
        meter.next(2)
        assert "2 of 3 (30 evaluations)" in meter.bar.tasks[0].description


def test_resume(protein: ProteinModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "kept"
    first = saliscope.explain(protein, PROTEINS, method="gradient", resume=str(folder))
    assert len(list(folder.glob("*.nc"))) == 2  # equal inputs share one
    np.testing.assert_allclose(
        first[1], saliscope.explain(protein, PROTEINS[1], method="gradient"), rtol=1e-10
    )
    monkeypatch.setattr(ProteinModel, "run", None)
    again = saliscope.explain(protein, PROTEINS, method="gradient", resume=str(folder))
    assert [a.equals(f) for a, f in zip(again, first, strict=True)] == [True] * 3
    named = [saliscope.Input("first", "MVHLTPEEK"), saliscope.Input("second", "MVHLTPEEK")]
    monkeypatch.undo()
    found = saliscope.explain(protein, named, method="gradient", resume=str(folder))
    assert [f.name for f in found] == ["first", "second"]
    # A name is given, so it is not called by its content.
    assert len(list(folder.glob("*.nc"))) == 3
    saliscope.explain(protein, PROTEINS[0], "gradient", target="V2E", resume=str(folder))
    assert len(list(folder.glob("*.nc"))) == 4  # other settings, other file


def test_resume_is_refused_where_it_cannot_work(
    protein: ProteinModel, net: nn.Module, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    for place in ("file", "file/below"):
        with pytest.raises(saliscope.InputError, match="is a file"):
            saliscope.explain(protein, "MKV", "gradient", resume=str(tmp_path / place))
    with pytest.raises(saliscope.OptionError, match="arrays"):
        saliscope.explain(net, torch.ones(1, 3).double(), resume=str(tmp_path / "t"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_strict(protein: ProteinModel) -> None:
    with pytest.raises(saliscope.ToleranceError) as caught:
        saliscope.explain(protein, "MVHLTPEEK", tolerance=1e-12, max_evaluations=5, strict=True)
    assert caught.value.exit_code == 1
    loose = saliscope.explain(protein, "MVHLTPEEK", tolerance=1e-12, max_evaluations=5)
    assert not loose.health.ok


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "gradeint"}, "'gradient'"),
        ({"method": "occlusion", "windo": 2}, "'window'"),
        ({"method": "gradient", "tolerance": 0.1}, "does not use tolerance"),
        ({"method": "gradient", "baseline": "mask"}, "does not use baseline"),
        ({"method": "gradient", "fill": "mask"}, "does not use fill"),
        ({"tolerance": 0}, "between 0 and 1"),
        ({"budget": 0}, "positive"),
        ({"seed": -1}, "at least 0"),
        ({"target": "V60E"}, "position 60"),
        ({"target": np.ones(3)}, r"shape \(3,\); the embedding has \(16,\)"),
        ({"target": []}, "empty"),
    ],
)
def test_bad_options(options: dict[str, object], words: str, protein: ProteinModel) -> None:
    with pytest.raises(saliscope.OptionError, match=words) as caught:
        saliscope.explain(protein, "MVHLTPEEK", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.tensor([[1.0, float("nan"), 0.0]]), r"1 of 3 numbers are not finite.*\(0, 1\)"),
        (torch.tensor([[1.0, float("inf"), 0.0]]), "not finite"),
        (torch.ones(1, 3, dtype=torch.long), "int64.*float"),
        (torch.ones(1, 3, dtype=torch.bool), "bool.*float"),
        (torch.ones(1, 4), r"shape \(1, 4\)"),
        (torch.ones(0, 3), "example"),
        (torch.tensor(1.0), "example axis"),
        ("text", "torch.Tensor"),
        (None, "torch.Tensor"),
    ],
)
def test_bad_tensors(tensor: object, words: str, net: nn.Module) -> None:
    with pytest.raises(saliscope.InputError, match=words) as caught:
        saliscope.explain(net, tensor, target=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "words"), [(-1, "negative.*0 to 1"), (2, "out of range.*0 to 1"), (0.5, "0.5")]
)
def test_bad_classes(target: object, words: str, net: nn.Module) -> None:
    with pytest.raises(saliscope.OptionError, match=words):
        saliscope.explain(net, torch.ones(1, 3).double(), target=target)


def test_wrong_number_of_dimensions() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    for shape in ((8, 8), (1, 1, 1, 8, 8), (1, 3, 8, 8)):
        with pytest.raises(saliscope.InputError, match=r"shape \(1, "):
            saliscope.explain(net, torch.ones(shape), target=0)


def test_tensors_and_the_predicted_class(net: nn.Module) -> None:
    x = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 0.0, 0.0]]).double()
    a = saliscope.explain(net, x, method="input_x_gradient")
    assert a.values.dims == ("example", "dim_1")
    np.testing.assert_allclose(a, [[1, -2, 3], [-0.5, 0, 0]])
    assert a.data["class"].to_numpy().tolist() == ["0", "1"]


def test_texts(text: TextModel) -> None:
    a = saliscope.explain(text, "it isn't bad", method="masking", target="positive")
    assert a.to_frame()["word"].tolist() == ["it", "isn't", "bad"]
    assert a.target == "positive"
    assert {p["label"] for p in a.prediction} == {"negative", "neutral", "positive"}
    b = saliscope.explain(text, "it isn't bad", target=("positive", "negative"))
    assert b.target == "positive vs negative"
    assert abs(b.gap) < 0.02 * float(np.abs(b).sum())


def test_models_that_are_none() -> None:
    with pytest.raises(saliscope.ModelError, match="int is not a model"):
        saliscope.explain(3, "MKV")
    with pytest.raises(saliscope.RefusedError, match=r"gradient.* needs gradients.*masking"):
        saliscope.explain(lambda x: x, np.ones((1, 3)), method="gradient", target=0)


def test_a_first_session(tmp_path: Path) -> None:
    """The calls that the README shows, on the model that ships with the package."""
    model = saliscope.load("zoo:protein")
    a = saliscope.explain(model, "MVHLTPEEKSAVTALWGK")
    assert (a.method, a.target) == ("integrated_gradients", "log-likelihood")
    assert a.values.dims == ("position",)
    assert abs(a.to_numpy().sum() - (a.score - a.baseline_score) - a.gap) < 1e-4
    assert len(a.top(3)) == 3
    assert a.to_csv(tmp_path / "a.csv") == (tmp_path / "a.csv").read_text()
    a.save(tmp_path / "a.nc")
    assert saliscope.Attribution.load(tmp_path / "a.nc").equals(a)
    a.to_html(tmp_path / "a.html")
    assert "zoo:protein" in (tmp_path / "a.html").read_text()
    b = saliscope.explain(model, "MVHLTPEEKSAVTALWGK", method="masking", target="E7V")
    assert b.target == "E7V"
    m = saliscope.attention(model, "MVHLTPEEKSAVTALWGK")
    assert m.values.dims == ("layer", "head", "position")
    assert m.received(layer=-1).values.sizes == {"position": 18}
