"""Learn a WordPiece vocabulary by merging the most frequent pairs of pieces, the same every time.

The trainer of the `tokenizers` package breaks ties by hash order, so two runs on one text differ
in a few pieces, and every number after them with it. Here ties are broken by the pieces' names.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import pairwise

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

Pair = tuple[str, str]


def words(texts: list[str]) -> Counter[str]:
    """Count the words as BERT's tokenizer cuts them: lower-cased, without accents."""
    normalizer, cutter = BertNormalizer(lowercase=True), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        clean = normalizer.normalize_str(text)
        counts.update(word for word, _ in cutter.pre_tokenize_str(clean))
    return counts


def learn(counts: Counter[str], size: int, least: int = 2) -> list[str]:
    """Return at most `size` pieces, sorted: all characters, then merges seen `least` times.

    >>> learn(Counter({"low": 5, "lower": 2}), 8)
    ['##e', '##er', '##o', '##ow', '##r', '##w', 'l', 'low']
    """
    spelled = sorted(counts)
    pieces = [[word[0], *(f"##{c}" for c in word[1:])] for word in spelled]
    vocabulary = {piece for word in pieces for piece in word}
    frequency: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(pieces):
        for pair in pairwise(word):
            frequency[pair] += counts[spelled[number]]
            places[pair].add(number)
    heap = [(-count, pair) for pair, count in frequency.items()]
    heapq.heapify(heap)
    while heap and len(vocabulary) < size:
        negative, pair = heapq.heappop(heap)
        if -negative != frequency[pair]:
            continue  # out of date: the pair was pushed again with its present count
        if -negative < least:
            break
        merged = pair[0] + pair[1].removeprefix("##")
        vocabulary.add(merged)
        changed: set[Pair] = set()
        for number in places.pop(pair):
            count, word = counts[spelled[number]], pieces[number]
            for old in pairwise(word):
                frequency[old] -= count
                changed.add(old)
                if old != pair:
                    places[old].discard(number)
            word = pieces[number] = _merge(word, pair, merged)
            for new in pairwise(word):
                frequency[new] += count
                changed.add(new)
                places[new].add(number)
        for other in changed:
            if frequency[other] > 0:
                heapq.heappush(heap, (-frequency[other], other))
    return sorted(vocabulary)


def _merge(word: list[str], pair: Pair, merged: str) -> list[str]:
    found, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            found.append(merged)
            i += 2
        else:
            found.append(word[i])
            i += 1
    return found
