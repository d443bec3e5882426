"""Image classifiers: any module from pictures to classes, explained in the pixels that it is given.

The input space is pixels from 0 to 1 at the model's size, before normalization, so that a value
belongs to a color that can be seen and a baseline can be named by one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from saliscope.core.defaults import DEFAULTS
from saliscope.core.errors import InputError, OptionError, RefusedError, nearest
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import Baseline
from saliscope.core.units import FloatArray, Units
from saliscope.models.identity import structure
from saliscope.models.kinds import readable
from saliscope.models.readout import accumulating
from saliscope.models.survey import find
from saliscope.models.tensor import TensorModel
from saliscope.models.tokens import TokenBatch
from saliscope.models.vision.images import Picture, read_image
from saliscope.models.vision.pixels import (
    PATCH,
    blurred,
    over_pixels,
    own_patch,
    pixel_units,
    token_units,
)
from saliscope.models.vision.preparing import Preparation, declared, prepared_as

__all__ = ["ImageModel", "classifier_of", "image_model"]

_BASELINES = ("zero", "black", "white", "gray", "mean", "average", "blur", "noise")


def image_model(
    module: nn.Module, *, size: int | tuple[int, int] | None = None,
    resize: int | tuple[int, int] | None = None, resample: str = "bilinear",
    mean: float | Sequence[float] | None = None, std: float | Sequence[float] | None = None,
    labels: Sequence[str] | Mapping[int, str] | None = None,
    channels: Literal[1, 3, "RGB", "BGR", "L"] | None = None, patch: int | None = None,
    name: str | None = None,
) -> ImageModel:  # fmt: skip
    """Declare, once, how an image classifier wants its pictures.

    What stands in its training code is said in the same words: ``Resize(256)``,
    ``CenterCrop(224)`` and ``Normalize(mean, std)`` are ``resize=256, size=224, mean=, std=``.

    Parameters
    ----------
    module : torch.nn.Module
        Takes a float tensor (rows, channels, y, x) and returns (rows, classes), or an object with
        ``.logits``. Outputs that are probabilities already are explained as they are.
    size : int or (height, width), optional
        What the module takes, in pixels. None: a picture as it is, of any size.
    resize : int or (height, width), optional
        To what a picture is brought before `size` is cut out of its middle: the shorter edge, or
        both. None: the whole picture is stretched to `size`.
    resample : str
        The filter of Pillow that resizes.
    mean, std : float or sequence of float, optional
        The module is given ``(pixel - mean) / std`` with pixels from 0 to 1, per channel in its
        own order. A module that takes levels from 0 to 255: ``std=1/255``.
    labels : sequence of str or mapping of int to str, optional
        Names of the classes.
    channels : {3, "RGB", "BGR", 1, "L"}, optional
        Color in that order, or gray; None is read off the module's first convolution.
    patch : int, optional
        Edge of the patches that are taken away together; None is a vision transformer's own,
        else 16.
    name : str, optional
        What results call the model.

    Returns
    -------
    ImageModel
        For `explain`, which then takes files, Pillow images, arrays and tensors.

    Raises
    ------
    OptionError
        A size, normalization, number of labels or of channels that cannot be.
    InputError
        The module does not take what is declared.

    Examples
    --------
    >>> import saliscope
    >>> net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    >>> model = image_model(net, size=8, mean=0.5, std=0.5, labels=["cat", "dog"])
    >>> picture = np.zeros((20, 30, 3), dtype=np.uint8)
    >>> picture[5:10] = 255
    >>> saliscope.explain(model, picture, "gradient", target="dog").values.sizes
    Frozen({'y': 8, 'x': 8})
    """
    if channels is None:
        first = next((p for p in module.modules() if isinstance(p, nn.Conv2d)), None)
        channels = 1 if first is not None and first.in_channels == 1 else 3
    preparation = declared(size, resize, resample, mean, std, channels)
    if isinstance(labels, Mapping):
        labels = [labels[key] for key in sorted(labels)]
    return ImageModel(
        module, name or type(module).__name__, preparation,
        labels=None if labels is None else tuple(map(str, labels)), patch=patch,
    )  # fmt: skip


def classifier_of(module: nn.Module, processor: Any, label: str) -> ImageModel:
    """Return a classifier of transformers with what its image processor and config say.

    Parameters
    ----------
    module : transformers.PreTrainedModel
    processor : transformers.BaseImageProcessor
    label : str
        What results call the model.

    Raises
    ------
    ModelError
        The processor prepares pictures in a way that is not known here.
    """
    config: Any = getattr(module, "config", None)
    names = getattr(config, "id2label", None)
    labels = tuple(str(names[i]) for i in range(len(names))) if names else None
    model = ImageModel(module, label, prepared_as(processor, label), labels=labels)
    if getattr(config, "problem_type", None) == "multi_label_classification":
        model.class_scale = "raw"  # no softmax over these outputs
    return model


class ImageModel(TensorModel):
    """A module that takes pictures and returns classes.

    Made by `image_model`, or by `load` from a checkpoint with an image processor.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
    preparation : Preparation
    labels : tuple of str, optional
    patch : int, optional
    """

    modality = "image"
    class_scale = DEFAULTS["image"].scale
    hint = "check size= and channels="

    def __init__(
        self, module: nn.Module, name: str, preparation: Preparation, *,
        labels: tuple[str, ...] | None = None, patch: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(module, name)
        self.preparation = preparation
        self._named = labels
        own = own_patch(module)
        self.patch = patch or own or PATCH
        self._token = own  # edge of the patch that a token of a vision transformer stands for
        if own is not None and preparation.size is not None and readable(module):
            self.offers = type(self).offers | {"attention"}
        # Pixels are kept wide: half precision has fewer levels than a picture.
        self.kind = accumulating(self.dtype or torch.float32)
        self._mean = torch.tensor(preparation.mean, dtype=self.kind, device=self.device)
        self._std = torch.tensor(preparation.std, dtype=self.kind, device=self.device)
        if preparation.size is not None:
            probe = self._mean.new_zeros((1, *preparation.size, preparation.channels))
            self._look_at(self.given(probe), structure(module))

    # -- inputs --------------------------------------------------------------------------------

    def prepare(self, raw: object, *, name: str | None = None) -> Sequence[Sample]:
        """Read a picture and bring it to the model's size.

        Raises
        ------
        InputError
            What is no picture, or damaged; see `saliscope.models.vision.images.read_image`.
        """
        picture = read_image(raw, name=name)
        fitted, box = self.preparation.fit(picture)
        value = self._value(fitted)
        built = structure(self.module)
        self._look_at(self.given(value[None]), built)
        units = pixel_units(fitted.height, fitted.width, self.patch)
        about = {
            "output_shape": self._shape, "scalar": False, "structure": built,
            "width": self.preparation.channels, "source": picture,
            "picture": {**picture.kept(box), "size": list(units.shape)},
        }  # fmt: skip
        codes = tuple(f.code for f in picture.findings)
        return [
            Sample(picture.name, "", units, value, about, (picture.key, codes), picture.findings)
        ]

    def _value(self, fitted: Picture) -> torch.Tensor:
        """Return pixels in [0, 1], shape (y, x, channels), in the model's order of colors."""
        pixels = np.moveaxis(fitted.array, 0, 2)
        if self.preparation.colors == "BGR":
            pixels = pixels[..., ::-1]
        return torch.from_numpy(pixels.copy()).to(self.device, self.kind)

    def given(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the module is given for pixels (rows, y, x, channels): (rows, c, y, x)."""
        made = (pixels - self._mean) / self._std
        made = made.permute(0, 3, 1, 2).contiguous()
        return made if self.dtype is None else made.to(self.dtype)

    def _look_at(self, one: torch.Tensor, built: Hashable) -> None:
        """See the kind of the output, and whether the labels fit it."""
        super()._look_at(one, built)
        if "classes" not in self.heads:
            return
        width = max(1, *self._shape) if self._shape else 1
        if self._named is None:
            self.labels = ("output",) if width == 1 else tuple(str(i) for i in range(width))
        elif len(self._named) != width:
            msg = (
                f"{self.name}: {len(self._named)} labels were given, and the model has {width} "
                "outputs; give one label for each"
            )
            raise OptionError(msg)
        else:
            self.labels = self._named

    def _probe(self, one: torch.Tensor) -> tuple[int, ...]:
        """Return the shape of what one picture gives; see whether it is probabilities."""
        shape = super()._probe(one)
        if len(shape) == 1 and shape[0] > 1:
            with self.quiet(0), torch.no_grad():
                row = self.read_output(self.module(one.clone()))
            if row is not None and bool((row >= 0).all()):
                certain = abs(float(row.double().sum()) - 1) < 1e-3
                self.class_scale = "raw" if certain else type(self).class_scale
        else:
            self.class_scale = "raw"
        return shape

    # -- tokens of a vision transformer --------------------------------------------------------

    def tokens(self, pieces: Sequence[Piece]) -> TokenBatch:
        """Return a batch as attention sees it: which tokens there are, and which are patches.

        Raises
        ------
        RefusedError
            Tokens are not the same patches from the first layer to the last.
        """
        grid, leading = self._tokens(pieces[0].sample)
        batch = self.realize(pieces)
        count = leading + math.prod(grid)
        real = torch.ones((batch.starts[-1], count), dtype=torch.bool, device=self.device)
        pool = real.clone()
        pool[:, :leading] = False
        return TokenBatch(
            {"attention_mask": real}, batch.leaf, batch.starts, pool, torch.zeros_like(real).long()
        )

    def over_pixels(self, sample: Sample, values: FloatArray) -> FloatArray:
        """Return values per patch (..., patches) as values per pixel, each that of its patch."""
        assert self._token is not None
        return over_pixels(values, sample.units.shape, self._token)

    def token_units(self, sample: Sample) -> Units:
        """Return the tokens that a vision transformer makes of a picture, as units."""
        grid, leading = self._tokens(sample)
        return token_units(grid, leading)

    def _tokens(self, sample: Sample) -> tuple[tuple[int, ...], int]:
        """Return the grid of patches, and how many tokens lead it."""
        place = find(self, sample, None)
        edge = self._token or PATCH
        grid = tuple(extent // edge for extent in sample.units.shape)
        if place.units.shape != grid:
            msg = (
                f"{self.name}: its last tokens are a grid of {place.units.shape}, and its patches "
                f"one of {grid}; attention is followed through layers of equal tokens only, so use "
                "grad_cam, a gradient or masking"
            )
            raise RefusedError(msg)
        return grid, place.skipped

    # -- fills ---------------------------------------------------------------------------------

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return a picture of the model's size that stands in place of pixels.

        Parameters
        ----------
        sample : Sample
        given : object
            "zero" or "black", "white", "gray"; "mean" (the color that the model is normalized to
            zero at; gray where it is not normalized); "average" (of this picture); "blur" (this
            picture, out of focus by a twentieth of its longer edge); "noise" or "noise:7"
            (uniform, from a seed); a number from 0 to 1; or a picture, of any kind that is read.
        """
        value: torch.Tensor = sample.value
        choice = DEFAULTS["image"].baseline if given is None else given
        if isinstance(choice, str) and choice.partition(":")[0] in _BASELINES:
            return Baseline(choice, self._named_baseline(sample, choice))
        if isinstance(choice, str) and not _is_file(choice):
            msg = (
                f"baseline {choice!r} is not one of an image: {nearest(choice, _BASELINES)} (or a "
                "number from 0 to 1, or a picture)"
            )
            raise OptionError(msg)
        if isinstance(choice, (int, float)) and not isinstance(choice, bool):
            if not 0 <= choice <= 1:
                msg = f"baseline {choice} is not a level of gray; give a number from 0 to 1"
                raise OptionError(msg)
            return Baseline("given", torch.full_like(value, float(choice)))
        try:
            picture = read_image(choice, name="the baseline")
        except InputError as error:
            raise OptionError(str(error)) from error
        shape = (picture.height, picture.width)
        source: Picture = sample.context["source"]
        if shape == (source.height, source.width):
            picture, _ = self.preparation.fit(picture)
        elif shape != sample.units.shape:
            high, wide = sample.units.shape
            msg = (
                f"the baseline has {shape[1]} x {shape[0]} pixels; give {wide} x {high} (the "
                f"model's) or {source.width} x {source.height} (the picture's)"
            )
            raise OptionError(msg)
        return Baseline("given", self._value(picture.with_channels(self.preparation.channels)))

    def _named_baseline(self, sample: Sample, choice: str) -> torch.Tensor:
        value: torch.Tensor = sample.value
        kind, _, number = choice.partition(":")
        if number and (kind != "noise" or not number.isdecimal()):
            msg = (
                f"baseline {choice!r} does not exist; only noise has a number, its seed: 'noise:7'"
            )
            raise OptionError(msg)
        if kind == "blur":
            return blurred(value, max(value.shape[:2]) / 20)
        if kind == "noise":
            generator = torch.Generator().manual_seed(int(number or 0))
            return torch.rand(value.shape, generator=generator).to(value)
        levels = {"zero": 0.0, "black": 0.0, "white": 1.0, "gray": 0.5}
        if kind == "mean" and self.preparation.normalizes:
            return self._mean.clamp(0, 1).expand(value.shape).clone()
        if kind == "average":
            return value.mean((0, 1)).expand(value.shape).clone()
        return torch.full_like(value, levels.get(kind, 0.5))

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of masked pixels, as `baseline`; pixels are not deleted."""
        if isinstance(given, str) and given == "delete":
            msg = "pixels cannot be deleted; give fill='mean', 'blur', another color or a picture"
            raise OptionError(msg)
        return self.baseline(sample, DEFAULTS["image"].fill if given is None else given)

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        return {**super().describe(), "preparation": self.preparation.describe()}


def _is_file(text: str) -> bool:
    from saliscope.models.vision.images import ENDINGS

    return text.lower().endswith(ENDINGS)
