"""Maps of attention by the plainest arithmetic, from the weights of an eager copy in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import torch

Read = Callable[[Any], torch.Tensor]  # the model's output to one number


def weights(
    model: Any, ids: np.ndarray, read: Read | None = None
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return what attention each layer of a copy pays, (heads, n, n), and the slopes there."""
    twin = copy.deepcopy(model.module).double()
    twin.set_attn_implementation("eager")
    tensor = torch.from_numpy(ids)[None]
    output = twin(input_ids=tensor, attention_mask=torch.ones_like(tensor), output_attentions=True)
    found = list(output.attentions)
    if read is None:
        return [w[0].detach() for w in found], []
    slopes = torch.autograd.grad(read(output), found)
    return [w[0].detach() for w in found], [s[0] for s in slopes]


def relevance(model: Any, ids: np.ndarray, read: Read) -> torch.Tensor:
    """Chefer et al. 2021, equations 5 and 6, as they stand: the whole matrix R."""
    found, slopes = weights(model, ids, read)
    total = torch.eye(len(ids), dtype=torch.float64)
    for paid, slope in zip(found, slopes, strict=True):
        total = total + (slope * paid).clamp(min=0).mean(0) @ total
    return total


def mixed(model: Any, ids: np.ndarray) -> list[torch.Tensor]:
    """Abnar and Zuidema 2020: head means, half of each token staying where it is."""
    eye = torch.eye(len(ids), dtype=torch.float64)
    return [(w.mean(0) + eye) / 2 for w in weights(model, ids)[0]]


def flow(layers: list[torch.Tensor], source: int, sink: int) -> float:
    """Return the largest flow from a token of the last layer to one of the input, in floats."""
    graph = nx.DiGraph()
    for number, layer in enumerate(layers):
        for q, row in enumerate(layer.tolist()):
            for k, capacity in enumerate(row):
                graph.add_edge((number + 1, q), (number, k), capacity=capacity)
    return float(nx.maximum_flow_value(graph, (len(layers), source), (0, sink)))
