"""Generated (rule, code) pairs on real code, and the comparison of engine and command line.

The engine's one promise is to equal `ast-grep scan -U`. Rules are cut from the code
itself (so that they match) and varied over everything a rule file can say; the code is
varied in line ends, tabs, non-ASCII text and suppression comments.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ast_grep_py import SgNode, SgRoot
from tests.engine import reference
from tests.engine.reference import Pair

from rulewright.actions.action import Action
from rulewright.engine.apply import apply
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.verdict import Outcome, Verdict

MAX_CODE_CHARS: Final = 12_000
_WORD: Final = re.compile(r"\w+")


@dataclass
class Comparison:
    """What comparing came to; `differences` must be empty."""

    counts: Counter[str] = field(default_factory=Counter)
    """Pairs per language, and per way they ended."""
    differences: list[tuple[Pair, str, str]] = field(default_factory=list)
    """Pair, what the engine gave, what the command line gave."""


def compare(pairs: Iterable[Pair], check_refused: int = 100) -> Comparison:
    """Apply every pair both ways.

    Args:
        pairs: with unique `rule_id`s.
        check_refused: how many of the rules that the engine refuses are shown to the
            command line too (one process each).
    """
    result = Comparison()
    taken: list[tuple[Pair, Outcome]] = []
    for pair in pairs:
        outcome = apply(Action(pair.language, (pair.rule,), ids=(pair.rule_id,)), pair.code, exact=True)
        result.counts[f"language {pair.language}"] += 1
        result.counts[str(outcome.verdict)] += 1
        if outcome.post is not None:
            taken.append((pair, outcome))
        elif outcome.verdict is Verdict.BAD_RULE and check_refused > 0:
            check_refused -= 1
            result.counts["refusals checked"] += 1
            wanted = reference.scan_single(pair)
            if wanted is not None:
                result.differences.append((pair, f"refused: {outcome.detail}", wanted))
    for (pair, outcome), wanted in zip(taken, _reference([pair for pair, _ in taken])):
        result.counts["compared"] += 1
        result.counts["edits"] += outcome.n_matches
        if outcome.post != wanted:
            result.differences.append((pair, outcome.post or "", wanted if wanted is not None else "refused"))
    return result


def _reference(pairs: Sequence[Pair]) -> Iterator[str | None]:
    """The command line's results; a batch with a refused rule is halved until it stands alone."""
    for start in range(0, len(pairs), reference.CHUNK):
        yield from _halving(pairs[start : start + reference.CHUNK])


def _halving(pairs: Sequence[Pair]) -> list[str | None]:
    try:
        return list(reference.scan_batch(pairs))
    except RulewrightError:
        if len(pairs) == 1:
            return [_alone(pairs[0])]
        middle = len(pairs) // 2
        return _halving(pairs[:middle]) + _halving(pairs[middle:])


def _alone(pair: Pair) -> str | None:
    try:
        return reference.scan_single(pair)
    except RulewrightError as error:
        return f"failed: {error.message}"


def generate(
    codes: Sequence[tuple[str, Language]], n: int, seed: int = 0, prefix: str = "g"
) -> Iterator[Pair]:
    """Make pairs from real code, the same for the same seed.

    Args:
        codes: texts and their languages, taken in turn; long ones are cut.
        n: how many pairs.
        seed: of all choices.
        prefix: of the rule ids.
    """
    rng = random.Random(seed)
    made = 0
    tries = 0
    while made < n and tries < 20 * n + 100:
        code, language = codes[tries % len(codes)]
        tries += 1
        code = _vary(_cut(code, rng), language, f"{prefix}{made}", rng)
        rule = _Maker(code, language, rng).rule()
        if rule is not None:
            yield Pair(rule, language, code, f"{prefix}{made}")
            made += 1


def _cut(code: str, rng: random.Random) -> str:
    if len(code) <= MAX_CODE_CHARS:
        return code
    start = code.find("\n", rng.randrange(len(code) - MAX_CODE_CHARS)) + 1
    return code[start : code.rfind("\n", start, start + MAX_CODE_CHARS) + 1]


_COMMENT: Final[dict[str, str]] = {"python": "#", "ruby": "#"}


def _vary(code: str, language: Language, rule_id: str, rng: random.Random) -> str:
    """Other line ends, tabs, characters and comments, one variation for three texts of four."""
    mark = _COMMENT.get(language, "//")
    match rng.randrange(12):
        case 0:
            return code.replace("\r\n", "\n").replace("\n", "\r\n")
        case 1:
            return code.replace("    ", "\t")
        case 2:
            return f"{mark} émoji 😀 中文\n{code}"
        case 3:
            return _WORD.sub(lambda m: m.group() + "é" if rng.random() < 0.02 else m.group(), code)
        case 4:
            return code.rstrip("\n")
        case 5 | 6 | 7:
            return _with_suppressions(code, mark, rule_id, rng)
        case 8:
            return re.sub(r"\n\n", lambda m: "\n   \n" if rng.random() < 0.3 else m.group(), code)
    return code


def _with_suppressions(code: str, mark: str, rule_id: str, rng: random.Random) -> str:
    lines = code.split("\n")
    for _ in range(rng.randrange(1, 12)):
        at = rng.randrange(len(lines))
        ids = rng.choice(["", "", f": {rule_id}", ": other", f": other, {rule_id}", " : x", " because"])
        comment = f"{mark} ast-grep-ignore{ids}"
        if rng.random() < 0.5:
            lines.insert(at, rng.choice(["", "    "]) + comment)
        else:
            lines[at] += f"  {comment}"
    if rng.random() < 0.15:
        lines[:0] = [f"{mark} ast-grep-ignore{rng.choice(['', f': {rule_id}', ': other'])}", ""]
    return "\n".join(lines)


class _Maker:
    """Cuts one rule out of one text."""

    def __init__(self, code: str, language: Language, rng: random.Random) -> None:
        self._code, self._language, self._rng = code, language, rng
        self._root = SgRoot(code, language).root()
        self._vars: list[str] = []
        self._lists: list[str] = []

    def rule(self) -> dict[str, Any] | None:
        nodes = [node for node in _walk(self._root) if node.is_named() and 2 < len(node.text()) < 400]
        if not nodes:
            return None
        rng = self._rng
        node = rng.choice(nodes)
        made: dict[str, Any] = {"rule": self._matcher(node)}
        if rng.random() < 0.15:
            made["utils"] = {
                "u": {"kind": node.kind()},
                "v": {"any": [{"matches": "u"}, {"kind": node.kind()}]},
            }
            made["rule"]["matches"] = rng.choice(["u", "v"])
        if self._vars and rng.random() < 0.2:
            made["constraints"] = {rng.choice(self._vars): self._constraint()}
        names = list(self._vars)
        if (self._vars or self._lists) and rng.random() < 0.4:
            made["transform"] = self._transforms(made, node)
            names += list(made["transform"])
        made["fix"] = self._fix(names, node)
        return made

    def _matcher(self, node: SgNode) -> dict[str, Any]:
        rng = self._rng
        kind = node.kind()
        match rng.randrange(12):
            case 0:
                parent = node.parent()
                rule: dict[str, Any] = {"kind": kind}
                children = [child for child in node.children() if child.is_named()]
                if children and rng.random() < 0.7:
                    self._vars.append("A")
                    rule["has"] = {"pattern": "$A", "kind": rng.choice(children).kind(), **self._stop()}
                if parent is not None and rng.random() < 0.5:
                    rule["inside"] = {"kind": parent.kind(), **self._stop()}
                return rule
            case 1:
                return {"pattern": {"context": self._pattern(node), "selector": kind}}
            case 2:
                strictness = rng.choice(["cst", "smart", "ast", "relaxed", "signature", "template"])
                return {"pattern": {"context": self._pattern(node), "strictness": strictness}}
            case 3:
                return {
                    "any": [
                        {"pattern": self._pattern(node)},
                        {"kind": kind, "regex": rng.choice(["a", "^.{4,9}$", r"\d"])},
                    ]
                }
            case 4:
                return {
                    "all": [
                        {"pattern": self._pattern(node)},
                        {"not": {"regex": rng.choice(["zz", "[aeiou]{3}", "^x"])}},
                    ]
                }
            case 5:
                return {
                    "kind": kind,
                    "nthChild": rng.choice([1, 2, "2n", "odd", {"position": 1, "reverse": True}]),
                }
            case 6:
                relation = rng.choice(["follows", "precedes"])
                return {"kind": kind, relation: {"pattern": self._sibling(node, relation), **self._stop()}}
            case 7:
                parent = node.parent()
                return {"kind": f"{parent.kind()} > {kind}" if parent is not None else kind}
        return {"pattern": self._pattern(node)}

    def _sibling(self, node: SgNode, relation: str) -> str:
        near = node.prev() if relation == "follows" else node.next()
        return near.text() if near is not None and near.is_named() and len(near.text()) < 200 else "$S"

    def _stop(self) -> dict[str, Any]:
        return self._rng.choice([{}, {"stopBy": "end"}, {"stopBy": "neighbor"}])

    def _pattern(self, node: SgNode) -> str:
        """The node's text with some parts as variables."""
        rng = self._rng
        base = node.range().start.index
        cuts: list[tuple[int, int, str]] = []
        for child in _walk(node):
            if child == node or not child.is_named() or rng.random() > 0.35:
                continue
            span = child.range()
            start, end = span.start.index, span.end.index
            siblings = [one for one in child.next_all() if one.is_named()]
            if rng.random() < 0.2 and siblings:
                end = siblings[-1].range().end.index
                name = rng.choice(["$$$", "$$$L", "$$$M", "$$$_X"])
            else:
                name = rng.choice(["$A", "$B", "$C", "$_", "$_X", "$$D"])
            if end > start and not any(start < high and low < end for low, high, _ in cuts):
                cuts.append((start, end, name))
            if len(cuts) >= 4:
                break
        text = node.text()
        for start, end, name in sorted(cuts, reverse=True):
            text = text[: start - base] + name + text[end - base :]
            bare = name.lstrip("$")
            if bare and not bare.startswith("_"):
                (self._lists if name.startswith("$$$") else self._vars).append(bare)
        self._vars, self._lists = sorted(set(self._vars)), sorted(set(self._lists))
        return text

    def _constraint(self) -> dict[str, Any]:
        return self._rng.choice([{"regex": "[a-m]"}, {"regex": "^.{1,8}$"}, {"not": {"regex": "^_"}}])

    def _transforms(self, made: dict[str, Any], node: SgNode) -> dict[str, Any]:
        rng = self._rng
        transforms: dict[str, Any] = {}
        for name in rng.sample(["T", "U", "V"], rng.randrange(1, 4)):
            sources = [f"${one}" for one in self._vars] + [f"$$${one}" for one in self._lists]
            sources += [f"${one}" for one in transforms if rng.random() < 0.5]
            source = rng.choice(sources)
            if rng.random() < 0.3:
                made.setdefault("rewriters", self._rewriters(node))
                names = [one["id"] for one in made["rewriters"]]
                transforms[name] = {"rewrite": {"source": source, "rewriters": names}}
                if rng.random() < 0.5:
                    transforms[name]["rewrite"]["joinBy"] = rng.choice([", ", "", "\n", " + "])
            else:
                transforms[name] = self._transform(source)
        return transforms

    def _transform(self, source: str) -> Any:
        rng = self._rng
        case = rng.choice(
            ["lowerCase", "upperCase", "capitalize", "camelCase", "snakeCase", "kebabCase", "pascalCase"]
        )
        separators = rng.sample(
            ["caseChange", "dash", "dot", "slash", "space", "underscore"], rng.randrange(1, 4)
        )
        return rng.choice(
            [
                {"substring": {"source": source, "startChar": rng.randrange(-4, 4),
                               "endChar": rng.randrange(-3, 9)}},
                f"substring({source}, startChar={rng.randrange(-3, 4)})",
                {"replace": {"source": source,
                             "replace": rng.choice(["[aeiou]", r"(\w+)", "^.", r"\s+", "x"]),
                             "by": rng.choice(["", "Z", "$1$1", "${1}_", "\n  "])}},
                f"replace({source}, replace='[a-c]', by='_')",
                {"convert": {"source": source, "toCase": case}},
                {"convert": {"source": source, "toCase": case, "separatedBy": separators}},
                f"convert({source}, toCase={case}, separatedBy=[{', '.join(separators)}])",
            ]
        )  # fmt: skip

    def _rewriters(self, node: SgNode) -> list[dict[str, Any]]:
        rng = self._rng
        inner = [one for one in _walk(node) if one.is_named()]
        rewriters: list[dict[str, Any]] = []
        for number in range(rng.randrange(1, 3)):
            one = rng.choice(inner)
            if rng.random() < 0.5:
                rewriters.append(
                    {"id": f"w{number}", "rule": {"kind": one.kind()}, "fix": rng.choice(["W", "W\n  w", ""])}
                )
            else:
                name = rng.choice(["P", "Q"])
                rule = {"kind": one.kind(), "pattern": f"${name}"}
                fix: Any = rng.choice([f"<${name}>", f"f(\n  ${name},\n)", f"${name}"])
                if rng.random() < 0.2:
                    fix = {"template": fix, "expandEnd": {"regex": ","}}
                rewriters.append({"id": f"w{number}", "rule": rule, "fix": fix})
                if rng.random() < 0.3:
                    rewriters[-1]["transform"] = {"N": self._transform(f"${name}")}
                    rewriters[-1]["fix"] = "$N"
        return rewriters

    def _fix(self, names: Sequence[str], node: SgNode) -> Any:
        rng = self._rng
        slots = [f"${name}" for name in names] + [f"$$${name}" for name in self._lists]
        parts: list[str] = []
        for _ in range(rng.randrange(0, 5)):
            parts.append(
                rng.choice(
                    [
                        "x",
                        "(",
                        ")",
                        "\n",
                        "\n  ",
                        "\n    ",
                        "\n\n",
                        "\n\t",
                        " ",
                        "$lower",
                        "$1",
                        "é",
                        ";",
                        "  ",
                    ]
                )
            )
            if slots:
                parts.append(rng.choice(slots))
        template = "".join(parts)
        if rng.random() < 0.1:
            template = node.text()
            template = template.replace("$", "")
        match rng.randrange(10):
            case 0:
                expand: dict[str, Any] = {"template": template}
                for key in ("expandStart", "expandEnd"):
                    if rng.random() < 0.6:
                        expand[key] = rng.choice(self._expansions(node))
                return expand
            case 1:
                return [{"template": template, "title": "one"}, {"template": "two", "title": "two"}]
        return template

    def _expansions(self, node: SgNode) -> list[dict[str, Any]]:
        following, previous = _kind(node.next()), _kind(node.prev())
        return [
            {"regex": "^,$"}, {"regex": "^[,;]$", "stopBy": "end"}, {"kind": following}, {"kind": previous},
            {"kind": following, "stopBy": "end"}, {"regex": ".", "stopBy": {"regex": "^,$"}},
            {"kind": previous, "stopBy": {"kind": following}},
        ]  # fmt: skip


def _kind(node: SgNode | None) -> str:
    return node.kind() if node is not None and node.is_named() else "ERROR"


def _walk(root: SgNode) -> Iterator[SgNode]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children())
