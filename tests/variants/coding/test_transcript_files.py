"""Transcripts from files: every style on both strands, and files that must be refused."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliscope.core.errors import InputError
from saliscope.variants.coding.builds import accession_build, build_name, chromosome
from saliscope.variants.coding.edit import Allele, Edit, reverse_complement
from saliscope.variants.coding.files import read_transcript, with_genome
from saliscope.variants.coding.transcript import Transcript
from variants.coding.coding_data import CDS, exons, genome

PHASES = ("0", "2", "0")


def rows(strand: int, kind: str, attributes: str, contig: str, parts: list) -> list[str]:
    sign = "+" if strand > 0 else "-"
    return [
        f"{contig}\tx\t{kind}\t{a}\t{b}\t.\t{sign}\t{phase}\t{attributes}"
        for (a, b), phase in zip(parts, PHASES, strict=False)
    ]


def one(strand: int, kind: str, attributes: str, contig: str) -> str:
    parts = exons(strand)
    low, high = min(a for a, _ in parts), max(b for _, b in parts)
    sign = "+" if strand > 0 else "-"
    return f"{contig}\tx\t{kind}\t{low}\t{high}\t.\t{sign}\t.\t{attributes}"


def refseq(strand: int) -> str:
    c = "NC_000006.12"
    lines = [
        "##gff-version 3",
        "#!genome-build GRCh38.p14",
        one(strand, "gene", "ID=gene-TOY;Name=TOY", c),
        one(strand, "mRNA", "ID=rna-NM_000001.2;Parent=gene-TOY;Name=NM_000001.2;gene=TOY;"
            "tag=MANE Select;transcript_id=NM_000001.2", c),
        *rows(strand, "CDS", "ID=cds-1;Parent=rna-NM_000001.2;gene=TOY;protein_id=NP_000001.1",
              c, exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def ensembl(strand: int) -> str:
    lines = [
        "##gff-version 3",
        "#!genome-build  GRCh38.p13",
        one(strand, "gene", "ID=gene:ENSG01;Name=TOY;gene_id=ENSG01;version=7", "6"),
        one(strand, "mRNA", "ID=transcript:ENST00000000001;Parent=gene:ENSG01;Name=TOY-201;"
            "tag=basic,MANE_Select;transcript_id=ENST00000000001;version=2", "6"),
        *rows(strand, "CDS", "ID=CDS:ENSP1;Parent=transcript:ENST00000000001;protein_id=ENSP1",
              "6", exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gencode(strand: int) -> str:
    about = "gene_name=TOY;transcript_id=ENST00000000001.2;tag=basic,MANE_Select,CCDS"
    lines = [
        "##gff-version 3",
        "#description: evidence-based annotation",
        "##description: evidence-based annotation of the human genome (GRCh38), version 44",
        one(strand, "gene", "ID=ENSG01.7;gene_name=TOY", "chr6"),
        one(strand, "transcript", f"ID=ENST00000000001.2;Parent=ENSG01.7;{about}", "chr6"),
        *rows(strand, "CDS", f"ID=CDS:ENST00000000001.2;Parent=ENST00000000001.2;{about}",
              "chr6", exons(strand)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gtf(strand: int) -> str:
    about = (
        'gene_id "ENSG01"; transcript_id "ENST00000000001"; transcript_version "2"; '
        'gene_name "TOY"; tag "basic"; tag "MANE_Select";'
    )
    parts = exons(strand)
    a, b = parts[2]
    last = (a, b - 3) if strand > 0 else (a + 3, b)
    stop = (b - 2, b) if strand > 0 else (a, a + 2)
    lines = [
        "#!genome-build GRCh38.p14",
        one(strand, "transcript", about, "6"),
        *rows(strand, "CDS", about, "6", [*parts[:2], last]),
        *rows(strand, "stop_codon", about, "6", [stop]),
    ]
    return "\n".join(lines) + "\n"


STYLES = {"refseq": refseq, "ensembl": ensembl, "gencode": gencode, "gtf": gtf}


def write(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_text(text)
        paths.append(path)
    return paths


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


def broken(text: str, *swaps: tuple[str, str]) -> str:
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new)
    return text


FASTA = f">NM_000001.2\n{CDS}\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PHASE = ("\t2\tID=cds-1", "\t1\tID=cds-1")
ANNOTATIONS = [
    ("empty", "", FASTA, "t.gff: is empty"),
    ("pointer", LFS, FASTA, "t.gff: is a Git LFS pointer"),
    ("text", "hello\n", FASTA, "is not GFF3, GTF, GenBank or FASTA"),
    ("no CDS", "\n".join(refseq(1).splitlines()[:4]), FASTA, "has no CDS rows"),
    ("columns", refseq(1) + "6\tx\tCDS\n", FASTA, "line 8: has 3 columns"),
    ("start", broken(refseq(1), ("\t11\t17\t", "\tx\t17\t")), FASTA, "line 5: 'x' to '17'"),
    ("order", broken(refseq(1), ("\t11\t17\t", "\t17\t11\t")), FASTA, "line 5: '17' to '11'"),
    ("strand", broken(refseq(1), ("\t+\t0\t", "\t.\t0\t")), FASTA, "strand of a CDS row"),
    ("phase word", broken(refseq(1), ("\t2\tID", "\t5\tID")), FASTA, "phase of a CDS row is '5'"),
    ("phase", broken(refseq(1), PHASE), FASTA,
     "line 6: the phase is 1, and the rows before give 2"),
    ("first phase", broken(refseq(1), ("\t11\t17\t.\t+\t0", "\t11\t17\t.\t+\t1")), FASTA,
     "line 5: the phase is 1, and the coding sequence of NM_000001.2 is incomplete"),
    ("lengths", broken(refseq(1), ("\t36\t41\t", "\t36\t38\t")), FASTA,
     "span 18 bases, and .* has 21; the CDS rows leave the stop codon out"),
    ("lengths 2", broken(refseq(1), ("\t36\t41\t", "\t36\t40\t")), FASTA,
     "span 20 bases, and .* has 21; give both of the same transcript version"),
    ("overlap", broken(refseq(1), ("\t23\t30\t", "\t17\t24\t")), FASTA, "ribosomal slippage"),
    ("strands", broken(refseq(1), ("23\t30\t.\t+", "23\t30\t.\t-")), FASTA, "several chromosomes"),
    ("partial", broken(refseq(1), ("tag=MANE Select", "partial=true")), FASTA,
     r"incomplete \(partial=true\)"),
    ("NF", broken(gencode(1), ("CCDS", "cds_start_NF")), FASTA, r"incomplete \(cds_start_NF\)"),
    ("slippage", broken(refseq(1), ("protein_id", "exception=ribosomal slippage;protein_id")),
     FASTA, "exception=ribosomal slippage"),
    ("except", broken(refseq(1), ("protein_id", "transl_except=(pos:1..3%2Caa:Sec);protein_id")),
     FASTA, r"transl_except=\(pos:1..3,aa:Sec\)"),
    ("no table", broken(refseq(1), ("protein_id", "transl_table=x;protein_id")), FASTA,
     "translation table 'x': is not a number"),
    ("table", broken(refseq(1), ("protein_id", "transl_table=99;protein_id")), FASTA,
     "translation table 99"),
    ("other version", refseq(1), f">NM_000001.1\n{CDS}\n", "holds NM_000001.1, which is not"),
    ("other", refseq(1), f">NM_000007.1\n{CDS}\n", r"no record NM_000001.2 \(it holds NM_000007.1"),
    ("several", refseq(1), f">a\n{CDS}\n>b\n{CDS}\n", "no record NM_000001.2"),
    ("twice", refseq(1), FASTA * 2, "line 3: the name 'NM_000001.2' stands there twice"),
    ("no header", refseq(1), f"{CDS}\n", "line 1: is not FASTA"),
    ("no sequence", refseq(1), ">NM_000001.2\n", "has no sequence"),
    ("sequence pointer", refseq(1), LFS, "cds.fa: is a Git LFS pointer"),
    ("genome of another build", refseq(1), f">6\n{genome(1)[3:]}{'A' * 9}\n", "start codon"),
    ("genome too short", refseq(1), f">6\n{genome(1)[:38]}\n", "ends before position 41"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "table", "sequence", "message"), ANNOTATIONS)
def test_broken_annotations(
    name: str, table: str, sequence: str, message: str, tmp_path: Path
) -> None:
    paths = write(tmp_path, t_gff=table, cds_fa=sequence)
    with pytest.raises(InputError, match=message) as error:
        read_transcript(paths[0], sequence=paths[1])
    assert "\n" not in str(error.value)


SEQUENCES = [
    ("", "is empty"),
    (LFS, "Git LFS pointer"),
    (">T.1\n\n", "has no sequence"),
    (f">T.1\n{CDS[:-1]}\n", "length 20 is not a multiple of three"),
    (f">T.1\n{CDS[:-3]}\n", "ends with TGC, not with a stop codon"),
    (f">T.1\n{CDS[3:]}\n", "starts with AAA, not with a start codon"),
    (f">T.1\nC{CDS[1:]}\n", "starts with CTG, not with a start codon"),
    (">T.1\nATGTGAAAATAA\n", "has a stop codon within, at codon 2 of 4"),
    (f">T.1\n{reverse_complement(CDS)}\n", "this is the wrong strand"),
    (f">T.1\n{CDS[:4]}N{CDS[5:]}\n", "'N' at base 5"),
    (f">T.1\n{CDS[:4]}-{CDS[5:]}\n", "'-' at base 5"),
    (">T.1\nMKRGGC*\n", "is a protein"),
    (">T.1\nMDGTRTSLDIEEYSDTEV\n", "is a protein"),
    (f">T.1\n{CDS.replace('T', 'U')}\n", "is RNA"),
    (f">a\n{CDS}\n>b\n{CDS}\n", "several records; choose one by name: a, b"),
]


@pytest.mark.parametrize(("text", "message"), SEQUENCES)
def test_broken_coding_sequences(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "cds.fa").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_transcript(tmp_path / "cds.fa")
    assert "\n" not in str(error.value)


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


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_transcript(tmp_path / "no.gff3")
    with pytest.raises(InputError, match="is a folder"):
        read_transcript(tmp_path)
    for name, data, message in (
        ("utf16", f">T\n{CDS}".encode("utf-16"), "UTF-16"),
        ("zip", b"PK\x03\x04abc", "zip archive"),
        ("null", b">T\nATG\x00", "null bytes"),
        ("latin", b">T\xe9\nATG", "is not UTF-8"),
        ("cut", gzip.compress(FASTA.encode())[:-9], "cut off or damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_transcript(tmp_path / name)
    (tmp_path / "t.gff3").write_text(refseq(1))
    with pytest.raises(InputError, match="holds no sequence"):
        read_transcript(tmp_path / "t.gff3")


@given(st.text(st.sampled_from('\t\n#>=;"ACGTN+-.0159CDSgenID '), max_size=80))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text)
    coding = tmp_path_factory.getbasetemp() / "any_cds.fa"
    coding.write_text(FASTA)
    for sequence in (None, coding):
        with pytest.raises(InputError) as error:
            read_transcript(path, sequence=sequence)
        assert "\n" not in str(error.value)


def genbank(
    coding: str, bases: str, qualifiers: str = "", version: str = "NM_000001.2", head: str = ""
) -> str:
    blocks = [bases[i : i + 60] for i in range(0, len(bases), 60)]
    origin = "\n".join(
        f"{60 * i + 1:>9} {' '.join(block[j : j + 10] for j in range(0, len(block), 10))}"
        for i, block in enumerate(blocks)
    )
    extra = "".join(f"                     {line}\n" for line in qualifiers.splitlines())
    return (
        f"LOCUS       TOY {len(bases):>20} bp    DNA     linear   PRI 01-JAN-2020\n"
        "DEFINITION  toy.\n"
        f"ACCESSION   {version.partition('.')[0]}{head}\n"
        f"VERSION     {version}\n"
        "KEYWORDS    RefSeq; MANE Select.\n"
        "FEATURES             Location/Qualifiers\n"
        f"     CDS             {coding}\n"
        '                     /gene="TOY"\n'
        '                     /protein_id="NP_000001.1"\n'
        f"{extra}"
        f"ORIGIN\n{origin}\n//\n"
    )


TRANSLATION = '/codon_start=1\n/transl_table=1\n/translation="MKRGGC"'


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


VALID = (
    *(make(1) for make in STYLES.values()),
    genbank("4..24", f"ccc{CDS}gg", TRANSLATION),
    genbank("complement(join(35..41,22..29,11..16))", genome(-1), TRANSLATION, "NC_000006.11"),
)


@given(st.sampled_from(VALID), st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    tmp_path_factory, text: str, data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        lost = data.draw(st.sampled_from([0, 1, 5, 40]))
        new = data.draw(st.text('\t\n=;"0189ACGTacgt.,()<>/+-x %', max_size=3))
        text = text[:place] + new + text[place + lost :]
    folder = tmp_path_factory.getbasetemp()
    (folder / "damaged").write_text(text)
    (folder / "damaged_genome.fa").write_text(f">6\n{genome(1)}\n")
    sequence = None if text.startswith("LOCUS") else folder / "damaged_genome.fa"
    message = ""
    try:
        found = read_transcript(folder / "damaged", sequence=sequence)
        assert len(found.cds) % 3 == 0
    except InputError as error:
        message = str(error)
    assert "\n" not in message


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
