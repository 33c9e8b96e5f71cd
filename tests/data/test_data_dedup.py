"""Deduplication and decontamination against brute force."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.data import dedup, signatures
from rulewright.data import keys as keytable
from rulewright.data.decontaminate import EvaluationIndex, Overlap
from rulewright.data.drafts import Drop
from rulewright.data.schemas import NormalizedRecord, record_id
from rulewright.errors import UsageError

WORDS = [f"name{i}" for i in range(400)]


def edit(pre: str, post: str, group: str, commit: str = "") -> NormalizedRecord:
    metadata = {
        "id": record_id("do", pre, post, "python"), "source": "s", "license": "mit", "group": group,
        "commit": commit or None,
    }  # fmt: skip
    value = {"instruction": "do", "pre": pre, "post": post, "language": "python", "metadata": metadata}
    return NormalizedRecord.model_validate(value)


def columns_of(edits: list[NormalizedRecord], splits: list[int] | None = None) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {name: [] for name in keytable.COLUMNS}
    for i, record in enumerate(edits):
        keytable.enter(
            columns,
            record,
            signatures.EditTokens(record.pre, record.post),
            0,
            False,
            splits[i] if splits else 0,
        )
    columns["lines"] = columns["language"] = [0] * len(edits)
    return keytable.arrays(columns)


def keys_of(edits: list[NormalizedRecord], splits: list[int] | None = None, **changes: Any) -> dedup.Keys:
    made = columns_of(edits, splits)
    names = dedup.Keys.__dataclass_fields__.keys() - {"source"}
    source = changes.pop("source", np.zeros(len(edits), dtype=np.uint32))
    return dedup.Keys(**{**{name: made[name] for name in names}, **changes}, source=source)


def shingles(record: NormalizedRecord) -> set[tuple[str, ...]]:
    found = set()
    for side in (record.pre, record.post):
        words = side.split()
        found |= {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    return found


def random_edits(seed: int, n: int) -> list[NormalizedRecord]:
    """Texts of 60 words, some of them altered copies of earlier ones."""
    rng = random.Random(seed)
    texts: list[list[str]] = []
    for _ in range(n):
        if texts and rng.random() < 0.5:
            words = list(rng.choice(texts))
            for _ in range(rng.randrange(8)):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        else:
            words = rng.choices(WORDS, k=60)
        texts.append(words)
    return [edit(" ".join(w), " ".join([*w[:30], "new", *w[30:]]), f"g{rng.randrange(n)}") for w in texts]


@pytest.mark.parametrize("seed", range(6))
def test_near_copies_are_those_that_brute_force_finds(seed: int) -> None:
    edits = random_edits(seed, 150)
    decision = dedup.choose(keys_of(edits), 0.7)
    kept = [i for i in range(len(edits)) if decision.reason[i] == 0]
    sets = [shingles(e) for e in edits]

    def jaccard(a: int, b: int) -> float:
        return len(sets[a] & sets[b]) / len(sets[a] | sets[b])

    # The estimate has a standard error of 0.03: nothing clearly above is kept twice, ...
    for a in kept:
        for b in kept:
            if a < b and edits[a].metadata.group != edits[b].metadata.group:
                assert jaccard(a, b) < 0.8
    # ... and nothing clearly below is dropped.
    for i in set(range(len(edits))) - set(kept):
        assert jaccard(i, int(decision.because[i])) > 0.6


def test_the_estimate_is_near_the_true_similarity() -> None:
    edits = random_edits(1, 80)
    keys, sets = keys_of(edits), [shingles(e) for e in edits]
    errors = [
        (keys.code[a] == keys.code[b]).mean() - len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a in range(80)
        for b in range(a)
    ]
    assert abs(float(np.mean(errors))) < 0.01 and float(np.max(np.abs(errors))) < 0.15


@pytest.mark.parametrize("n", [0, 1, 50, 3_000])
def test_signatures_are_those_of_datasketch(n: int) -> None:
    from datasketch import MinHash

    values = np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)
    sketch = MinHash(num_perm=252, seed=1, scheme="affine32", hashfunc=lambda value: int(value) >> 32)
    sketch.update_batch(values)
    assert (signatures.signature(values) == sketch.hashvalues).all()


@pytest.mark.parametrize("seed", range(3))
def test_parts_and_files_change_no_choice(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = random_edits(seed, 120)
    edits += edits[:30]
    keys = keys_of(edits, splits=[i % 3 for i in range(150)], source=np.arange(150, dtype=np.uint32) % 2)
    expected = dedup.choose(keys, 0.7)
    for name, value in (("PART", 17), ("BLOCK", 5), ("_SPILL", 9), ("_RANGE", 20)):
        monkeypatch.setattr(dedup, name, value)
    found = dedup.choose(keys, 0.7, folder=tmp_path)
    assert (found.reason == expected.reason).all() and (found.because == expected.because).all()
    assert set(expected.reason.tolist()) >= {0, 1, 3} and not list(tmp_path.iterdir())


def test_the_columns_of_several_files_are_gathered_as_if_they_were_one(tmp_path: Path) -> None:
    edits = [edit(f"a = {i}\n", f"a = {i} + 1\n", f"g{i}", ",".join(["c"] * (i % 3))) for i in range(30)]
    for name, part in (("a", edits[:13]), ("b", edits[13:])):
        keytable.save(tmp_path / name, columns_of(part))
    keytable.save(tmp_path / "both", keytable.gather([tmp_path / "a", tmp_path / "b"], tmp_path))
    keytable.save(tmp_path / "wanted", columns_of(edits))
    assert (tmp_path / "both").read_bytes() == (tmp_path / "wanted").read_bytes()


@pytest.mark.parametrize(
    ("number", "passes"), [(errno.EOPNOTSUPP, True), (errno.EINVAL, True), (errno.ENOSPC, False)]
)
def test_the_room_of_an_array_is_taken_at_once_where_the_file_system_can(
    number: int, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no")

    with (tmp_path / "a").open("w+b") as stream:
        keytable.mapped(stream, np.uint64, (3, 2))[:] = 1
        assert (tmp_path / "a").stat().st_size == 48
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with (tmp_path / "b").open("w+b") as stream:
        assert keytable.mapped(stream, np.uint64, (0, 2)).shape == (0, 2)
        if passes:
            assert keytable.mapped(stream, np.uint64, (3, 2)).shape == (3, 2)
        else:
            with pytest.raises(OSError, match="no"):
                keytable.mapped(stream, np.uint64, (3, 2))


def test_memory_grows_little_with_the_number_of_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured as the arrays that Python and numpy hold, not what lies in mapped files."""
    monkeypatch.setattr(dedup, "PART", 2_000)
    monkeypatch.setattr(dedup, "BLOCK", 64)
    rng = np.random.default_rng(0)
    peaks = []
    for n in (20_000, 60_000):
        shapes = {"exact": 2, "code": signatures.N_PERMUTATIONS, "change": signatures.N_CHANGE_PERMUTATIONS}
        made: dict[str, Any] = {}
        for name, width in shapes.items():
            kind = np.uint64 if name == "exact" else np.uint32
            made[name] = np.memmap(tmp_path / name, kind, "w+", shape=(n, width))
            made[name][:] = rng.integers(0, np.iinfo(kind).max, (n, width), dtype=kind)
        ones = np.ones(n, dtype=np.uint32)
        keys = dedup.Keys(
            **made, n_shingles=ones, group=np.arange(n, dtype=np.uint64), preference=ones, source=ones,
            commits=np.empty(0, dtype=np.uint64), commit_ends=np.zeros(n, dtype=np.int64),
            split=np.zeros(n, dtype=np.uint8), seeded=np.zeros(n, dtype=np.bool_),
        )  # fmt: skip
        tracemalloc.start()
        dedup.choose(keys, 0.7, folder=tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 40_000 < 24


@settings(max_examples=200)
@given(
    pre=st.lists(st.sampled_from(["a b", "c(d, e)", "  é = 1", "", "f", "\t", "x.y.z[0]"]), max_size=12),
    post=st.lists(st.sampled_from(["a b", "c(d, e)", "  é = 1", "", "g h i", "x.y.z[0]"]), max_size=12),
)
def test_an_edit_read_once_gives_what_its_sides_give(pre: list[str], post: list[str]) -> None:
    """Shared lines are looked at once; the numbers are those of the definition."""
    old, new = "\n".join(pre), "\n".join(post)
    edit = signatures.EditTokens(old, new)
    both = [signatures.tokens(old), signatures.tokens(new)]
    assert all((a == b).all() and a.size == b.size for a, b in zip(edit.sides(), both, strict=True))
    runs = {int(h) for side in both for h in signatures.ngrams(side, signatures.SHINGLE)}
    code, n_shingles = edit.code_signature()
    assert n_shingles == len(runs)
    assert (code == signatures.signature(np.array(sorted(runs), dtype=np.uint64))).all()
    removed = "\n".join(line for line in pre if line not in post)
    added = "\n".join(line for line in post if line not in pre)
    changes = {
        int(h)
        for mark, text in ((1, removed), (2, added))
        for k in (1, 3)
        for h in signatures.mixed(signatures.ngrams(signatures.tokens(text), k) ^ np.uint64(mark))
    }
    wanted = signatures.signature(np.array(sorted(changes), dtype=np.uint64), 64)
    assert (edit.change_signature() == wanted).all()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=70), st.integers(1, 70))
def test_runs_are_polynomials(values: list[int], n: int) -> None:
    hashes = np.array(values, dtype=np.uint64)
    base = int(signatures.BASE)
    sums = [sum(h * base ** (n - 1 - j) for j, h in enumerate(values[i : i + n])) % 2**64
            for i in range(len(values) - n + 1)]  # fmt: skip
    expected = signatures.mixed(np.array(sums, dtype=np.uint64))
    assert (signatures.ngrams(hashes, n) == expected).all()


def test_equal_code_is_kept_once_whatever_its_white_space_at_line_ends() -> None:
    edits = [edit("a = 1 \nb\n", "a = 2\nb\n", "g1"), edit("a = 1\nb", "a = 2\nb", "g2")]
    decision = dedup.choose(keys_of(edits), 2.0)
    assert decision.reason.tolist() == [0, 1] and decision.because.tolist() == [-1, 0]


def test_edits_without_one_run_of_five_tokens_have_no_near_copies() -> None:
    """Their signatures are all the same."""
    edits = [edit(f"a{i}\n", f"b{i}\n", f"g{i}") for i in range(3)]
    assert dedup.choose(keys_of(edits), 0.7).reason.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("threshold", "reason"), [(1.0, 3), (1.01, 0)])
@pytest.mark.parametrize("groups", ["ab", "aa"])
def test_a_threshold_of_one_takes_what_differs_in_white_space_only(
    groups: str, threshold: float, reason: int
) -> None:
    code = "value = call(one, two, three, four)\n"
    edits = [
        edit(code.replace(", ", blank), code.replace("two", "2").replace(", ", blank), group)
        for group, blank in zip(groups, (", ", " ,"), strict=True)
    ]
    assert dedup.choose(keys_of(edits), threshold).reason.tolist() == [0, reason]


def test_what_is_no_number_is_not_kept_as_an_object(tmp_path: Path) -> None:
    columns = columns_of([edit("a\n", "b\n", "g")])
    with pytest.raises(ValueError, match="allow_pickle"):
        keytable.save(tmp_path / "k", {**columns, "ids": np.array([{}], dtype=object)})


def test_the_better_copy_is_kept() -> None:
    edits = [edit("a = 1\n", "a = 2\n", "g1"), edit("a = 1\n", "a = 2\n", "g2")]
    decision = dedup.choose(keys_of(edits, preference=np.array([5, 1], dtype=np.uint32)), 0.7)
    assert decision.reason.tolist() == [1, 0]


def test_two_edits_of_one_file_are_not_copies_but_the_same_edit_twice_is() -> None:
    lines = [f"value_{i} = compute({i}, {i * 7})" for i in range(60)]

    def changed(i: int) -> str:
        return "\n".join([*lines[:i], f"value_{i} = replaced(other_{i})", *lines[i + 1 :]])

    pre = "\n".join(lines)
    same_group = [edit(pre, changed(3), "repo"), edit(pre, changed(40), "repo")]
    assert dedup.choose(keys_of(same_group), 0.7).reason.tolist() == [0, 0]
    again = [edit(pre, changed(3), "repo"), edit(pre + "\nlast = 1", changed(3) + "\nlast = 1", "repo")]
    assert dedup.choose(keys_of(again), 0.7).reason.tolist() == [0, 3]
    # Of two repositories, either one would leak into the other's split.
    apart = [edit(pre, changed(3), "repo"), edit(pre, changed(40), "fork")]
    assert dedup.choose(keys_of(apart), 0.7).reason.tolist() == [0, 3]


def test_the_threshold_is_that_of_the_later_source() -> None:
    body = "".join(f"    step_{k} = load({k})\n" for k in range(20))
    edits = [
        edit(f"def f(x):\n{body}    return {i}\n", f"def f(x):\n{body}    yield {i}\n", f"g{i}")
        for i in (1, 2)
    ]
    keys = keys_of(edits, source=np.arange(2, dtype=np.uint32))
    for thresholds, reasons in (((2, 0.7), [0, 3]), ((0.7, 2), [0, 0])):
        assert dedup.choose(keys, np.array(thresholds, dtype=np.float64)).reason.tolist() == reasons


def test_a_commit_does_not_straddle_splits_nor_come_from_two_sources() -> None:
    edits = [edit(f"a = {i}{i}\n", f"b = {i}\n", f"g{i}", commit="abc") for i in range(3)]
    straddling = dedup.choose(keys_of(edits, splits=[0, 1, 0]), 0.7)
    assert straddling.reason.tolist() == [0, 4, 0]
    sources = np.array([0, 1, 0], dtype=np.uint32)
    assert dedup.choose(keys_of(edits, source=sources), 0.7).reason.tolist() == [0, 2, 0]
    seeded = np.array([False, True, False])
    assert dedup.choose(keys_of(edits, source=sources, seeded=seeded), 0.7).reason.tolist() == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=14))
def test_what_is_kept_is_consistent(rows: list[tuple[int, int, int]]) -> None:
    edits = [edit(f"x{code} = 1\n", f"x{code} = 2\n", f"g{group}", f"c{code % 3}") for code, group, _ in rows]
    if not edits:
        return
    splits = [group % 3 for _, group, _ in rows]
    source = np.array([s for *_, s in rows], dtype=np.uint32)
    decision = dedup.choose(keys_of(edits, splits=splits, source=source), 0.7)
    kept = [i for i in range(len(rows)) if decision.reason[i] == 0]
    assert len({edits[i].pre for i in kept}) == len(kept)
    for i in kept:
        for j in kept:
            same_commit = edits[i].metadata.commit == edits[j].metadata.commit
            assert not (same_commit and splits[i] != splits[j])
            assert not (same_commit and source[i] != source[j])
    for i in set(range(len(rows))) - set(kept):
        assert int(decision.because[i]) in kept


@given(st.text(max_size=80), st.text(max_size=80))
def test_tokens_do_not_depend_on_white_space_around_them(a: str, b: str) -> None:
    joined = signatures.tokens(f"{a} {b}")
    parts = np.concatenate((signatures.tokens(a), signatures.tokens(b)))
    assert (joined == parts).all() and joined.size == parts.size
    assert (signatures.tokens(f"  {a}\n\n\t{b} ") == parts).all()


def test_the_numbers_of_a_text_are_the_same_on_every_machine_and_in_every_version() -> None:
    """Saved keys and evaluation indexes hold them."""

    def short(values: Any) -> str:
        return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]

    words = signatures.tokens("a_1 é (")  # words of ASCII and of other bytes, and a sign
    assert [hex(int(one)) for one in words] == [
        "0x6a0953bc17c0843d", "0xcfd86bddbfe919f1", "0xfc4ef1bca27d1ed3",
    ]  # fmt: skip
    text = "def f(x):\n    return x_1 + 'é\x7f\x00'  # ok\n"  # two controls, which only separate
    runs = signatures.ngrams(signatures.tokens(text), signatures.SHINGLE)
    assert (signatures.tokens(text).size, runs.size, hex(int(runs[0]))) == (14, 10, "0x448eaef35714b434")
    edit = signatures.EditTokens(text, text.replace("+", "-"))
    code, n_shingles = edit.code_signature()
    assert (n_shingles, short(code)) == (15, "93b2eb491ed65681")
    assert short(edit.change_signature()) == "2df50d30121354b1"
    assert [hex(one) for one in edit.exact_key()] == ["0x35a08ac3073cdd7d", "0x8447656fe987227a"]
    bands = signatures.bands(np.stack([code, code]))
    assert (bands.shape, short(bands)) == ((42, 2), "cf48d083b6ebc639")


@pytest.mark.parametrize(
    ("license", "tags", "rank", "expected"),
    [("mit", [], 0, 0), ("mit", [], 9, 9), ("mit", ["instruction_fallback"], 0, 100), ("unknown", [], 3, 203),
     ("unknown", ["instruction_fallback"], 1, 301)],
)  # fmt: skip
def test_of_copies_a_known_license_counts_before_an_own_instruction_and_that_before_the_source(
    license: str, tags: list[str], rank: int, expected: int
) -> None:
    given = edit("a\n", "b\n", "g")
    metadata = given.metadata.model_copy(update={"license": license})
    record = given.model_copy(update={"tags": tags, "metadata": metadata})
    assert keytable.preference(record, rank) == expected


@given(st.lists(st.integers(0, 5), max_size=6))
def test_distinct_values_are_those_that_numpy_gives(values: list[int]) -> None:
    given = np.array(values, dtype=np.uint64)
    assert signatures.unique(given).tolist() == np.unique(given).tolist()


def test_distinct_words_have_distinct_hashes() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefgh_" for b in "0123456789ABCDEF" for c in range(500)]
    hashes = signatures.tokens(" ".join(words))
    assert hashes.size == len(words) == len(set(hashes.tolist()))


PROBLEM = {
    "full_name": "1_shop",
    "before": "class Shop:\n    def __init__(self, items):\n        self.items = items\n\n"
    "    def total(self):\n        return sum(item.price * item.count for item in self.items)\n",
    "after": "class Shop:\n    def __init__(self, items, tax):\n        self.items, self.tax = items, tax\n",
    "instruction_descriptive": "Add a tax to the shop beside items",  # eight words, the fewest that count
    "instruction_lazy": "add a tax to the shop now",
}


@pytest.fixture
def index(tmp_path: Path, lay: SimpleNamespace) -> EvaluationIndex:
    built = EvaluationIndex.build([lay.write(tmp_path / "eval.jsonl", [PROBLEM])])
    built.save(tmp_path / "i.npz")
    return EvaluationIndex.load(tmp_path / "i.npz")


FILLER = "".join(f"setting_{i} = read_{i}('{i}')\n" for i in range(60))


@pytest.mark.parametrize(
    ("instruction", "pre", "expected"),
    [
        ("Do it", PROBLEM["before"], "a side equals"),
        ("Do it", PROBLEM["before"].replace("    ", "\t"), "a side equals"),
        ("Do it", FILLER + PROBLEM["before"], "20 consecutive tokens"),
        ("Do it", "def total(self):\n    return sum(item.price * item.c)\n", "of its 13-token runs"),
        (PROBLEM["instruction_descriptive"].upper(), "x = 1\n", "the instruction is that of"),
        (PROBLEM["instruction_lazy"], "x = 1\n", None),
        ("Do it", FILLER, None),
    ],
)
def test_overlap_is_found(index: EvaluationIndex, instruction: str, pre: str, expected: str | None) -> None:
    found = index.check(instruction, signatures.EditTokens(pre, "y = 2\n").sides())
    if expected is None:
        assert found is None
    else:
        assert isinstance(found, Drop) and expected in found.detail and "1_shop" in found.detail


@pytest.mark.parametrize(
    ("n_shared", "n_own", "expected"),
    [
        (12, 0, None), (13, 400, Overlap), (19, 400, Overlap), (20, 400, Drop),  # runs of 13, and of 20
        (13, 9, Overlap), (13, 8, Drop),  # one run of ten, and of nine
    ],
)  # fmt: skip
def test_how_many_tokens_in_a_row_count(
    n_shared: int, n_own: int, expected: type | None, index: EvaluationIndex
) -> None:
    shared = re.findall(r"\w+|[^\w\s]", str(PROBLEM["before"]))[5 : 5 + n_shared]
    own = [f"own{i}" for i in range(n_own)]
    found = index.check("Do it", [signatures.tokens(" ".join([*shared, *own]))])
    assert found is None if expected is None else isinstance(found, expected)
    if isinstance(found, Overlap):
        assert found.n_runs == n_shared - 12


def test_a_side_of_fewer_than_eight_tokens_may_equal_another(tmp_path: Path, lay: SimpleNamespace) -> None:
    for text, expected in (("a = b + c + d", None), ("a = b + c + d;", Drop)):
        built = EvaluationIndex.build([lay.write(tmp_path / "e.jsonl", [{"pre": text, "id": "one"}])])
        found = built.check("Do it", [signatures.tokens(text)])
        assert found is None if expected is None else isinstance(found, expected)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"metadata": {"problem_name": "p", "id": "m"}, "full_name": "f", "id": "i"}, "eval:p"),
        ({"metadata": {"id": "m"}, "full_name": "f", "id": "i"}, "eval:f"),
        ({"metadata": {"id": "m"}, "id": "i"}, "eval:i"),
        ({"metadata": {"id": "m"}}, "eval:m"),
        ({"metadata": "m"}, "eval.jsonl:1"),
    ],
)
def test_a_problem_is_named_by_the_first_name_that_it_has(
    row: dict[str, Any], name: str, tmp_path: Path, lay: SimpleNamespace
) -> None:
    rows: list[Any] = []
    built = EvaluationIndex.build([lay.write(tmp_path / "eval.jsonl", [{"pre": "a", **row}])], rows.append)
    assert [one.removeprefix(f"{tmp_path}/") for one in built.names] == [name]
    assert rows == [{"pre": "a", **row}]


def test_of_two_problems_the_one_that_comes_first_in_the_text_is_named(
    tmp_path: Path, lay: SimpleNamespace
) -> None:
    texts = {name: " ".join(f"{name}_{i} = {i}" for i in range(9)) for name in ("one", "other")}
    rows = [{"id": name, "pre": text} for name, text in texts.items()]
    built = EvaluationIndex.build([lay.write(tmp_path / "e.jsonl", rows)])
    for names in (("one", "other"), ("other", "one")):
        found = built.check("Do it", [signatures.tokens(" ".join(texts[name] for name in names))])
        assert found == Drop("contaminated", f"20 consecutive tokens of e:{names[0]}")


def test_a_short_run_in_a_long_text_is_only_flagged(index: EvaluationIndex) -> None:
    pre = FILLER + "return sum(item.price * item.count for item in y)\n"
    found = index.check("Do it", signatures.EditTokens(pre, "y = 2\n").sides())
    assert isinstance(found, Overlap) and found.n_runs >= 1


def test_an_evaluation_set_without_code_is_refused(tmp_path: Path, lay: SimpleNamespace) -> None:
    with pytest.raises(UsageError, match="has no code column"):
        EvaluationIndex.build([lay.write(tmp_path / "x.jsonl", [{"question": "?"}])])
