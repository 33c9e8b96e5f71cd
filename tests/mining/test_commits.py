"""Files of one commit are mined together: a rule that several of them share comes before their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rulewright.mining.inputs import EditRow
from rulewright.mining.learn.commit import mine_commit
from rulewright.mining.learn.corpus import MAX_TOGETHER, Known, changes, known_files, mine_stream


def edit(number: int, pre: str, post: str, commit: str = "c", **more: Any) -> EditRow:
    extra = {"commit": commit} if commit else {}
    return EditRow(
        f"e{number}", "repo", more.pop("language", "python"), "", pre, post,
        path=f"{number}.py", extra=extra, **more,
    )  # fmt: skip


def mined(*edits: EditRow, known: Known | None = None) -> list[dict[str, Any]]:
    return list(mine_stream(changes(edits), known or {}, 2.0, 1))


def rest(*files: tuple[str, str, str]) -> Known:
    """Other files of the repository: path, group, text."""
    return {("repo", "python"): files}


def renamed(number: int, **more: Any) -> EditRow:
    return edit(number, f"x = fetch_all({number})\n", f"x = fetch({number})\n", **more)


def odd(number: int, **more: Any) -> EditRow:
    return edit(number, f"y = limit_{number}\n", f"y = bound_{number}\n", **more)


def test_what_two_files_of_a_commit_do_alike_is_their_rule() -> None:
    first, second = mined(renamed(1), renamed(2))
    assert [one["reason"] for one in (first, second)] == ["shared by 2 files of its commit"] * 2
    assert first["rules"] == second["rules"] and first["tier"] == "train"
    assert first["figures"]["support"] == 2
    assert {one["reason"] for one in mined(renamed(1), renamed(2), renamed(3))} == {
        "shared by 3 files of its commit"
    }


def test_files_that_hold_other_names_at_the_same_place_share_a_rule() -> None:
    """What stands around a change is read in the file that the rule was learned from."""
    names = ("UsageError", "Problem")
    before = [f"from pkg.errors import {name}\n\nraise {name}\n" for name in names]
    both = [edit(i, pre, f"from pkg.config import Section\n{pre}") for i, pre in enumerate(before)]
    for change in (both, both[::-1]):
        for found in mined(*change):
            assert found["rules"][0]["rule"] == {"pattern": "from pkg.errors import $A"}
            assert found["reason"] == "shared by 2 files of its commit"


def test_a_fault_of_the_miner_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(examples: Sequence[Any], *rest: Any) -> Any:
        if "bound_3" in examples[0].post:
            raise IndexError("list index out of range")
        return mine_commit(examples, *rest)

    monkeypatch.setattr("rulewright.mining.learn.corpus.mine_commit", faulty)
    found = mined(renamed(1), renamed(2), odd(3, commit="d"), odd(4, commit="d"))
    assert [one["tier"] for one in found] == ["train", "train", "reject", "reject"]
    assert all(
        "fault of the miner, please report: IndexError at test_commits.py:" in f["reason"] for f in found[2:]
    )


def test_files_of_two_commits_or_two_languages_share_nothing() -> None:
    for one, two in (
        (renamed(1), renamed(2, commit="d")),
        (renamed(1, commit=""), renamed(2, commit="")),
        (renamed(1), renamed(2, language="ruby")),
    ):
        assert not any("shared" in found["reason"] for found in mined(one, two))


@pytest.mark.parametrize(("n", "groups"), [(12, [12]), (13, [12, 1]), (25, [12, 12, 1])])
def test_so_many_files_of_a_commit_are_mined_at_a_time(n: int, groups: list[int]) -> None:
    assert MAX_TOGETHER == 12
    assert [len(part) for part in changes(renamed(i) for i in range(n))] == groups
    assert [
        len(part)
        for part in changes([renamed(1, commit="a"), renamed(2, commit="b"), renamed(3, commit="b")])
    ] == [1, 2]


def test_a_file_that_says_something_else_is_mined_by_itself() -> None:
    *shared, other = mined(renamed(1), renamed(2), odd(3))
    assert all("shared by 2" in one["reason"] for one in shared)
    assert "shared" not in other["reason"] and "limit_3" in str(other["rules"])


def test_a_file_of_a_large_commit_counts_only_with_others() -> None:
    *shared, other = mined(renamed(1, alone=False), renamed(2, alone=False), odd(3, alone=False))
    assert all("shared by 2" in one["reason"] for one in shared)
    assert (other["tier"], other["rules"]) == ("reject", [])
    assert other["reason"] == "shares no rule with another file of its commit"


def test_a_file_that_does_more_than_the_others_is_not_explained_by_them() -> None:
    more = edit(3, "x = fetch_all(3)\ny = limit_3\n", "x = fetch(3)\ny = bound_3\n", alone=False)
    *shared, last = mined(renamed(1), renamed(2), more)
    assert all("shared" in one["reason"] for one in shared)
    assert last["rules"] == [] or len(last["rules"]) == 2


def test_a_shared_rule_that_matches_much_of_the_rest_is_literal() -> None:
    first, _ = mined(renamed(1), renamed(2), known=rest(("other.py", "", "fetch_all(0)\n" * 9)))
    assert first["tier"] == "literal" and "matches 9 other places of the repository" in first["reason"]
    assert first["figures"]["matches_elsewhere"] == 9
    quiet = rest(("other.py", "", "fetch_all(0)\n"))
    assert mined(renamed(1), renamed(2), known=quiet)[0]["tier"] == "train"


def test_the_rest_of_a_repository_is_neither_the_edit_nor_its_commit_nor_its_group() -> None:
    text = "fetch_all(0)\n" * 9
    for path, group, own, counted in (
        ("1.py", "", "", False), ("2.py", "", "", False), ("3.py", "", "", True), ("3.py", "g", "g", True),
    ):  # fmt: skip
        first = mined(renamed(1, group=own), renamed(2, group=own), known=rest((path, group, text)))[0]
        assert bool(first["figures"]["matches_elsewhere"]) is counted, (path, group)
    several = rest(("3.py", "g", text), ("4.py", "h", "pass\n"))
    assert mined(renamed(1, group="g"), renamed(2, group="g"), known=several)[0]["tier"] == "train"
    same = rest(("3.py", "", renamed(1).pre))
    assert not mined(renamed(1), renamed(2), known=same)[0]["figures"]["matches_elsewhere"]


def test_the_rest_is_a_draw_that_the_order_of_the_edits_does_not_change() -> None:
    rows = [renamed(i) for i in range(20)]
    drawn = known_files(rows, 5, seed=0)
    assert known_files(reversed(rows), 5, seed=0) == drawn
    assert known_files(rows, 5, seed=1) != drawn
    assert [len(files) for files in drawn.values()] == [5] and known_files(rows, 0, seed=0) == {}
    assert known_files(rows, 4, seed=0)["repo", "python"] == drawn["repo", "python"][1:]
    both = known_files([*rows, renamed(1, language="ruby")], 30, seed=0)
    assert {key: len(files) for key, files in both.items()} == {("repo", "python"): 20, ("repo", "ruby"): 1}
