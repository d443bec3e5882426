"""What protein and text models share: token ids, and an embedding that is substituted in place.

The input space of a token model is the output of its embedding module. A forward hook puts the
moved embedding there while the token ids are still passed, so positions, token types and masks
are the model's own (measured: bit-exact, which `inputs_embeds` is not).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from saliscope.core.defaults import DEFAULTS
from saliscope.core.errors import ModelError, OptionError, SaliscopeError, nearest
from saliscope.core.model import Piece, Sample
from saliscope.core.perturbation import DELETE, Baseline, Perturbation
from saliscope.models.noise import add_noise
from saliscope.models.quiet import lock
from saliscope.models.torch_model import Batch, TorchModel, fill_value

__all__ = ["TokenModel", "position_limit"]

Ids = npt.NDArray[np.int64]
_OFFSET_POSITIONS = {"esm", "roberta", "xlm-roberta", "camembert", "longformer", "mpnet"}


def readable(module: nn.Module) -> bool:
    """Return whether there is one stack of self-attention that can be read."""
    from saliscope.attention.layers import one_stack

    try:
        return bool(one_stack(module))
    except SaliscopeError:
        return False


def position_limit(config: Any, tokenizer: Any) -> int | None:
    """Return how many tokens, specials included, a model can take; None where unlimited."""
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        if config.model_type in _OFFSET_POSITIONS:  # their positions start behind the padding id
            positions -= (config.pad_token_id or 0) + 1
        limits.append(positions)
    length = getattr(tokenizer, "model_max_length", None)
    if isinstance(length, int) and 0 < length < 1_000_000:
        limits.append(length)
    return min(limits) if limits else None


@dataclass(frozen=True, eq=False)
class TokenBatch(Batch):
    """A batch of token ids; `pool` marks the tokens that an embedding is averaged over."""

    pool: torch.Tensor


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
        find = getattr(module, "get_input_embeddings", None)
        embedding = find() if find is not None else None
        if not isinstance(embedding, nn.Module):
            msg = (
                f"{name}: {type(module).__name__} names no embedding module; it cannot be explained"
            )
            raise ModelError(msg)
        self.embedding: nn.Module = embedding
        self.base: nn.Module = getattr(module, "base_model", module)
        self.limit = position_limit(self.config, tokenizer)
        self.mask_id: int | None = tokenizer.mask_token_id
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.token_dropout = bool(getattr(self.config, "token_dropout", False))
        kind = type(module).__name__
        heads = {"embedding"}
        if "ForSequenceClassification" in kind:
            heads.add("classes")
            self.labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
            many = getattr(config, "problem_type", None) == "multi_label_classification"
            if many or len(self.labels) == 1:  # no softmax over these outputs
                self.class_scale = "raw"
        elif "ForMaskedLM" in kind or "ForCausalLM" in kind:
            heads.add("tokens")
        self.heads = frozenset(heads)

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
        return self.baseline(sample, DEFAULTS[self.modality].fill if given is None else given)

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
        whole = moved.weights is None or bool(np.isin(moved.weights, (0.0, 1.0)).all())
        # A path is moved in the embedding even at its ends, so that all of it is one space.
        is_path = moved.grouping.kind == "all"
        if is_path or not whole:
            return False
        return all(fill.deletes or fill.ids is not None for fill in moved.every_fill)

    def _covered(self, sample: Sample, moved: Perturbation, row: int) -> npt.NDArray[np.bool_]:
        """Return which tokens a row takes away."""
        covered = np.zeros(sample.length, dtype=bool)
        if moved.fill_of(row) is None:
            return covered
        grouping = moved.grouping
        if moved.removed is not None:
            group = moved.removed[row]
            if group < 0:
                return covered
            if grouping.boxes is None:
                return np.asarray(grouping.labels == group)
            covered[grouping.boxes[group]] = True
            return covered
        assert grouping.labels is not None
        weights = np.append(moved.row(row), 1.0)
        return np.asarray(weights[grouping.labels] == 0.0)

    def _row_ids(self, sample: Sample, moved: Perturbation, row: int, view: tuple[int, ...]) -> Ids:
        ids: Ids = sample.context["ids"]
        covered = self._covered(sample, moved, row)
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
        return self._row_ids(sample, perturbation, row, view).tobytes()

    def pack_key(self, sample: Sample, perturbation: Perturbation) -> Hashable:
        """Rows of ids and rows of embeddings go into batches of their own."""
        return self._by_ids(perturbation)

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
                pools.append(keep[~self._covered(piece.sample, moved, at)] if deleting else keep)
            starts.append(len(rows))
        arguments = self.arguments(rows)
        width = arguments["input_ids"].shape[1]
        pool = np.zeros((len(rows), width), dtype=bool)
        for i, keep in enumerate(pools):
            pool[i, : len(keep)] = keep
        leaf = None if by_ids else self._moved(pieces, starts, width)
        return TokenBatch(arguments, leaf, starts, torch.from_numpy(pool).to(self.device))

    def arguments(self, rows: Sequence[Ids]) -> dict[str, torch.Tensor]:
        """Return token ids and attention mask of some inputs, padded to the longest."""
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        attention = np.zeros((len(rows), width), dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            attention[i, : len(row)] = 1
        return {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": torch.from_numpy(attention).to(self.device),
        }

    def _moved(self, pieces: Sequence[Piece], starts: list[int], width: int) -> torch.Tensor:
        """Return the embedding of every row, moved towards the fill."""
        first = self.embed(pieces[0].sample.context["ids"])
        leaf = first.new_zeros((starts[-1], width, first.shape[-1]))
        if width > min(p.sample.length for p in pieces):
            leaf[:] = self.embed(np.array([self.pad_id], dtype=np.int64))
        for piece, start in zip(pieces, starts, strict=False):
            moved, sample = piece.perturbation, piece.sample
            here = self.embed(sample.context["ids"])
            own = leaf[start : start + len(piece.rows), : sample.length]
            own[:] = here if not moved.every_fill else self._between(here, piece)
            if moved.noise is not None:
                add_noise(own, moved.noise, piece.rows, here, sample.units.kept)
            if piece.view:
                own[:, list(piece.view)] = self.embed(np.array([self.mask_id], dtype=np.int64))[0]
        return leaf

    def _between(self, here: torch.Tensor, piece: Piece) -> torch.Tensor:
        """Return the embedding of every row, between that of its fill and that of the input."""
        sample, moved = piece.sample, piece.perturbation
        labels = moved.grouping.labels
        if labels is None:
            covered = [self._covered(sample, moved, int(row)) for row in piece.rows]
            weights = 1.0 - np.stack(covered)
        else:
            weights = np.pad(moved.matrix(piece.rows), ((0, 0), (0, 1)), constant_values=1.0)
            weights = weights[:, labels]
        alpha = torch.from_numpy(weights).to(here)[..., None]
        shape = (len(piece.rows), *here.shape)
        return torch.lerp(self._fills(piece).expand(shape), here.expand(shape), alpha.expand(shape))

    def _fills(self, piece: Piece) -> torch.Tensor:
        """Return the embedding of the fill of all rows, or one per row where they differ."""
        moved = piece.perturbation
        several = moved.choice is not None
        fills = [moved.fill_of(int(row)) for row in (piece.rows if several else piece.rows[:1])]
        if all(fill is not None and fill.value is None for fill in fills):
            found = self.embed(np.stack([np.asarray(fill.ids) for fill in fills if fill]))
        else:
            found = torch.stack([self._fill(fill) for fill in fills])
        return found if several else found[0]

    def _fill(self, fill: Baseline | None) -> torch.Tensor:
        assert fill is not None
        return self.embed(np.asarray(fill.ids)) if fill.value is None else fill_value(fill)

    def difference(self, piece: Piece, times: str) -> torch.Tensor:
        """Return the embedding of the input, or its distance from that of each row's fill."""
        here = self.embed(piece.sample.context["ids"])
        if times == "difference":
            here = here - self._fills(piece)
        if piece.view:  # what the target masks does not move
            here = here.clone()
            here[..., list(piece.view), :] = 0.0
        return here

    # -- forward -------------------------------------------------------------------------------

    def forward(
        self, batch: Batch, heads: Set[str], *, gradients: bool
    ) -> tuple[dict[str, Any], torch.Tensor | None]:
        """Run the module with the embedding substituted (or only observed)."""
        assert isinstance(batch, TokenBatch)
        seen: dict[str, torch.Tensor] = {}

        def substitute(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor | None:
            if "leaf" in seen:
                msg = f"{self.name} calls its embedding more than once in a pass"
                raise ModelError(msg)
            leaf = output.detach() if batch.leaf is None else batch.leaf
            seen["leaf"] = leaf.requires_grad_(gradients)
            # A copy, because some models change the embedding in place, which a leaf forbids.
            return leaf.clone() if gradients else leaf

        def observe(_module: nn.Module, _args: Any, output: Any) -> None:
            hidden = output[0] if not isinstance(output, torch.Tensor) else output
            seen["hidden"] = hidden

        handles = [self.embedding.register_forward_hook(substitute)]
        if self.base is not self.module:
            handles.append(self.base.register_forward_hook(observe))
        try:
            whole = self.module(**batch.arguments)
        finally:
            for handle in handles:
                handle.remove()
        if "leaf" not in seen:
            msg = f"{self.name} did not use its embedding module; it cannot be explained"
            raise ModelError(msg)
        hidden = seen.get("hidden", whole[0])
        outputs: dict[str, Any] = {"call": whole, "hidden": hidden}
        if heads & {"classes", "tokens"}:
            outputs["classes"] = outputs["tokens"] = whole.logits
        if "embedding" in heads:
            pool = batch.pool[..., None]
            total = hidden.masked_fill(~pool, 0.0).sum(1)
            outputs["embedding"] = total / pool.sum(1).clamp(min=1)
        return outputs, seen["leaf"]

    def describe(self) -> Mapping[str, Any]:
        """Return what provenance says of the model."""
        return {**super().describe(), "token_limit": self.limit}
