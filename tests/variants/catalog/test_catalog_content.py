"""What a catalog holds: numbers, counts, names, against direct measurement."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import saliscope
from saliscope.core.errors import InputError, OptionError, RefusedError
from saliscope.variants.catalog.assemble import Numbers, proteins_table
from saliscope.variants.catalog.build import build_catalog
from saliscope.variants.catalog.catalog import Catalog
from saliscope.variants.catalog.compare import compare
from saliscope.variants.catalog.entries import collect
from saliscope.variants.catalog.forward import (
    Reader,
    batches,
    pieces_of,
    protein_model,
    residues_text,
    run_batch,
)
from saliscope.variants.catalog.storage import arrow, digest, library
from saliscope.variants.coding.haplotype import missense_changes
from saliscope.variants.coding.transcript import Transcript
from variants.catalog.catalog_data import CDS, TOY, hashes, longer, people, population

PROTEIN = "MKRWGLDESTC"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("catalog")
    return build_catalog(TOY, "zoo:protein", folder, population=population(), panel=people())


def _entry(catalog: Catalog, name: str) -> dict:
    frame = catalog.entries().set_index("entry")
    return frame.loc[name].to_dict()


def test_entries_are_the_reference_variants_haplotypes_and_missense_changes(catalog):
    frame = catalog.entries()
    missense = [f"missense {c.coding}" for c in missense_changes(TOY)]
    assert sorted(frame["entry"]) == sorted([
        "reference c.=", *missense,
        "variant c.5A>G", "variant c.9T>A", "variant c.1A>G", "variant c.12G>A", "variant c.4_6del",
        "variant c.10T>C",
        "haplotype c.=", "haplotype c.10T>C", "haplotype c.[5A>G;9T>A]",
        "haplotype c.[5A>G;10T>C]",
    ])  # fmt: skip
    both = _entry(catalog, "haplotype c.[5A>G;10T>C]")
    assert (both["name"], both["short"]) == ("p.[Lys2Arg;Trp4Arg]", "K2R+W4R")
    assert [dict(e) for e in both["edits"]] == [
        {"start": 4, "end": 5, "alt": "G"}, {"start": 9, "end": 10, "alt": "C"},
    ]  # fmt: skip
    assert (both["site"], both["around"], both["window"]) == ("2,4", "1-11", "1-11")
    assert _entry(catalog, "haplotype c.[5A>G;9T>A]")["kind"] == "missense+synonymous"
    assert _entry(catalog, "variant c.9T>A")["name"] == "p.Arg3="


def test_scores_are_the_sums_of_a_direct_measurement(catalog):
    for name, protein in (
        ("reference c.=", PROTEIN), ("variant c.5A>G", "MRRWGLDESTC"),
        ("variant c.4_6del", "MRWGLDESTC"), ("haplotype c.[5A>G;10T>C]", "MRRRGLDESTC"),
    ):  # fmt: skip
        each = saliscope.Likelihood(each=True)
        alone = saliscope.measure("zoo:protein", protein, each).values.sum()
        entry = _entry(catalog, name)
        assert entry["score"] == pytest.approx(alone, abs=2e-4)
        assert catalog.score(protein) == entry["score"]
        assert entry["protein"] == digest(protein.encode())
        assert entry["length"] == len(protein)
    assert catalog.score("MKK") is None


def test_a_shift_is_the_difference_where_lengths_are_equal(catalog):
    home = catalog.score(PROTEIN)
    assert _entry(catalog, "variant c.5A>G")["shift"] == catalog.score("MRRWGLDESTC") - home
    assert _entry(catalog, "variant c.9T>A")["shift"] == 0.0
    for name in ("variant c.4_6del", "variant c.12G>A", "variant c.1A>G"):
        assert np.isnan(_entry(catalog, name)["shift"])
    shifts = catalog.shifts("missense")
    assert len(shifts) == len(missense_changes(TOY))
    assert shifts["missense c.5A>G"] == _entry(catalog, "variant c.5A>G")["shift"]


def test_a_lost_start_has_no_numbers_and_says_why(catalog):
    lost = _entry(catalog, "variant c.1A>G")
    assert (
        catalog.query("SELECT protein FROM entries WHERE kind = 'start_lost'").isna().all().item()
    )
    assert np.isnan(lost["score"])
    assert lost["note"] == "the start codon is lost: what is translated is not known"


def test_a_protein_without_an_end_has_no_numbers():
    t = Transcript("T.1", "T", "ATGAAATAA")
    from saliscope.variants.catalog.entries import Entry
    from saliscope.variants.coding.edit import Edit
    from saliscope.variants.coding.haplotype import haplotype

    entry = Entry("variant", haplotype(t, [Edit(6, 7, "C")]))
    assert (entry.kind, entry.protein) == ("stop_lost", None)
    assert "not known to its end" in entry.note


def _hidden(protein: str) -> np.ndarray:
    """Return the last hidden state at the residues, straight from the module."""
    model = protein_model("zoo:protein")
    ids = torch.from_numpy(model.prepare(protein)[0].context["ids"])[None]
    with model.quiet(0), torch.no_grad():
        return model.module.base_model(input_ids=ids).last_hidden_state[0, 1:-1].double().numpy()


def test_embeddings_are_means_of_the_hidden_state(catalog):
    variant = "MRRWGLDESTC"
    here, home = _hidden(variant), _hidden(PROTEIN)
    close = {"rtol": 0, "atol": 2e-5}
    np.testing.assert_allclose(catalog.embedding(variant), here.mean(0), **close)
    np.testing.assert_allclose(catalog.embedding(variant, "site"), here[1], **close)
    np.testing.assert_allclose(catalog.embedding(variant, "window"), here[:10].mean(0), **close)
    # of the reference at the same residues, and at each
    site, window = (catalog.embedding(PROTEIN, *w) for w in (("site", "2"), ("window", "1-10")))
    np.testing.assert_allclose(site, home[1], **close)
    np.testing.assert_allclose(window, home[:10].mean(0), **close)
    np.testing.assert_allclose(catalog.embedding(PROTEIN, "residue", "11"), home[10], **close)
    two = catalog.embedding("MRRRGLDESTC", "site")
    np.testing.assert_allclose(two, _hidden("MRRRGLDESTC")[[1, 3]].mean(0), **close)
    assert catalog.embedding("MRWGLDESTC", "site") is None  # another length: no same residues
    with pytest.raises(OptionError, match="did you mean 'site'"):
        catalog.embedding(variant, "sites")


def test_counts_by_source_and_group(catalog):
    frame = catalog.counts()
    rows = {
        (r.entry, r.source, r.by, r.group_name): (r.ac, r.an, r.frequency, r.homozygotes)
        for r in frame.itertuples()
    }
    table, panel = "table of counts: table.csv", "panel: panel.vcf.gz"
    assert rows["variant c.5A>G", table, "total", ""] == (7, 100, 0.07, 1)
    assert rows["variant c.5A>G", table, "group", "EUR"] == (7, 60, 7 / 60, 1)
    assert rows["variant c.5A>G", panel, "total", ""] == (2, 6, 2 / 6, 0)
    assert rows["variant c.10T>C", panel, "group", "AFR"] == (2, 2, 1.0, 1)
    assert rows["haplotype c.[5A>G;10T>C]", panel, "group", "AFR"][:3] == (1, 2, 0.5)
    assert rows["haplotype c.[5A>G;10T>C]", panel, "group", "EUR"][:3] == (0, 4, 0.0)
    assert rows["haplotype c.=", panel, "total", ""][:3] == (3, 6, 0.5)
    assert frame[frame["source"] == table]["ids"].iloc[0].startswith("rs")
    assert catalog.meta["sources"][panel]["people"] == 3
    assert "1 outside of the coding sequence" in catalog.meta["sources"][table]["notes"][0]


def test_queries_join_the_three_views(catalog):
    found = catalog.query(
        "SELECT e.short, p.value, c.ac FROM entries e "
        "JOIN proteins p ON p.protein = e.protein AND p.readout = 'likelihood' "
        "JOIN counts c USING (entry) WHERE e.entry = 'haplotype c.[5A>G;10T>C]' AND c.by = 'total'"
    )
    assert found.values.tolist() == [["K2R+W4R", catalog.score("MRRRGLDESTC"), 1]]
    with pytest.raises(InputError, match=r"^\S+: DuckDB does not take this query: .*\"nothing\""):
        catalog.query("SELECT nothing FROM entries")


def test_a_query_reaches_no_other_file(catalog, tmp_path):
    with pytest.raises(InputError, match="disabled by configuration"):
        catalog.query(f"COPY entries TO '{tmp_path / 'out.csv'}'")
    assert not list(tmp_path.iterdir())


def test_one_forward_row_per_distinct_protein(tmp_path):
    model = protein_model("zoo:protein")
    saliscope.measure(model, ["MKR", "MKW"], "likelihood")  # how rows depend is asked once
    rows = []
    hook = model.embedding.register_forward_hook(lambda _m, args, _o: rows.append(args[0].shape))
    try:
        model.prepare("M")
        rows.clear()
        gene = longer(30)
        made = build_catalog(gene, model, tmp_path / "a")
        ran = sum(shape[0] for shape in rows if shape[1] > 1)
        distinct = made.query("SELECT count(DISTINCT protein) AS n FROM proteins")["n"][0]
        entries = len(made.entries())
        assert entries > distinct  # edits that lead to one residue share a protein
        assert ran - 1 <= distinct <= ran  # one more where rows are tested for dependence
        rows.clear()
        build_catalog(gene, model, tmp_path / "a")
        assert not [shape for shape in rows if shape[1] > 1]
    finally:
        hook.remove()


def test_a_catalog_is_extended_and_sources_are_replaced(tmp_path):
    first = build_catalog(TOY, "zoo:protein", tmp_path / "a", population=population(7))
    score = first.score(PROTEIN)
    second = build_catalog(
        TOY, "zoo:protein", tmp_path / "a", population=population(9), panel=people(), missense=False
    )
    assert second.score(PROTEIN) == score
    assert len(second.shifts("missense")) == len(missense_changes(TOY))
    frame = second.counts()
    ac = frame[(frame["entry"] == "variant c.5A>G") & (frame["by"] == "total")]
    assert sorted(ac["ac"]) == [2, 9]
    # a person leaves: the haplotype that was theirs alone leaves with them
    third = build_catalog(
        TOY, "zoo:protein", tmp_path / "a", panel=people().without("ben"), missense=False
    )
    names = set(third.entries()["entry"])
    assert "haplotype c.[5A>G;10T>C]" not in names
    assert {"haplotype c.[5A>G;9T>A]", "variant c.5A>G", "variant c.4_6del"} <= names
    assert third.counts().query("entry == 'haplotype c.='")["an"].max() == 4
    before = hashes(tmp_path / "a")
    build_catalog(TOY, "zoo:protein", tmp_path / "a", panel=people().without("ben"), missense=False)
    assert hashes(tmp_path / "a") == before


def test_equal_work_gives_equal_bytes(catalog, tmp_path):
    build_catalog(TOY, "zoo:protein", tmp_path / "b", population=population(), panel=people())
    assert hashes(tmp_path / "b") == hashes(catalog.folder)
    assert not [n for n in hashes(tmp_path / "b") if "parts" in n or n.endswith(".new")]


def test_two_catalogs_beside_each_other(catalog, tmp_path):
    fewer = [[[0, 0], [1, 0], [0, 0]], [[1, 0], [0, 0], [1, 1]], [[0, 0], [0, 0], [0, 0]]]
    other = build_catalog(TOY, "zoo:protein", tmp_path, panel=people(fewer), missense=False)
    found = compare(catalog, other)
    assert found.only_b == ("haplotype c.9T>A",)
    assert "haplotype c.[5A>G;9T>A]" in found.only_a
    assert "missense c.4A>C" in found.only_a
    assert found.same_model
    both = found.entries.set_index("entry")
    assert abs(both.loc["variant c.10T>C", "score_difference"]) < 1e-4
    rows = found.counts[found.counts["by"] == "total"].set_index("entry")
    assert rows.loc["variant c.5A>G", "ac_difference"] == -1
    assert np.isnan(rows.loc["haplotype c.9T>A", "ac_a"])
    with pytest.raises(
        InputError, match=r"has no source 'x'; it has: panel: panel\.vcf\.gz, table"
    ):
        compare(catalog, other, sources={"x": "panel: panel.vcf.gz"})
    short = build_catalog(Transcript("S.1", "S", CDS[:9] + "TAA"), "zoo:protein", tmp_path / "s")
    with pytest.raises(InputError, match=r"different coding sequences \(T.1 and S.1\)"):
        compare(catalog, short)


def test_long_proteins_are_seen_in_windows():
    """A limit of 20 residues: windows 1-20, 11-30, 17-36, each distinct stretch run once."""
    gene = longer(36)
    reader = Reader(gene.protein, 20)
    changed = gene.protein[:4] + "A" + gene.protein[5:]
    pieces = pieces_of([gene.protein, changed], reader)
    assert [len(p.letters) for p in pieces] == [20, 20, 20, 20]  # one window differs
    assert reader.place(changed) == ((0, 20), (4,), tuple(range(13)))
    model = protein_model("zoo:protein")
    (batch,) = batches(pieces, {})
    pq = library("pyarrow.parquet")
    part = pq.read_table(arrow().BufferReader(run_batch(model, batch, None)))
    same = dict.fromkeys(("model", "revision", "dtype", "made"), "")
    numbers = Numbers.read([part])
    table = proteins_table([gene.protein, changed], numbers, reader, same, None, 192)
    rows = {(r["protein"], r["readout"], r["window"]): r["value"] for r in table.to_pylist()}
    each = saliscope.Likelihood(each=True)
    parts = [saliscope.measure(model, changed[a : a + 20], each).values for a in (0, 10, 16)]
    own = digest(changed.encode())
    assert rows[own, "likelihood", "1-20"] == pytest.approx(parts[0].sum(), abs=1e-4)
    # each residue in the window where it is farthest from an inner edge: 1-15, 16-23, 24-36
    whole = parts[0][:15].sum() + parts[1][5:13].sum() + parts[2][7:].sum()
    assert rows[own, "likelihood", "1-20,11-30,17-36"] == pytest.approx(whole, abs=1e-4)
    site = table.filter(arrow().compute.field("readout") == "site").to_pylist()
    assert {(r["protein"], r["window"], r["residues"]) for r in site} == {
        (own, "1-20", "5"), (digest(gene.protein.encode()), "1-20", "5"),
    }  # fmt: skip


def test_residues_in_words():
    assert residues_text((0, 1, 2, 7, 9, 10)) == "1-3,8,10-11"


def test_the_missense_set_of_a_gene():
    wanted = collect(TOY, missense=True)
    kinds = {e.kind for e in wanted.entries.values()}
    assert kinds == {"reference", "missense"}
    assert len(wanted.proteins) == 1 + len({(c.position, c.alt) for c in missense_changes(TOY)})


def test_other_models_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="zoo:sentiment is not a protein language model"):
        build_catalog(TOY, "zoo:sentiment", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_queries_of_the_documentation_run(catalog):
    page = (Path(__file__).parents[3] / "docs" / "catalog.md").read_text()
    found = [
        *re.findall(r"```sql\n(.*?)```", page, re.DOTALL),
        *re.findall(r'"""\n(.*?)"""', page, re.DOTALL),
    ]
    assert len(found) == 2
    for sql in found:
        assert len(catalog.query(sql)) >= 8
    for name in ("proteins", "entries", "counts"):  # and every column has its row
        for column in catalog.table(name).column_names:
            assert f"`{column}`" in page
