"""Every picture: what it holds, that nothing overlaps, and that nothing global changes."""

from __future__ import annotations

import io
import warnings
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from saliscope.core.errors import InputError, OptionError
from saliscope.show import html, plot, residue_track, save_figure
from saliscope.show.choose import PLOTS, default_kind
from saliscope.show.files import inline_svg

from .show_records import HBB, AttentionMap, attention, protein, tensor, words, written

EVIL = '{{7*7}} <script>alert(1)</script> "><img src=x onerror=alert(1)> $\\frac{ & \x00 \u202e'


def texts(figure):
    """Return the texts that are drawn: ticks beyond the ends of an axis are not."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not (axes.axison and low <= tick.get_loc() <= high):
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = figure.findobj(Text)
    return [t for t in found if t.get_text().strip() and t.get_visible() and id(t) not in hidden]


def overlaps(figure):
    """Return pairs of texts whose boxes overlap, and texts that leave the figure."""
    figure.canvas.draw()
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts(figure)]
    wide, high = figure.get_size_inches() * figure.dpi
    out = [n for n, b in boxes if b.x0 < -2 or b.y0 < -2 or b.x1 > wide + 2 or b.y1 > high + 2]
    hits = []
    for (n, a), (m, b) in combinations(boxes, 2):
        x = min(a.x1, b.x1) - max(a.x0, b.x0)
        y = min(a.y1, b.y1) - max(a.y0, b.y0)
        if x > 2 and y > 3:
            hits.append((n, m))
    return hits, out


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (protein(), "residue_track"),
        (words(), "colored_text"),
        (attention(), "layer_position"),
        (attention("mean", sequence=HBB[:30]), "position_position"),
        (attention("full", sequence=HBB[:12]), "position_position"),
        (attention("rollout", sequence=HBB[:30]), "position_position"),
        (tensor((1, 6)), "tensor_plot"),
        (tensor((2, 100)), "tensor_plot"),
        (tensor((3, 8, 9)), "tensor_plot"),
        (tensor((2, 2, 5, 6)), "tensor_plot"),
        (protein(HBB[:20], targets=[f"t{k}" for k in range(9)]), "tensor_plot"),
        (written(3, 5), "alignment"),
        (written(3, 5, signed=False), "alignment"),
        (written(9, 40, streams=False), "alignment"),
        (written(2, 5, streams=False), "colored_text"),
    ],
)
def test_default_picture(record, kind):
    assert default_kind(record) == kind
    figure = plot(record)
    hits, out = overlaps(figure)
    assert not hits
    assert not out


@pytest.mark.parametrize("seed", range(2))
def test_track_labels_never_overlap(seed):
    figure = residue_track(protein(seed=seed, targets=("A", "B")), top=20)
    hits, out = overlaps(figure)
    assert not hits
    assert not out
    assert {"W16", "H93"} <= {t.get_text() for t in texts(figure)}


def test_track_wraps_and_shows_every_letter():
    figure = residue_track(protein(), per_row=60)
    assert len(figure.axes) == 3
    letters = [t.get_text() for t in figure.findobj(Text) if len(t.get_text()) == 1]
    assert sorted(c for c in letters if c.isalpha()) == sorted(HBB)


def test_track_shows_errors():
    record = protein(HBB[:20])
    record.data["stderr"] = ("position", np.full(20, 0.1))
    assert residue_track(record).axes[0].containers


@pytest.mark.parametrize(
    "record",
    [
        protein("M"),
        protein("MV" * 500, health=()),
        protein("M" * 1600),
        protein(name=EVIL * 5, targets=(EVIL,)),
        words("a"),
        words(""),
        words("x" * 400 + "\n\nשלום 😀 $a_b$", name=EVIL),
        words("هذا فيلم رائع"),
        words(values=[np.nan] * 11),
        words(values=[0.0] * 11),
        attention(sequence="M", layers=1, heads=1),
        tensor((1, 3), signed=False),
    ],
    ids=lambda r: f"{r.name[:8]}-{r.values.size}",
)
def test_hard_inputs(record):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kinds = [None]
        if "position" in record.values.dims and record.kind == "attribution":
            kinds += ["word_bars"]
        for kind in kinds:
            save_png(plot(record, kind))


def save_png(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_missing_and_zero_values_are_said():
    record = protein(HBB[:30])
    record.data["values"].values[3] = np.nan
    assert any("1 values not finite" in t.get_text() for t in texts(plot(record)))
    record.data["values"].values[:] = 0.0
    assert any("all values are zero" in t.get_text() for t in texts(plot(record)))


def test_targets_can_be_chosen():
    record = protein(HBB[:20], targets=("A", "B"))
    assert len(plot(record).axes) == 2
    assert len(plot(record, target="B").axes) == 1
    with pytest.raises(OptionError, match="no target 'C'"):
        plot(record, target="C")
    with pytest.raises(OptionError, match="out of range"):
        plot(record, target=2)


def test_refusals_name_what_exists():
    with pytest.raises(OptionError, match="colored_text"):
        plot(protein("MV"), kind="pie")
    with pytest.raises(OptionError, match="no option 'colour'"):
        plot(protein("MV"), colour="red")
    with pytest.raises(OptionError, match="needs the axes query and key"):
        plot(attention(), kind="position_position")
    with pytest.raises(OptionError, match="not one sequence"):
        plot(tensor((2, 3, 4)), kind="residue_track")
    with pytest.raises(OptionError, match="not in this map; it has 0, 1, 2, 3, 4, 5"):
        plot(attention("mean", sequence="MVH"), layer=6)
    with pytest.raises(OptionError, match="scale"):
        plot(attention(), scale="log")
    with pytest.raises(OptionError, match="at most three"):
        plot(tensor((1, 2, 2, 2, 2)))


def test_layer_and_head_are_picked():
    record = attention("full", sequence="MVHLT", layers=3, heads=2)
    figure = plot(record, layer=-1, head=0)
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, record.values.values[-1, 0])


def test_huge_matrix_is_downsampled_and_says_so():
    record = attention("rollout", sequence="M" * 700)
    figure = plot(record)
    assert figure.axes[0].images[0].get_array().shape == (600, 600)
    assert any("block means" in t.get_text() for t in texts(figure))


def test_attention_map_labels():
    record = attention("mean", sequence="MVH", layers=2)
    data = record.data.drop_vars(["query_residue", "key_residue", "query", "key"])
    figure = plot(AttentionMap(data, record.meta))
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1", "2", "3"]


def test_nothing_global_changes():
    before = dict(mpl.rcParams)
    filters = list(warnings.filters)
    for record in (protein(HBB[:20]), words(), attention(sequence="MVH")):
        inline_svg(plot(record), "picture")
    assert dict(mpl.rcParams) == before
    assert warnings.filters == filters


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files(tmp_path, kind):
    paths = [tmp_path / f"{k}.{kind}" for k in range(2)]
    for path in paths:
        save_figure(plot(words("$a good", name=EVIL)), path, dpi=50)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == paths


def test_files_refused(tmp_path):
    figure = plot(words())
    with pytest.raises(OptionError, match=r"\.svg"):
        save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(InputError):
        save_figure(figure, tmp_path / "none" / "a.png")
    assert not list(tmp_path.iterdir())


def test_every_kind_has_a_docstring():
    assert all(draw.__doc__ for draw in PLOTS.values())


def test_an_alignment_shows_streams_numbers_and_whole_names():
    record = written(3, 5)
    figure = plot(record)
    drawn = [t.get_text() for t in texts(figure)]
    assert {"prompt", "output", "token 4 vs other 4 at 4", "explained by", "w1"} <= set(drawn)
    value = float(record.values[0, 0])
    assert f"+{value:.2g}" in drawn
    assert record.values[0, 3] == 0
    plain = plot(written(9, 40))
    assert len(texts(plain)) < 120  # no numbers in so many cells
    with pytest.raises(OptionError, match="target and position"):
        plot(protein(), kind="alignment")


def test_the_page_shows_an_alignment_as_a_picture():
    page = html([written(3, 5)])
    assert "<svg" in page
    assert "token 4 vs other 4 at 4" in page
