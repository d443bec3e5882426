"""Transcripts from GenBank records, of messengers and of chromosomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from saliscope.core.errors import InputError
from saliscope.variants.coding.files import read_transcript
from variants.coding.coding_data import CDS, exons, genome
from variants.coding.transcript_texts import TRANSLATION, genbank


def test_genbank_messenger(tmp_path: Path) -> None:
    path = tmp_path / "t.gb"
    path.write_text(genbank("4..24", f"ccc{CDS.lower()}gg", TRANSLATION))
    found = read_transcript(path)
    assert (found.name, found.gene, found.cds) == ("NM_000001.2", "TOY", CDS)
    assert (found.chrom, found.blocks, found.tags) == (None, (), ("MANE Select",))
    assert found.protein_name == "NP_000001.1"
    with pytest.raises(InputError, match="build 'GRCh38' cannot apply"):
        read_transcript(path, build="GRCh38")


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize("region", [None, 1, -1])
def test_genbank_chromosome(strand: int, region: int | None, tmp_path: Path) -> None:
    """`region`: the record is a part of the chromosome, from base 1001 on, on one strand."""
    parts = sorted(exons(strand))
    joined = f"join({','.join(f'{a}..{b}' for a, b in parts)})"
    if strand < 0:
        joined = f"complement({joined})"
    mrna = f'     mRNA            {joined}\n                     /gene="TOY"\n'
    mrna += '                     /transcript_id="NM_000001.2"\n'
    size = len(genome(1))
    head = "" if region is None else f" REGION: 1001..{1000 + size}"
    if region == -1:
        head = f" REGION: complement(1001..{1000 + size})"
    text = genbank(joined, genome(strand), TRANSLATION, "NC_000006.11", head)
    (tmp_path / "t.gb").write_text(text.replace("     CDS    ", f"{mrna}     CDS    "))
    found = read_transcript(tmp_path / "t.gb", name="NM_000001")
    assert (found.name, found.cds, found.build, found.chrom) == (
        "NM_000001.2", CDS, "GRCh37", "6",
    )  # fmt: skip
    sign = -strand if region == -1 else strand
    shift = 0 if region is None else 1000
    assert found.strand == sign
    assert found.blocks == tuple((a - 1 + shift, b + shift) for a, b in exons(sign))


GENBANK = [
    ("<4..24", CDS, "", "is incomplete"),
    ("4..24", CDS, "/codon_start=2", "is incomplete"),
    ("4..24", CDS, '/translation="MKRGWC"', "from residue 5 on"),
    ("4..24", CDS, '/translation="MKRGGCA"', "from residue 7 on"),
    ("4..24", CDS, "/ribosomal_slippage", "/ribosomal_slippage, which is not"),
    ("4..24", CDS, "/transl_except=(pos:4..6,aa:Sec)", "transl_except"),
    ("5..24", CDS, "", "not a multiple of three"),
    ("complement(4..24)", CDS, "", "this is the wrong strand"),
    ("join(XX1234.1:1..9,4..24)", CDS, "", "other records"),
    ("4..24", "N" * 21, "", "'N' at base 1"),
]


@pytest.mark.parametrize(("coding", "bases", "qualifiers", "message"), GENBANK)
def test_broken_genbank(
    coding: str, bases: str, qualifiers: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.gb").write_text(genbank(coding, f"ccc{bases}gg", qualifiers))
    with pytest.raises(InputError, match=message) as error:
        read_transcript(tmp_path / "t.gb")
    assert "\n" not in str(error.value)


def test_genbank_without_features_or_sequence(tmp_path: Path) -> None:
    path = tmp_path / "t.gb"
    text = genbank("4..24", f"ccc{CDS}gg")
    path.write_text(text.replace("     CDS ", "     exon"))
    with pytest.raises(InputError, match="has no CDS feature"):
        read_transcript(path)
    path.write_text(text.partition("ORIGIN")[0] + "CONTIG      join(AB1.1:1..26)\n//\n")
    with pytest.raises(InputError, match="has no sequence"):
        read_transcript(path)
    path.write_text(text[: text.index("FEATURES")])
    with pytest.raises(InputError):
        read_transcript(path)
