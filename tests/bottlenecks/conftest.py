"""Audits in tests draw families fewer times, and look at fewer places."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_audits() -> Iterator[None]:
    """Make intervals and probes cheap: their widths are tested where they are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliscope.bottleneck.probes._DRAWS", 40)
        patch.setattr("saliscope.bottleneck.probes._PLACES", 40)
        yield
