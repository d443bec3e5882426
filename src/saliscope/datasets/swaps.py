"""Sentences in which only an identity term is swapped: for `saliscope.audit.identity_terms`.

Every reader returns a row per sentence: `template`, `term` and `text`, and what else is known.
"""

from __future__ import annotations

import itertools
import re

import pandas as pd

from saliscope.core.errors import InputError
from saliscope.core.textfile import Path_, lines
from saliscope.datasets.cards import labeled, sample_file
from saliscope.datasets.reading import checked, read_table, wrong_file

__all__ = ["hatecheck", "identity_phrases", "winobias"]

_HATECHECK = "HateCheck (test_suite_cases.csv)"
_WORDS = "the words of Jigsaw's templates (type, subtype, connotation, word)"
_TEMPLATES = "Jigsaw's templates (template, toxicity, phrase)"
_WINOBIAS = "WinoBias (numbered sentences with [brackets])"
_PLACE = re.compile(r"\{type\|(\w+)_connotation\|(\w+)\}")
_PRONOUN = re.compile(r"\[(he|she|him|her|his|hers|himself|herself)\]", re.IGNORECASE)
_GENDER = {
    **dict.fromkeys(("he", "him", "his", "himself"), "he"),
    **dict.fromkeys(("she", "her", "hers", "herself"), "she"),
}


def hatecheck(path: Path_, *, swaps: bool = False) -> pd.DataFrame:
    """Read HateCheck: hateful and harmless sentences, most of them about one of seven groups.

    Parameters
    ----------
    path : path
        ``test_suite_cases.csv``.
    swaps : bool
        Only sentences whose template names a group in plain words, for all seven groups: 421
        templates. Slurs are left out, since swapping one for another is no swap of groups.

    Returns
    -------
    pandas.DataFrame
        `text`, `hateful` (1 or 0), `term` (the group; missing where there is none), `template`,
        `functionality` (what is tested).

    Raises
    ------
    InputError
        The file is another one.
    """
    table = read_table(path, _HATECHECK)
    columns = {
        "test_case": "text", "label_gold": "hateful", "target_ident": "term",
        "case_templ": "template", "functionality": "functionality",
    }  # fmt: skip
    missing = [column for column in columns if column not in table]
    if missing:
        raise wrong_file(path, _HATECHECK, f"it has no column {missing[0]!r}")
    table = table[[*columns]].rename(columns=columns)
    checked(path, _HATECHECK, table, "hateful", ("hateful", "non-hateful"))
    for column in ("text", "hateful", "template"):
        if table[column].isna().any():
            raise wrong_file(path, _HATECHECK, f"{column} has empty cells")
    table["hateful"] = (table["hateful"] == "hateful").astype("int64")
    if swaps:
        named = table["template"].str.contains("[IDENTITY", regex=False) & table["term"].notna()
        table = table[named].reset_index(drop=True)
    return labeled(table, "hatecheck")


def identity_phrases(
    templates: Path_ | None = None, words: Path_ | None = None, *, names: bool = False
) -> pd.DataFrame:
    """Return short phrases, harmless and toxic, for each of 51 identity terms.

    Phrases such as "being deaf is wonderful" are made of 12 patterns and a list of words by filling
    every place in every way. They are not quotations, and many are no good English.

    Parameters
    ----------
    templates, words : path, optional
        Own copies of Jigsaw's ``sentence_templates.csv`` and ``words.csv``, in place of those in
        the package, from which slurs are left out.
    names : bool
        With phrases about a person by name ("Chris is a ..."): 72,000 more.

    Returns
    -------
    pandas.DataFrame
        `template` (with "[identity]" in the term's place), `term`, `text`, `toxic` (1 or 0, by the
        other words), `pattern` and `subject` (age, disability, ethnicity, gender, religion or
        sexuality).

    Raises
    ------
    InputError
        A file is another one.

    Examples
    --------
    >>> phrases = identity_phrases()
    >>> phrases["template"].nunique(), phrases["term"].nunique(), len(phrases)
    (74, 51, 3774)
    >>> phrases["text"][phrases["template"] == "Being [identity] is wonderful"].iloc[0]
    'Being lesbian is wonderful'
    """
    templates = sample_file("jigsaw_templates.csv") if templates is None else templates
    words = sample_file("jigsaw_words.csv") if words is None else words
    lists = _lists(words)
    patterns = read_table(templates, _TEMPLATES)
    for column in ("template", "toxicity", "phrase"):
        if column not in patterns or patterns[column].isna().any():
            raise wrong_file(templates, _TEMPLATES, f"{column!r} is missing")
    checked(templates, _TEMPLATES, patterns, "toxicity", ("toxic", "nontoxic"))
    rows = []
    for name, toxicity, phrase in patterns[["template", "toxicity", "phrase"]].to_numpy().tolist():
        places = _PLACE.findall(phrase)
        kinds = [kind for kind, _ in places]
        if kinds.count("identity") != 1 or ("name" in kinds and not names):
            continue
        unknown = [place for place in places if place not in lists]
        if unknown:
            raise wrong_file(words, _WORDS, f"it has no words of {' '.join(unknown[0])}")
        terms = lists[places[kinds.index("identity")]]
        others = [
            [("[identity]", "")] if kind == "identity" else lists[kind, tone]
            for kind, tone in places
        ]
        pieces = _PLACE.sub("{}", phrase)
        for filled in itertools.product(*others):
            template = pieces.format(*(word for word, _ in filled))
            rows += [
                (template, term, template.replace("[identity]", term), int(toxicity == "toxic"),
                 name, subject)
                for term, subject in terms
            ]  # fmt: skip
    if not rows:
        raise wrong_file(templates, _TEMPLATES, "no phrase has a place for an identity")
    frame = pd.DataFrame(
        rows, columns=["template", "term", "text", "toxic", "pattern", "subject"]
    )  # fmt: skip
    return labeled(frame, "identity_phrases")


def _lists(path: Path_) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return words with their subjects, by type and connotation."""
    table = read_table(path, _WORDS)
    for column in ("type", "connotation", "word"):
        if column not in table or table[column].isna().any():
            raise wrong_file(path, _WORDS, f"{column!r} is missing")
    table["subject"] = table["subtype"].fillna("") if "subtype" in table else ""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for kind, tone, word, subject in table[
        ["type", "connotation", "word", "subject"]
    ].to_numpy().tolist():  # fmt: skip
        found.setdefault((kind, tone), []).append((word, subject))
    return found


def winobias(pro: Path_, anti: Path_) -> pd.DataFrame:
    """Read sentences about two occupations, each with pronouns of both genders.

    The files hold the same sentences with opposite pronouns; a sentence that also differs in other
    words is left out (5 of 396 of type 2).

    Parameters
    ----------
    pro, anti : path
        ``pro_stereotyped_type2.txt.test`` and its ``anti_stereotyped`` twin (or those of type 1).

    Returns
    -------
    pandas.DataFrame
        `template` (with "[pronoun]"), `term` ("he" or "she", also for him, his and her), `text`,
        and `stereotyped`, 1 where the pronoun is the one that the occupation's statistics suggest.

    Raises
    ------
    InputError
        A file is another one; the two do not go together.
    """
    one, other = _sentences(pro), _sentences(anti)
    rows = []
    for number, sentence in one.items():
        twin = other.get(number, "")
        template = _PRONOUN.sub("[pronoun]", sentence)
        genders = [_gender(each) for each in (sentence, twin)]
        if template != _PRONOUN.sub("[pronoun]", twin) or sorted(genders) != ["he", "she"]:
            continue
        for text, gender, typical in zip((sentence, twin), genders, (1, 0), strict=True):
            rows.append((_bare(template), gender, _bare(text), typical))
    if len(rows) < len(one):
        msg = f"{anti}: is not the twin of {pro}: under half of the sentences are the same"
        raise InputError(msg)
    frame = pd.DataFrame(rows, columns=["template", "term", "text", "stereotyped"])
    return labeled(frame, "winobias")


def _sentences(path: Path_) -> dict[str, str]:
    found = {}
    for number, line in lines(path):
        if not line.strip():
            continue
        label, _, sentence = line.strip().partition(" ")
        if not label.isdigit() or not _PRONOUN.search(sentence):
            msg = f"line {number} has no number, or no pronoun in brackets"
            raise wrong_file(path, _WINOBIAS, msg)
        found[label] = sentence.strip()
    return found


def _gender(sentence: str) -> str:
    """Return the gender of all pronouns in brackets; empty where they differ."""
    found = {_GENDER[word.lower()] for word in _PRONOUN.findall(sentence)}
    return found.pop() if len(found) == 1 else ""


def _bare(text: str) -> str:
    """Return a sentence without brackets, but for "[pronoun]"."""
    return re.sub(r"\[(?!pronoun\])([^\]]*)\]", r"\1", text)
