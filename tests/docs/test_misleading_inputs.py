"""Each method has an input on which it misleads, and it does what its page says."""

from __future__ import annotations

import doctest
import runpy
from pathlib import Path
from typing import Any

import pytest

from saliscope.core.registry import methods
from saliscope.models.quiet import threads

PAGE: dict[str, Any] = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / "docs" / "_misleading.py")
)
EXAMPLES: dict[str, tuple[str, str]] = PAGE["EXAMPLES"]


def test_every_method_has_one() -> None:
    missing = methods().keys() - EXAMPLES.keys()
    assert not missing, f"docs/_misleading.py: add an input on which {missing} mislead"
    assert EXAMPLES.keys() == methods().keys()
    for name, (_, session) in EXAMPLES.items():
        assert f'"{name}"' in session


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_does_what_the_page_says(name: str) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(PAGE["SETUP"], names)  # the page is ours
    sentence, session = EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(session, names, name, None, 0)
    assert any(example.want for example in test.examples)
    said: list[str] = []
    with threads(1):
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, f"{sentence}\n{''.join(said)}"
