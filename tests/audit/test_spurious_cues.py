"""Cues: numbers by hand on toy classifiers, the shipped mark and its twin, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import saliscope
from saliscope.audit import Audit, cues
from saliscope.audit.pictures.regions import TEXTURES, Region, as_region, others, texture
from saliscope.audit.pictures.searching import find
from saliscope.audit.pictures.swapping import Pairs, Stream, log_odds
from saliscope.cli.main import main
from saliscope.core.errors import InputError, OptionError
from saliscope.datasets.marking import MARK, clothes
from saliscope.models.vision.classifier import ImageModel

SIZE = 12
CORNER = Region(1, 2, 3, 3)


class Summing(nn.Module):
    """Class "b" against "a": twice the sum over a region, plus the mean of the picture's middle."""

    def __init__(self, region: Region, middle: float = 0.0) -> None:
        super().__init__()
        self.region, self.middle = region, middle
        self.probe = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows, columns = self.region.box
        score = 2 * pixels[:, 0, rows, columns].sum((1, 2)) - 5
        score = score + self.middle * pixels[:, 0, 4:8, 4:8].mean((1, 2)) + self.probe
        return torch.stack([torch.zeros_like(score), score], 1)


def toy(region: Region, middle: float = 0.0) -> ImageModel:
    net = Summing(region, middle).double()
    return saliscope.image_model(net, size=SIZE, labels=["a", "b"], channels=1, name="toy")


def pictures(count: int = 20, mark: Region = CORNER) -> tuple[np.ndarray, list[str]]:
    """Return dark noise, with a region of ones on every "b" and of zeros on every "a"."""
    rng = np.random.default_rng(0)
    images = rng.random((2 * count, SIZE, SIZE)) * 0.1
    labels = ["a", "b"] * count
    for image, label in zip(images, labels, strict=True):
        image[mark.box] = float(label == "b")
    return images, labels


def test_effect_and_controls_are_those_of_a_sum() -> None:
    images, labels = pictures()
    found = cues(toy(CORNER), images, labels, CORNER, target="b", saliency=None)
    row = found["cues"].iloc[0]
    for name in ("effect", "low", "high", "gain", "loss"):
        assert row[name] == pytest.approx(18.0, rel=1e-6)  # 2 x 9 pixels, up and down
    assert row["flip rate"] == 1.0
    assert row["flip low"] == pytest.approx(1.0)
    assert row["area share"] == pytest.approx(9 / 144)
    controls = found["controls"]
    assert controls["content"].value_counts().to_dict() == {
        "own": 50, **dict.fromkeys(TEXTURES, 10)
    }  # fmt: skip
    assert controls["effect"].abs().max() == 0.0
    assert found.verdict == "caught"
    assert [e.code for e in found.errors] == ["spurious_cue"]


def test_swaps_are_what_plain_passes_give() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    ).double()
    model = saliscope.image_model(net, size=SIZE, mean=0.4, std=0.3)
    images = np.random.default_rng(1).random((3, SIZE, SIZE, 3)).astype(np.float32)
    samples = [model.prepare(image)[0] for image in images]
    fill = model.baseline(samples[0], texture("checks", (SIZE, SIZE), 3, np.random.default_rng(0)))
    stream = Stream(model, samples, [fill], None, 0, None)
    moves = [(CORNER, -1), (Region(5, 6, 2, 4), -1), (CORNER, 0)]
    (found,) = stream.swap([Pairs(2, [0, 1], [2, 0])], [moves])

    def odds(picture: np.ndarray) -> float:
        given = (torch.from_numpy(picture.astype(np.float64)) - 0.4) / 0.3
        with torch.no_grad():
            logits = net(given.permute(2, 0, 1)[None]).numpy()
        return float(log_odds(logits, 2)[0])

    def put(host: np.ndarray, content: np.ndarray, region: Region) -> np.ndarray:
        made = host.copy()
        made[region.box] = content[region.box]
        return made

    checks = np.asarray(fill.value)
    for p, (own, other) in enumerate([(0, 2), (1, 0)]):
        a, b = images[own], images[other]
        for k, (region, kind) in enumerate(moves):
            content = a if kind < 0 else checks.astype(np.float32)
            gain = odds(put(b, content, region)) - odds(b)
            loss = odds(put(a, content, region)) - odds(put(a, b, region))
            assert found.gain[k, p] == pytest.approx(gain, abs=1e-9)
            assert found.loss[k, p] == pytest.approx(loss, abs=1e-9)
    assert stream.evaluations == 3 + 2 * 6 - 1  # each input once; picture 0 gets checks in both


def test_a_region_is_found_to_the_pixel_and_tested_on_other_pictures() -> None:
    images, labels = pictures(40)
    found = cues(toy(CORNER, middle=1.0), images, labels, target="b", edge=5, saliency=None)
    assert found["cues"][["x", "y", "width", "height"]].iloc[0].tolist() == list(CORNER)
    assert found.verdict == "caught"
    model = toy(CORNER)
    samples = [model.prepare(image)[0] for image in images[:8]]
    stream = Stream(model, samples, [], None, 0, None)
    ((region,), effects) = find(stream, [Pairs(1, [1, 3, 5, 7], [0, 2, 4, 6])], 5)
    assert region == CORNER
    assert effects.max() == pytest.approx(18.0, rel=1e-6)


def test_what_the_model_ignores_is_not_caught() -> None:
    images, labels = pictures()
    found = cues(toy(Region(8, 8, 3, 3), 1.0), images, labels, CORNER, saliency=None)
    assert found.verdict == "not caught"
    assert not found.errors
    assert found["cues"]["effect"].abs().max() == 0.0


def test_half_of_a_class_with_the_mark_is_enough() -> None:
    images, labels = pictures(40)
    for image in images[1::4]:
        image[CORNER.box] = 0.0
    found = cues(toy(CORNER), images, labels, CORNER, target="b", saliency=None)
    row = found["cues"].iloc[0]
    assert found.verdict == "caught"
    assert 0.3 < row["flip rate"] < 0.7
    assert row["effect"] == pytest.approx(18 * row["flip rate"], rel=1e-6)


@pytest.fixture(scope="module")
def caught() -> Audit:
    given = clothes(marked=True)
    return cues("zoo:marked", given.images, given.labels, target="Coat", pairs=20, places=20)


def test_the_shipped_mark_is_found_and_caught_and_its_twin_is_not(caught: Audit) -> None:
    assert caught.verdict == "caught"
    row = caught["cues"].iloc[0]
    assert Region(row["x"], row["y"], row["width"], row["height"]).overlap(Region(*MARK)) >= 0.5
    assert row["effect"] > row["control 99 %"]
    assert 0 < row["saliency share"] < 1
    assert caught.errors[0].facts["label"] == "Coat"
    given = clothes(marked=True)
    for region in (MARK, None):
        twin = cues(
            "zoo:marked-honest", given.images, given.labels, region, target="Coat", pairs=20,
            places=20, saliency=None,
        )  # fmt: skip
        assert twin.verdict == "not caught"


def test_the_page_shows_the_pair_and_the_controls(caught: Audit, tmp_path: Path) -> None:
    saved = Audit.load(caught.save(tmp_path / "audit.nc"))
    page = saved.to_html()
    assert page.index("Caught: the ") < page.index("<svg") < page.index("<table")
    assert "P(Coat) = " in page
    assert "only somebody who looks at the pictures can say" in page
    assert set(saved.figures()) == {"example", "controls"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"region": (10, 0, 3, 3)}, "reaches outside the picture, which the model sees as 12 x 12"),
        ({"region": (-1, 0, 3, 3)}, "reaches outside"),
        ({"region": (0, 0, 12, 12)}, "is the whole picture"),
        ({"region": (0, 0, 0, 2)}, "is empty"),
        ({"region": (0, 0, 9, 9)}, "only 0 patches of its size fit beside it"),
        ({"region": (0, 0, 2.5, 2)}, "give four whole numbers"),
        ({"labels": ["b"] * 40}, "all 40 pictures are of one class"),
        ({"labels": ["a", "b"]}, "40 pictures and 2 labels; give one label per picture"),
        ({"labels": ["a", "bb"] * 20}, "the model has no class 'bb': did you mean 'b'?"),
        ({"target": "c"}, "the model has no class 'c'"),
        ({"labels": ["a"] * 35 + ["b"] * 5, "target": "b"}, "too few pictures to test a"),
        ({"edge": 12}, "a window must be smaller than the picture"),
        ({"places": 3}, "must be a whole number of at least 10"),
        ({"model": "zoo:sentiment"}, "cues are of image classifiers"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_input_is_one_line(changed: dict[str, Any], words: str) -> None:
    images, labels = pictures()
    given: dict[str, Any] = {"model": toy(CORNER), "labels": labels, "saliency": None, **changed}
    with pytest.raises((InputError, OptionError)) as stop:
        cues(images=images, **given)
    assert words in str(stop.value)
    assert "\n" not in str(stop.value)


def test_pictures_of_two_sizes_are_refused() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = [np.zeros((9, 9)), np.ones((9, 8))]
    with pytest.raises(InputError, match="is 8 x 9 pixels for the model"):
        cues(saliscope.image_model(net), images, [0, 1], saliency=None)


def test_places_never_touch_the_region() -> None:
    found = others(CORNER, (SIZE, SIZE), 20, np.random.default_rng(0))
    assert len(set(found)) == 20
    assert all(place.overlap(CORNER) == 0 for place in found)
    assert as_region(np.array([1, 2, 3, 3]), (SIZE, SIZE)) == CORNER


def test_the_command_writes_everything_and_its_exit_code_says_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    flags = ["--region", "1,1,4,4", "--target", "Coat", "--pairs", "8", "--places", "10",
             "--saliency", "none", "-o", str(out)]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(["audit", "cues", "sample", "-m", "zoo:marked", "--strict", *flags])
    assert stop.value.code == 1
    said = capsys.readouterr()
    assert "decide for 'Coat'" in said.err
    names = {"cues.csv", "controls.csv", "audit.nc", "audit.json", "report.html"}
    assert {p.name for p in out.iterdir()} == names
    assert pd.read_csv(out / "cues.csv")["caught"].tolist() == [True]
    with pytest.raises(SystemExit) as stop:
        main(["audit", "cues", "sample", "-m", "zoo:marked", "--region", "27,1,4,4",
              "-o", str(tmp_path / "none")])  # fmt: skip
    assert stop.value.code == 2
    assert "reaches outside the picture" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_folder_per_class_or_a_table_says_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    given = clothes(marked=True)
    rows = ["file\tlabel"]
    for which in (4, 9):
        folder = tmp_path / "shown" / given.names[which]
        folder.mkdir(parents=True)
        for i in range(8):
            Image.fromarray(given.images[20 * which + i]).save(folder / f"{which}-{i}.png")
            rows.append(f"{which}-{i}.png\t{given.names[which]}")
    (tmp_path / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    shown = str(tmp_path / "shown")
    flags = ["-m", "zoo:marked", "--region", "1,1,4,4", "-t", "Coat", "--saliency", "none", "-q",
             "--places", "10", "-o"]  # fmt: skip
    for place, more in enumerate(([], ["--labels", str(tmp_path / "labels.tsv")])):
        out = tmp_path / f"out{place}"
        main(["audit", "cues", shown, *more, *flags, str(out)])
        assert pd.read_csv(out / "cues.csv")["pairs"].tolist() == [8]
    first, second = ((tmp_path / f"out{i}" / "controls.csv").read_text() for i in (0, 1))
    assert first == second
