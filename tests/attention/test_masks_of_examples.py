"""Examples of one batch whose masks differ by more than padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from saliscope.attention import stream


class Segments(nn.Module):
    """A model whose segments do not see each other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=24,
        )  # fmt: skip
        self.bert = BertModel(config).double().eval()
        self.config = config
        for parameter in self.bert.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        alike = token_type_ids[:, :, None] == token_type_ids[:, None, :]
        seen = alike & attention_mask[:, None].bool()
        hidden: torch.Tensor = self.bert(input_ids, attention_mask=seen[:, None])[0]
        return hidden


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0]])
@pytest.mark.parametrize("padded", [False, True])
def test_each_example_has_its_own_mask(order: list[int], padded: bool) -> None:
    net = Segments()
    ids = torch.randint(4, 20, (3, 8), generator=torch.Generator().manual_seed(1))
    segments = torch.zeros_like(ids)
    segments[1, 4:] = 1
    segments[2, 2:] = 1
    real = torch.ones_like(ids)
    real[:, 7:] = 0 if padded else 1
    names = ("input_ids", "attention_mask", "token_type_ids")
    hidden: list[torch.Tensor] = []
    net.register_forward_hook(lambda _module, _args, output: hidden.append(output))

    def run(rows: list[int]) -> torch.Tensor:
        given = dict(zip(names, (ids[rows], real[rows], segments[rows]), strict=True))
        return stream(net, given).values

    together = run(order)
    with torch.no_grad():
        plain = net(ids[order], real[order], segments[order])
    unpadded = real[order].bool()
    torch.testing.assert_close(hidden[0][unpadded], plain[unpadded], atol=1e-12, rtol=0)
    for place, row in enumerate(order):
        torch.testing.assert_close(together[place], run([row])[0], atol=1e-12, rtol=0)
