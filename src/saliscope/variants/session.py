"""From files to results: what the command line and the demo do with variants."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saliscope.core.engine import Progress
from saliscope.core.errors import InputError, OptionError, nearest
from saliscope.variants.calls.panel import Panel
from saliscope.variants.calls.panel import panel as make_panel
from saliscope.variants.calls.record import Calls
from saliscope.variants.calls.samples import read_samples
from saliscope.variants.calls.vcf import read_calls
from saliscope.variants.coding.files import read_transcript
from saliscope.variants.coding.transcript import Transcript
from saliscope.variants.effects.interpret import interpret
from saliscope.variants.effects.record import Interpretation
from saliscope.variants.population.absence import NEAR
from saliscope.variants.population.load import load_population
from saliscope.variants.population.match import Matched, match

__all__ = [
    "Gene", "Inputs", "interpret_files", "read_inputs", "read_panel", "read_population",
]  # fmt: skip

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class Gene:
    """Where a transcript is read from.

    Parameters
    ----------
    annotation : path
        GFF3, GTF, GenBank, or a bare coding sequence.
    sequence : path, optional
        Coding sequence or genome, for GFF3 and GTF.
    transcript : str, optional
        Which transcript, where the file has several.
    build : str, optional
    """

    annotation: Path
    sequence: Path | None = None
    transcript: str | None = None
    build: str | None = None

    def read(self) -> Transcript:
        """Return the transcript."""
        return read_transcript(
            self.annotation, sequence=self.sequence, name=self.transcript, build=self.build
        )


def read_panel(transcript: Transcript, vcf: Path, samples: Path, build: str | None) -> Panel:
    """Return a panel from a phased VCF and the table of its people."""
    return make_panel(read_calls(vcf, transcript, build=build), read_samples(samples))


def read_population(
    transcript: Transcript, file: Path, same: Sequence[str], build: str | None
) -> Matched:
    """Return the rows of a population that are of the transcript.

    Parameters
    ----------
    transcript : Transcript
    file : path
    same : sequence of str
        Names under which the source has the same transcript.
    build : str, optional

    Raises
    ------
    InputError
        Also where the file has nothing of the transcript.
    """
    region = None
    if transcript.chrom is not None:
        low, high = transcript.span  # with the sites that lend their allele numbers to its ends
        region = (transcript.chrom, max(1, low - NEAR), high + NEAR)
    population = load_population(file, build=build, region=region)
    found = match(population, transcript, names={transcript.name: tuple(same)} if same else None)
    if not found.matched:
        msg = (
            f"{os.fspath(file)}: holds no variant of {transcript.name}; is it the file of another "
            "gene, or of another part of the genome?"
        )
        raise InputError(msg)
    return found


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the files of one interpretation hold; made by `read_inputs`.

    Parameters
    ----------
    calls : Calls
        On the transcript as it stands on the genome.
    panel : Panel, optional
    population : Matched, optional
    """

    calls: Calls
    panel: Panel | None
    population: Matched | None


def read_inputs(
    vcf: Path, sample: str, gene: Gene, *, panel: Path | None = None,
    panel_samples: Path | None = None, population: Path | None = None, same: Sequence[str] = (),
) -> Inputs:  # fmt: skip
    """Read everything that an interpretation needs beside the model.

    The panel is read first: where transcript and genome differ, its rows tell, and a person's file
    without a row there means the genome's base.

    Raises
    ------
    OptionError
        A panel without its table of samples; no such sample.
    InputError
        Whatever is wrong with a file.
    """
    if (panel is None) != (panel_samples is None):
        msg = "a panel needs its VCF and its table of samples; give --panel and --panel-samples"
        raise OptionError(msg)
    transcript = gene.read()
    people: Panel | None = None
    shared: Calls | None = None
    if panel is not None and panel_samples is not None:
        people = read_panel(transcript, panel, panel_samples, gene.build)
        transcript = people.calls.transcript
        if os.path.realpath(panel) == os.path.realpath(vcf):
            shared = people.calls
    calls = shared or read_calls(vcf, transcript, samples=[sample], build=gene.build)
    if sample not in calls.samples:
        msg = f"{vcf}: has no sample {sample!r}: {nearest(sample, calls.samples)}"
        raise OptionError(msg)
    matched = None
    if population is not None:
        matched = read_population(calls.transcript, population, same, gene.build)
    return Inputs(calls, people, matched)


def interpret_files(
    vcf: Path, sample: str, gene: Gene, model: object, *, panel: Path | None = None,
    panel_samples: Path | None = None, population: Path | None = None, same: Sequence[str] = (),
    group: str | None = None, readout: str = "likelihood", pairs: int = 1000,
    budget: int | None = None, seed: int = 0,
    progress: bool | Callable[[Progress], None] = False,
) -> Interpretation:  # fmt: skip
    """Read everything and interpret one person's variants of a gene.

    See `read_inputs` for the files, and `interpret` for the rest.

    Raises
    ------
    OptionError
        A panel without its table of samples; no such sample.
    InputError
        Whatever is wrong with a file.
    """
    read = read_inputs(
        vcf, sample, gene, panel=panel, panel_samples=panel_samples, population=population,
        same=same,
    )  # fmt: skip
    return interpret(
        read.calls, sample, model, panel=read.panel, population=read.population, group=group,
        readout=readout, pairs=pairs, budget=budget, seed=seed, progress=progress,
    )  # fmt: skip
