"""The tokens of a Keras model: declared by a person, since its file only knows their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saliscope.core.errors import OptionError

__all__ = ["Vocabulary"]

_ROLES = {
    "pad": ("", "[PAD]", "<pad>", "-"),
    "mask": ("[MASK]", "<mask>"),
    "unknown": ("[UNK]", "<unk>", "X"),
    "first": ("[CLS]", "[START]", "<cls>", "<bos>"),
    "last": ("[SEP]", "[END]", "<eos>", "<sep>"),
}


class Vocabulary:
    """Tokens and their ids, in the words that adapters ask a tokenizer in.

    Parameters
    ----------
    tokens : str, sequence of str, or mapping of str to int
        A string of letters is numbered from 1, with 0 for padding; a sequence is numbered from 0;
        a mapping says the ids itself. Tokens for padding ("", "[PAD]"), the mask ("[MASK]"), what
        is unknown ("[UNK]", "X"), and the ends of a sequence ("[CLS]", "[SEP]") are known by name;
        those of the ends are put around every sequence.

    Raises
    ------
    OptionError
        It is empty, has a token twice, or ids that are no whole numbers.

    Examples
    --------
    >>> letters = Vocabulary("ACDEFGHIKLMNPQRSTVWY")
    >>> letters.get_vocab()["C"], letters.pad_token_id, letters("AC")["input_ids"]
    (2, 0, [1, 2])
    >>> Vocabulary(["[PAD]", "[CLS]", "A"])("A")["input_ids"]
    [1, 2]
    """

    model_max_length = None

    def __init__(self, tokens: str | Sequence[str] | Mapping[str, int]) -> None:
        if isinstance(tokens, Mapping):
            pairs = list(tokens.items())
        else:
            pairs = [(t, i) for i, t in enumerate(tokens, 1 if isinstance(tokens, str) else 0)]
        if not pairs or not all(
            isinstance(t, str) and isinstance(i, int) and i >= 0 for t, i in pairs
        ):
            msg = "tokenizer= is letters, a list of tokens, or a mapping of tokens to their ids"
            raise OptionError(msg)
        self._ids = dict(pairs)
        if len(self._ids) < len(pairs) or len(set(self._ids.values())) < len(pairs):
            names = [t for t, _ in pairs]
            twice = next((t for t in names if names.count(t) > 1), names[-1])
            msg = f"tokenizer=: the token {twice!r} or its id occurs twice"
            raise OptionError(msg)
        found = self._role("pad")
        self.pad_token_id: int = 0 if found is None else found
        self.mask_token_id = self._role("mask")
        self.unk_token_id = self._role("unknown")
        self.eos_token_id = self._role("last")
        self._first = self._role("first")

    def _role(self, role: str) -> int | None:
        return next((self._ids[t] for t in _ROLES[role] if t in self._ids), None)

    def get_vocab(self) -> dict[str, int]:
        """Return the tokens and their ids."""
        return dict(self._ids)

    def __call__(self, text: str) -> dict[str, list[int]]:
        """Return the ids of letters, with what stands around a sequence."""
        around = [[] if i is None else [i] for i in (self._first, self.eos_token_id)]
        return {"input_ids": [*around[0], *(self._ids[a] for a in text), *around[1]]}
