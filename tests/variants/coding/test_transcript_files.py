"""Transcripts from annotation, FASTA and VCF rows: every style on both strands."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

from saliscope.core.errors import InputError
from saliscope.variants.coding.builds import accession_build, build_name, chromosome
from saliscope.variants.coding.edit import Allele, Edit, reverse_complement
from saliscope.variants.coding.files import read_transcript, with_genome
from saliscope.variants.coding.transcript import Transcript
from variants.coding.coding_data import CDS, exons, genome
from variants.coding.transcript_texts import STYLES, refseq, write


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("source", ["genome", "coding", "both"])
def test_styles(style: str, strand: int, source: str, tmp_path: Path) -> None:
    name = "NM_000001.2" if style == "refseq" else "ENST00000000001.2"
    whole = genome(strand)
    table, coding, dna = write(
        tmp_path, t_gff=STYLES[style](strand), cds_fa=f">{name} words\n{CDS[:9]}\n{CDS[9:]}\n",
        genome_fa=f">chr1\nACGT\n>chr6 words\n{whole[:20].lower()}\n{whole[20:40]}\n{whole[40:]}\n",
    )  # fmt: skip
    before = sorted(path.name for path in tmp_path.iterdir())
    given = {"genome": dna, "coding": coding, "both": [dna, coding]}[source]
    found = read_transcript(table, sequence=given)
    assert (found.name, found.gene, found.cds) == (name, "TOY", CDS)
    assert (found.build, found.chrom, found.strand) == ("GRCh38", "6", strand)
    assert found.blocks == tuple((a - 1, b) for a, b in exons(strand))
    assert "MANE Select" in found.tags
    assert found.genome == {}
    assert found.protein == "MKRGGC"
    # c.8, the first base of exon 2
    place = 23 if strand > 0 else 29
    assert found.to_genome(7) == place
    assert found.allele(Edit(7, 8, "A")).label == f"6-{place}-{'G-A' if strand > 0 else 'C-T'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # no index is left behind


def test_packed_files_and_a_read_only_folder(tmp_path: Path) -> None:
    pysam = pytest.importorskip("pysam", reason="part of the package's requirements")
    (tmp_path / "plain.fa").write_text(f">6\n{genome(1)}\n")
    pysam.tabix_compress(str(tmp_path / "plain.fa"), str(tmp_path / "g.fa.gz"))
    with gzip.open(tmp_path / "t.gff3.gz", "wt") as file:
        file.write(refseq(1))
    with gzip.open(tmp_path / "cds.fa.gz", "wt") as file:
        file.write(f">NM_000001.2\n{CDS}\n")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        for sequence in ("plain.fa", "g.fa.gz", "cds.fa.gz"):
            found = read_transcript(tmp_path / "t.gff3.gz", sequence=tmp_path / sequence)
            assert found.cds == CDS
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    with gzip.open(tmp_path / "gzip.fa.gz", "wt") as file:
        file.write(f">6\n{genome(1)}\n")
    with pytest.raises(InputError, match="pack it with bgzip"):
        read_transcript(tmp_path / "t.gff3.gz", sequence=tmp_path / "gzip.fa.gz")


def test_genome_that_differs_from_the_transcript(tmp_path: Path) -> None:
    changed = genome(-1)
    spot = exons(-1)[1][0] - 1  # c.15, GGT: on the minus strand A; now G (GGC)
    assert changed[spot] == "A"
    table, coding, dna = write(
        tmp_path, t_gff=refseq(-1), cds_fa=f">NM_000001.2\n{CDS}\n",
        g_fa=f">6\n{changed[:spot]}G{changed[spot + 1 :]}\n",
    )  # fmt: skip
    found = read_transcript(table, sequence=[coding, dna])
    assert (found.cds, found.genome) == (CDS, {14: "C"})
    assert found.edit(Allele("6", spot + 1, "G", "A")) == Edit(14, 15, "T")
    assert found.edit(Allele("6", spot + 1, "G", "T")) == Edit(14, 15, "A")
    noted = refseq(-1).replace(
        "transcript_id=", "Note=The RefSeq transcript has 1 substitution compared to this "
        "genomic sequence;exception=annotated by transcript or proteomic data;transcript_id=",
    )  # fmt: skip
    table.write_text(noted)
    assert read_transcript(table, sequence=[coding, dna]).genome == {14: "C"}
    with pytest.raises(InputError, match="differ from the genome's"):
        read_transcript(table, sequence=dna)


def test_choice_of_transcript(tmp_path: Path) -> None:
    second = refseq(1).replace("NM_000001.2", "NM_000009.1").replace("tag=MANE Select;", "")
    text = refseq(1) + second.replace("cds-1", "cds-2")
    table, coding = write(
        tmp_path, t_gff=text, cds_fa=f">NM_000001.2\n{CDS}\n>NM_000009.1\n{CDS}\n"
    )
    assert read_transcript(table, sequence=coding).name == "NM_000001.2"
    for name in ("NM_000009.1", "NM_000009"):
        assert read_transcript(table, sequence=coding, name=name).name == "NM_000009.1"
    with pytest.raises(InputError, match=r"holds NM_000009\.1, which is not NM_000009\.2"):
        read_transcript(table, sequence=coding, name="NM_000009.2")
    with pytest.raises(InputError, match=r"no transcript NM_5; .*NM_000001\.2 \(TOY\)"):
        read_transcript(table, sequence=coding, name="NM_5")
    with pytest.raises(InputError, match="no coding rows of gene 'X'"):
        read_transcript(table, sequence=coding, gene="X")
    table.write_text(text.replace("tag=MANE Select;", ""))
    with pytest.raises(
        InputError, match=r"several transcripts; .*: NM_000001\.2 \(TOY\), NM_000009\.1"
    ):
        read_transcript(table, sequence=coding)


def test_build_from_accession_and_argument(tmp_path: Path) -> None:
    bare = "".join(
        line + "\n" for line in refseq(1).splitlines() if "genome-build" not in line
    ).replace("NC_000006.12", "NC_000006.11")
    table, coding = write(tmp_path, t_gff=bare, cds_fa=f">NM_000001.2\n{CDS}\n")
    assert read_transcript(table, sequence=coding).build == "GRCh37"
    assert read_transcript(table, sequence=coding, build="hg19").build == "GRCh37"
    with pytest.raises(InputError, match=r"GRCh37 by NC_000006\.11, GRCh38 by build="):
        read_transcript(table, sequence=coding, build="GRCh38")
    table.write_text(bare.replace("NC_000006.11", "6"))
    assert read_transcript(table, sequence=coding, build="GRCh38").build == "GRCh38"
    with pytest.raises(InputError, match="does not name its genome build"):
        read_transcript(table, sequence=coding)


def test_names_of_chromosomes_and_builds() -> None:
    assert [accession_build(f"NC_0000{n}") for n in ("01.10", "01.11", "01.9", "21.8", "24.9")] == [
        "GRCh37", "GRCh38", None, "GRCh37", "GRCh37",
    ]  # fmt: skip
    assert accession_build("NC_060930.1") == "T2T-CHM13v2.0"
    names = ("NC_000024.10", "NC_060947.1", "NC_012920.1", "NC_000087.8", "CHR6", "chrUn_1")
    assert [chromosome(n) for n in names] == ["Y", "X", "MT", "NC_000087.8", "6", "Un_1"]
    assert build_name("lifted from hg19 to hg38") is None


def test_bare_coding_sequence(tmp_path: Path) -> None:
    path = tmp_path / "cds.fa"
    path.write_text(f">a\n{CDS.lower()}\n>b x\n{CDS[:12]}\r\n\r\n{CDS[12:]}\n")
    found = read_transcript(path, name="b", gene="TOY")
    assert (found.name, found.gene, found.cds, found.chrom) == ("b", "TOY", CDS, None)
    assert read_transcript(path, name="a").cds == CDS
    with pytest.raises(InputError, match="no record c"):
        read_transcript(path, name="c")
    with pytest.raises(InputError, match="build 'GRCh38' cannot apply"):
        read_transcript(path, name="a", build="GRCh38")
    with pytest.raises(InputError, match="holds its own sequence"):
        read_transcript(path, sequence=path)


PLACED = Transcript(
    "NM_000001.2", "TOY", CDS, "GRCh38", "6", -1, tuple((a - 1, b) for a, b in exons(-1))
)


def calls(*wrong: tuple[int, str]) -> list[Allele]:
    """Return a row per coding base, its reference as the transcript has it but where given."""
    own = {i: CDS[i] for i in range(len(CDS))} | dict(wrong)
    return [
        Allele("6", PLACED.to_genome(i), reverse_complement(base), "") for i, base in own.items()
    ]


def test_genome_from_the_rows_of_a_vcf() -> None:
    assert with_genome(PLACED, calls()).genome == {}
    assert with_genome(PLACED, [Allele("7", 25, "A", "G")]).genome == {}
    seen = with_genome(PLACED, calls((14, "C")))
    assert seen.genome == {14: "C"}
    assert with_genome(seen, calls((14, "C"))) is seen
    assert with_genome(seen, calls()).genome == {}
    # GGT to TGC, and only one agreeing row: too little to go by
    for rows_given in (calls((14, "C"))[13:15], calls((14, "C"), (11, "A")), calls((15, "A"))):
        with pytest.raises(InputError, match=r"^6:\d+: the reference base is .*genome build"):
            with_genome(PLACED, rows_given)
    with pytest.raises(InputError, match=r"6:22: the reference base is G, and NM_000001\.2 has A"):
        with_genome(PLACED, calls((14, "C"))[14:15])
    with pytest.raises(InputError, match="two rows call different reference bases"):
        with_genome(PLACED, [*calls(), *calls((14, "C"))])
