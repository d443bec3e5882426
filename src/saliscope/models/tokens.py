"""What protein and text models share: token ids, and an embedding that is substituted in place.

The input space of a token model is the output of its embedding module. A forward hook puts the
moved embedding there while the token ids are still passed, so positions, token types and masks
are the model's own (measured: bit-exact, which `inputs_embeds` is not).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from saliscope.core.defaults import DEFAULTS
from saliscope.core.errors import OptionError, nearest
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import DELETE, Baseline, Perturbation
from saliscope.models.kinds import (
    embedding_of,
    heads_of,
    position_limit,
    readable,
    reads_both_ways,
    writes_apart,
)
from saliscope.models.layout import Spread, padded, spread
from saliscope.models.moving import MovedRows
from saliscope.models.quiet import lock
from saliscope.models.substituting import substituted
from saliscope.models.torch_model import Batch, TorchModel

__all__ = ["TokenBatch", "TokenModel", "mean_over"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenBatch(Batch):
    """A batch of token ids.

    Parameters
    ----------
    pool : torch.Tensor
        Marks the tokens that an embedding is averaged over.
    ids : torch.Tensor
        Along units, shape (rows, units).
    spread : Spread, optional
        How units stand in the rows of the module, where not as they stand on their axis.
    """

    pool: torch.Tensor
    ids: torch.Tensor
    spread: Spread | None = None


def mean_over(hidden: torch.Tensor, pool: torch.Tensor) -> torch.Tensor:
    """Return the mean of each row over the positions that are marked; zeros where none is.

    Examples
    --------
    >>> hidden = torch.tensor([[[9.0], [1.0], [3.0]], [[9.0], [5.0], [torch.nan]]])
    >>> mean_over(hidden, torch.tensor([[False, True, True], [False, True, False]])).tolist()
    [[2.0], [5.0]]
    """
    count = pool.sum(1, keepdim=True).clamp(min=1)
    if pool.device.type == "cpu" and bool((pool == pool[0]).all()):
        # Equal lengths, and marked is as a rule all that stands between two tokens: no copy.
        marked = pool[0].nonzero()[:, 0].tolist()
        if marked and marked[-1] - marked[0] + 1 == len(marked):
            return hidden[:, marked[0] : marked[-1] + 1].sum(1) / count
    return hidden.masked_fill(~pool[..., None], 0.0).sum(1) / count


class TokenModel(TorchModel):
    """Base of adapters whose input is token ids.

    Parameters
    ----------
    module : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
    """

    offers = TorchModel.offers | {"attention"}
    class_scale = DEFAULTS["text"].scale

    def __init__(self, module: nn.Module, tokenizer: Any, name: str) -> None:
        super().__init__(module, name)
        if not readable(module):
            self.offers = self.offers - {"attention"}
        self.tokenizer = tokenizer
        config: Any = module.config
        self.config = config
        self.embedding, self.embeddings = embedding_of(module, name)
        self.apart = writes_apart(module)
        self.base: nn.Module = getattr(module, "base_model", module)
        self.limit = position_limit(self.config, tokenizer)
        self.mask_id: int | None = tokenizer.mask_token_id
        pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)  # which models of text lack
        self.pad_id: int = next(int(i) for i in pads if i is not None)
        self.token_dropout = bool(getattr(self.config, "token_dropout", False))
        self.heads = heads_of(module)
        if self.heads & {"classes", "tags"}:
            self.labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
            many = getattr(config, "problem_type", None) == "multi_label_classification"
            if many or len(self.labels) == 1:  # no softmax over these outputs
                self.class_scale = "raw"

    @cached_property
    def causal(self) -> bool:
        """Whether tokens are said from those before them alone, as its outputs claim."""
        with self.quiet(0):
            return self.apart or not reads_both_ways(self.module, self.device)

    # -- fills ---------------------------------------------------------------------------------

    def embed(self, ids: Ids) -> torch.Tensor:
        """Return what the embedding contributes for `ids`, shape (*ids, width).

        Models with token dropout (ESM) put zeros in place of masked tokens; so does this.
        """
        tensor = torch.from_numpy(ids).to(self.device)
        # Another thread may have its own embedding substituted just now.
        with lock(self.module), torch.no_grad():
            rows = self.embedding(tensor.reshape(-1, tensor.shape[-1])).detach()
        out: torch.Tensor = rows.reshape(*tensor.shape, rows.shape[-1])
        if self.token_dropout and self.mask_id is not None:
            out = out.masked_fill((tensor == self.mask_id)[..., None], 0.0)
        return out

    @cached_property
    def width(self) -> int:
        """Numbers that the embedding gives for a token."""
        return int(self.embed(np.array([self.pad_id], dtype=np.int64)).shape[-1])

    def baseline(self, sample: Sample, given: object) -> Baseline:
        """Return a sequence that keeps special tokens and replaces all others.

        `given` is "mask", "pad", "zero" (of the embedding), a token, or a whole input of the same
        number of tokens.
        """
        ids: Ids = sample.context["ids"]
        kept = sample.units.kept
        choice = DEFAULTS[self.modality].baseline if given is None else given
        if not isinstance(choice, str):
            msg = (
                f"baseline {type(choice).__name__} is not one of {self.modality}: give 'mask', "
                "'pad', 'zero', a token, or an input of the same length"
            )
            raise OptionError(msg)
        if given is None and self.mask_id is None:
            choice = "pad"
        if choice in {"zero", "zeros"}:
            value = self.embed(ids).clone()
            value[torch.from_numpy(kept).to(self.device)] = 0.0
            return Baseline("zero", value)
        replaced = ids.copy()
        replaced[kept] = self._replacement(choice, len(kept))
        # Its embedding is looked up when it is needed: a background may hold many of them.
        return Baseline(choice if len(choice) < 24 else "given", None, replaced)

    def fill(self, sample: Sample, given: object) -> Baseline:
        """Return what stands in place of masked units: as `baseline`, or "delete"."""
        if isinstance(given, str) and given == "delete":
            return DELETE
        choice = DEFAULTS[self.modality].fill if given is None else given
        return self.baseline(sample, None if given is None and choice == "mask" else choice)

    def _replacement(self, choice: str, length: int) -> Ids:
        if choice == "mask":
            if self.mask_id is None:
                msg = f"{self.name} has no mask token; use 'pad', 'zero' or a token"
                raise OptionError(msg)
            return np.full(length, self.mask_id, dtype=np.int64)
        if choice == "pad":
            return np.full(length, self.pad_id, dtype=np.int64)
        vocabulary = self.tokenizer.get_vocab()
        if choice in vocabulary:
            return np.full(length, vocabulary[choice], dtype=np.int64)
        try:
            (other,) = self.prepare(choice)
        except ValueError as error:
            msg = f"baseline {choice!r}: neither a token of the model nor an input ({error})"
            raise OptionError(msg) from error
        ids: Ids = other.context["ids"]
        found = ids[other.units.kept]
        if len(found) != length:
            hint = "" if len(found) > 1 else f": {nearest(choice, ['mask', 'pad', 'zero'])}"
            msg = (
                f"baseline {choice[:20]!r} has {len(found)} units and the input has {length}; "
                f"give one of the same length, or 'mask', 'pad', 'zero' or a token{hint}"
            )
            raise OptionError(msg)
        return found

    # -- rows ----------------------------------------------------------------------------------

    def _by_ids(self, moved: Perturbation) -> bool:
        """Whether a perturbation can be realized on token ids alone."""
        if moved.is_identity:
            return True
        if moved.noise is not None:
            return False
        # A path is moved in the embedding even at its ends, so that all of it is one space.
        is_path = moved.grouping.kind == "all"
        if is_path or not moved.is_whole:
            return False
        return all(fill.deletes or fill.ids is not None for fill in moved.every_fill)

    def _row_ids(self, sample: Sample, moved: Perturbation, row: int, view: tuple[int, ...]) -> Ids:
        ids: Ids = sample.context["ids"]
        covered = moved.covered(row, sample.length)
        if covered.any():
            fill = moved.fill_of(row)
            assert fill is not None
            if fill.deletes:  # never with views, which stand at positions
                return ids[~covered]
            ids = np.where(covered, np.asarray(fill.ids), ids)
        if view:  # last, so that what the target masks is masked whatever was put there
            assert self.mask_id is not None
            ids = ids.copy()
            ids[list(view)] = self.mask_id
        return ids

    def row_key(
        self, sample: Sample, perturbation: Perturbation, row: int, view: tuple[int, ...]
    ) -> Hashable | None:
        """Return the token ids of a row: equal ids are equal inputs."""
        if not self._by_ids(perturbation):
            return None
        ids = self._row_ids(sample, perturbation, row, view).tobytes()
        layout = sample.context.get("layout")
        return ids if layout is None else (ids, layout.key)

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Rows of ids and rows of embeddings go into batches of their own."""
        layout = sample.context.get("layout")
        by_ids = self._by_ids(perturbation)
        return by_ids if layout is None else (by_ids, layout.kind)

    def realize(self, pieces: Sequence[Piece]) -> TokenBatch:
        """Make padded token ids, and the moved embedding where rows are not plain ids."""
        by_ids = self._by_ids(pieces[0].perturbation)
        rows: list[Ids] = []
        pools: list[npt.NDArray[np.bool_]] = []
        starts = [0]
        for piece in pieces:
            keep = np.zeros(piece.sample.length, dtype=bool)
            keep[piece.sample.units.kept] = True
            moved = piece.perturbation if by_ids else Perturbation.identity(piece.sample.units)
            for row in piece.rows:
                at = int(row) if by_ids else 0
                rows.append(self._row_ids(piece.sample, moved, at, piece.view))
                fill = moved.fill_of(at)
                deleting = fill is not None and fill.deletes
                pools.append(keep[~moved.covered(at, len(keep))] if deleting else keep)
            starts.append(len(rows))
        ids, attention = padded(rows, self.pad_id, self.device)
        width = ids.shape[1]
        layouts = [p.sample.context["layout"] for p in pieces for _ in p.rows
                   if p.sample.context.get("layout") is not None]  # fmt: skip
        laid = spread(layouts, width, self.device) if layouts else None
        pooled = np.zeros((len(rows), width), dtype=bool)
        for i, keep in enumerate(pools):
            pooled[i, : len(keep)] = keep
        leaf = None if by_ids else self._moved(pieces, width).leaf()
        arguments = self._passed([ids], [attention])
        if laid is not None:
            count = range(len(laid.streams))
            arguments = self._passed([laid.put(ids, k) for k in count], laid.masks)
        pool = torch.from_numpy(pooled).to(self.device)
        return TokenBatch(arguments, leaf, starts, pool, ids, laid)

    def arguments(self, rows: Sequence[Ids]) -> dict[str, Any]:
        """Return the arguments of a pass for some inputs, padded to the longest."""
        ids, attention = padded(rows, self.pad_id, self.device)
        return self._passed([ids], [attention])

    def _passed(self, ids: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Return the arguments that hold token ids, stream by stream, and what hides padding."""
        found: dict[str, Any] = {}
        for prefix, own, mask in zip(("", "decoder_"), ids, masks, strict=False):
            found |= {f"{prefix}input_ids": own, f"{prefix}attention_mask": mask}
        if "next" in self.heads:
            found["use_cache"] = False
        return found

    def _moved(self, pieces: Sequence[Piece], width: int) -> MovedRows:
        return MovedRows(self.embed, pieces, width, self.pad_id, self.mask_id)

    def away(self, pieces: Sequence[Piece], times: Sequence[str]) -> torch.Tensor | None:
        """Return what gradients are multiplied by, of all rows at once."""
        if set(times) == {"one"}:
            return None
        width = max(piece.sample.length for piece in pieces)
        return self._moved(pieces, width).away(times)

    # -- forward -------------------------------------------------------------------------------

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Run the module with the embedding substituted (or only observed)."""
        assert isinstance(batch, TokenBatch)
        laid, leaf = batch.spread, batch.leaf
        if laid is not None and leaf is None and gradients:
            leaf = self.embed(batch.ids.cpu().numpy())
        states: list[torch.Tensor] = []

        def observe(_module: nn.Module, _args: Any, output: Any) -> None:
            states.append(output[0] if not isinstance(output, torch.Tensor) else output)

        with ExitStack() as inside:
            seen = inside.enter_context(
                substituted(self.embeddings, leaf, laid, self.name, gradients=gradients)
            )
            if self.base is not self.module and not self.apart:
                inside.callback(self.base.register_forward_hook(observe).remove)
            whole = self.module(**batch.arguments)
        hidden = states[-1] if states else whole[0]
        outputs: dict[str, Any] = {"call": whole, "hidden": hidden}
        if read := heads & {"classes", "tokens", "next", "tags"}:
            logits = whole.logits if laid is None else laid.take(whole.logits)
            outputs |= dict.fromkeys(read, logits)
        if "embedding" in heads:
            outputs["embedding"] = mean_over(hidden, batch.pool)
        return outputs, seen.leaf

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        return {**super().describe(), "token_limit": self.limit}
