"""Saliency maps of pictures as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saliscope.core.errors import OptionError, RefusedError
from saliscope.core.registry import get_method
from saliscope.core.units import FloatArray
from saliscope.models.loading import load

__all__ = ["SaliencyConfig", "SaliencyGenerator"]


@dataclass(frozen=True)
class SaliencyConfig:
    """What `SaliencyGenerator.compute` computes.

    Parameters
    ----------
    method : str
        "gradient", "integrated", "smoothgrad", "gradcam", or any method of `saliscope.methods`.
    num_steps : int
        Nodes on the path of integrated gradients (Gauss-Legendre).
    num_samples : int
        Noisy copies of SmoothGrad; drawn in mirrored pairs, so an odd number is one more.
    noise_level : float
        Their standard deviation, as a share of the range of the picture's levels.
    baseline : object, optional
        Where paths start, as of `saliscope.explain`. None: zeros, which in a picture is black. For
        ink on paper "paper" or "blur" explain more.
    absolute : bool
        Sizes without their signs.
    normalize : bool
        Divide by the largest size, so that values lie between -1 and 1 (0 and 1).
    target : object, optional
        What is explained, as of `saliscope.explain`.

    Examples
    --------
    >>> SaliencyConfig(num_steps=0)
    Traceback (most recent call last):
        ...
    saliscope.core.errors.OptionError: num_steps=0 is too few; give at least 1
    """

    method: str = "gradient"
    num_steps: int = 50
    num_samples: int = 25
    noise_level: float = 0.1
    baseline: object = None
    absolute: bool = True
    normalize: bool = True
    target: object = None

    def __post_init__(self) -> None:
        """Refuse what no method takes."""
        get_method(self.method)
        for name, least in (("num_steps", 1), ("num_samples", 4)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                msg = f"{name}={value!r} is not a whole number"
                raise OptionError(msg)
            if value < least:
                msg = f"{name}={value} is too few; give at least {least}"
                raise OptionError(msg)


class SaliencyGenerator:
    """Makes saliency maps of pictures by one model.

    Parameters
    ----------
    model : object
        Anything that `saliscope.load` takes and that looks at pictures.
    config : SaliencyConfig, optional

    Examples
    --------
    >>> import torch, saliscope
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2, bias=False))
    >>> model = saliscope.image_model(net, size=(3, 4), channels="L")
    >>> generator = SaliencyGenerator(model, SaliencyConfig(target=0, normalize=False))
    >>> map = generator.compute(np.zeros((3, 4), dtype=np.uint8))
    >>> bool(np.allclose(map, net[1].weight[0].abs().reshape(3, 4).detach()))
    True
    """

    def __init__(self, model: object, config: SaliencyConfig | None = None) -> None:
        self.model = load(model)
        if self.model.modality != "image":
            msg = f"{self.model.name} does not look at pictures; use saliscope.explain"
            raise RefusedError(msg)
        self.config = SaliencyConfig() if config is None else config

    def compute(self, image: object, target: object = None) -> FloatArray:
        """Return the map by the method of the configuration.

        Parameters
        ----------
        image : object
            A path, Pillow image, array or tensor.
        target : object, optional
            In place of the configuration's.

        Returns
        -------
        numpy.ndarray, shape (y, x)
            In pixels of the model's input (of a line at the model's height).
        """
        name, own = get_method(self.config.method).name, self.config
        if name == "integrated_gradients":
            return self.compute_integrated_gradients(image, target=target)
        if name == "smoothgrad":
            return self.compute_smoothgrad(image, target=target)
        takes = get_method(name).accepts
        given = (
            {} if own.baseline is None or "baseline" not in takes else {"baseline": own.baseline}
        )
        return self._map(image, name, target, **given)

    def compute_gradient_saliency(self, image: object, target: object = None) -> FloatArray:
        """Return the slope of the target at each pixel."""
        return self._map(image, "gradient", target)

    def compute_integrated_gradients(
        self, image: object, num_steps: int | None = None, baseline: object = None,
        target: object = None,
    ) -> FloatArray:  # fmt: skip
        """Return the mean slope on the way from a baseline to the picture, times the way.

        Parameters
        ----------
        image : object
        num_steps : int, optional
        baseline : object, optional
            None is the configuration's, else zeros.
        target : object, optional
        """
        start = self.config.baseline if baseline is None else baseline
        return self._map(
            image, "integrated_gradients", target,
            steps=self.config.num_steps if num_steps is None else num_steps,
            baseline="zero" if start is None else start,
        )  # fmt: skip

    def compute_smoothgrad(
        self, image: object, num_samples: int | None = None, noise_level: float | None = None,
        target: object = None,
    ) -> FloatArray:  # fmt: skip
        """Return the mean slope over noisy copies of the picture.

        Parameters
        ----------
        image : object
        num_samples : int, optional
            At least 4.
        noise_level : float, optional
        target : object, optional
        """
        count = self.config.num_samples if num_samples is None else num_samples
        noise = self.config.noise_level if noise_level is None else noise_level
        return self._map(image, "smoothgrad", target, samples=count + count % 2, noise=noise)

    def compute_gradcam(
        self, image: object, layer: str | None = None, target: object = None
    ) -> FloatArray:
        """Return the class activation map of a layer (by default the last with positions)."""
        given = {} if layer is None else {"layer": layer}
        return self._map(image, "grad_cam", target, **given)

    def _map(self, image: object, method: str, target: object, **options: Any) -> FloatArray:
        from saliscope.api.explaining import explain

        aim = self.config.target if target is None else target
        values = np.asarray(explain(self.model, image, method, aim, **options).to_numpy(), float)
        if values.ndim > 2:
            msg = f"target={aim!r} has {len(values)} maps; give one target"
            raise OptionError(msg)
        if self.config.absolute:
            values = np.abs(values)
        top = float(np.abs(values).max(initial=0.0))
        return values / top if self.config.normalize and top > 0 else values
