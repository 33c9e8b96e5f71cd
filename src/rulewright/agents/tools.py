"""The tools, built on the same file walker, engine, miner and rule checks as the commands.

They run in a worker process (`agents.worker`), so a rule that crashes the engine, or a call that takes
too long, ends only that process. Only `apply_rule` writes, and only below the write roots.
"""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, get_type_hints

from rulewright import console, difftext
from rulewright.actions import Action, Rejection, render_rules
from rulewright.actions.rule_file import Document, joined, read_given
from rulewright.agents import schemas
from rulewright.agents.roots import Roots
from rulewright.asking import Rounds
from rulewright.codemod.candidates import propose, why_none_holds
from rulewright.codemod.choose import Chooser, narrow
from rulewright.codemod.offer import offer_learned, rule_text
from rulewright.codemod.show import diff as file_diff
from rulewright.codemod.work import JudgedFile, JudgeOptions, Work, action_for, check, nearest, work_on
from rulewright.codemod.write import drop_unwritable, write
from rulewright.engine import checks, no_match, places, project, walk
from rulewright.engine.apply import trace
from rulewright.engine.judge import judge_trace
from rulewright.errors import RulewrightError, UsageError, few
from rulewright.generation.base import Generator
from rulewright.generation.open import GeneratorConfig
from rulewright.languages import normalize_language, suffix_of
from rulewright.mining.by_hand import diffs
from rulewright.mining.by_hand.learn import learn
from rulewright.replacing import read_text
from rulewright.rule_audit import audit_all, finding_rows
from rulewright.verdict import Outcome, Verdict

FILE_DEADLINE_S: Final = 10.0
LEARN_BUDGET_S: Final = 2.0
_NEXT: Final[dict[str, str]] = {
    "ok": "look at the places; then apply_rule without `write` shows the whole diff",
    "no_match": "read `nearest`, change that part of the rule, and verify again",
    "no_change": "the rule has no `fix`, or one that gives back what it matched: change the fix",
    "bad_rule": "`why` says what ast-grep refuses: correct it and verify again",
    "lossy": "bind the lost code with a variable ($A, $$$A) and use it in the fix, or match less",
    "degenerate": "match the smallest node that changes, and capture the rest",
    "syntax_error": "look at the diff: the fix must be complete code where the match stood",
    "wrong_result": "compare the diff with what was expected; if the rule does half of it, add a second rule",
}
_TOUCHES: Final = "it changes texts that must stay: narrow it by constraints, inside, not or kind"


@dataclass(frozen=True)
class ServerContext:
    """What all tools of one server share."""

    roots: Roots
    model: GeneratorConfig | None = None

    @cached_property
    def generator(self) -> Generator:
        """The model, loaded on first use.

        Raises:
            UsageError: none is configured.
        """
        from rulewright.generation import open_generator

        if self.model is None:
            raise UsageError(
                "this server has no model", "write the rule yourself, or start the server with --model"
            )
        return open_generator(self.model)


class Tool(NamedTuple):
    """A tool: how it is listed, and how it is run."""

    description: str
    run: Callable[[ServerContext, Any], schemas.Reply]
    writes: bool = False

    @property
    def arguments(self) -> type[schemas.Arguments]:
        found: type[schemas.Arguments] = get_type_hints(self.run)["arguments"]
        return found

    @property
    def answer(self) -> type[schemas.Reply]:
        found: type[schemas.Reply] = get_type_hints(self.run)["return"]
        return found


def find(context: ServerContext, arguments: schemas.FindArguments) -> schemas.FindAnswer:
    """List where a rule matches."""
    documents = _documents(context, arguments.rule)
    check(documents)
    walked = walk.find(context.roots.resolve_all(arguments.paths), documents)
    found: list[schemas.MatchRow] = []
    total = n_files = 0
    for file in (one for one in walked.files if one.may_match):
        try:
            text = read_text(file.path)
        except UsageError as error:
            walked.named.append((file.path, error.message.partition(": ")[2]))
            continue
        nodes = [node for n in file.documents for node in places.matches(documents[n].action, text)]
        total, n_files = total + len(nodes), n_files + bool(nodes)
        found += [
            schemas.MatchRow(path=str(file.path), line=node.range().start.line + 1, text=_cut(node.text()))
            for node in nodes[: arguments.limit - len(found)]
        ]
    return schemas.FindAnswer(
        matches=found, left_out=total - len(found), total=total, files_with_matches=n_files,
        files=len(walked.files), skipped=_lines(walked.left_out()),
    )  # fmt: skip


def verify_rule(context: ServerContext, arguments: schemas.VerifyArguments) -> schemas.VerifyAnswer:
    """Try a rule on code or files, and judge it."""
    if not arguments.code and not arguments.paths:
        raise UsageError("there is no code to try the rule on", "give `code`, or `paths`")
    if arguments.expected is not None and not arguments.code:
        raise UsageError("there is no code that must become `expected`", "give `code`")
    documents = _documents(context, arguments.rule)
    action = _for_text(documents)
    try:
        check(documents)
    except RulewrightError as error:
        return _verified(Outcome(Verdict.BAD_RULE, error.message.removeprefix(f"{Verdict.BAD_RULE}: ")))
    shown: list[schemas.PlaceRow] = []
    outcome = Outcome(Verdict.OK)
    lost = nearest = diff = ""
    if arguments.code:
        outcome, lost, nearest, diff = _tried(action, arguments.code, arguments.expected)
        shown += [_place("", one) for one in places.of(action, arguments.code)]
    touched = [n for n, text in enumerate(arguments.leave_alone) if places.of(action, text)]
    files: Counter[str] = Counter()
    failures: list[schemas.FailedFile] = []
    if arguments.paths:
        work = work_on(
            context.roots.resolve_all(arguments.paths),
            documents,
            JudgeOptions(deadline_s=FILE_DEADLINE_S, listed=True),
        )
        files.update(str(one.outcome.verdict) for one in work.judged)
        failures = _failures(work.failed)
        for one in work.good:
            shown += [_place(str(one.path), place) for place in work.places(one)]
        if outcome.ok and (work.failed or not work.good):
            worst = next(iter(work.failed or work.judged), None)
            outcome = worst.outcome if worst else Outcome(Verdict.NO_MATCH, "no file is of its language")
            if worst and outcome.verdict is Verdict.NO_MATCH:
                reason = no_match.explain(action_for(worst.found, documents), read_text(worst.path))
                nearest = f"{worst.path}: {reason}"
    listed = shown[: arguments.limit]
    return _verified(
        outcome, lost=lost, nearest=nearest, places=listed, left_out=len(shown) - len(listed),
        total=len(shown), diff=diff, touched=touched, files=dict(files), failures=failures,
    )  # fmt: skip


def _tried(action: Action, code: str, expected: str | None) -> tuple[Outcome, str, str, str]:
    """The judgment on one text, what is lost, why nothing matches, and the diff."""
    done = trace(action, code)
    outcome = judge_trace(done, code, expected)
    lost = checks.lossy(done.steps) if done.steps else ""
    nearest = no_match.explain(action, code) if outcome.verdict is Verdict.NO_MATCH else ""
    diff = difftext.shown(code, outcome.post)
    return outcome, lost, nearest, _cut(diff, schemas.DIFF_CHARS)


def _verified(outcome: Outcome, **facts: Any) -> schemas.VerifyAnswer:
    touches = outcome.ok and bool(facts.get("touched"))
    step = _NEXT.get(outcome.verdict, "change the rule and verify again")
    return schemas.VerifyAnswer(
        holds=outcome.ok and not touches, verdict=str(outcome.verdict),
        why=_cut(outcome.detail, schemas.REASON_CHARS), next=_TOUCHES if touches else step, **facts,
    )  # fmt: skip


def learn_rule(context: ServerContext, arguments: schemas.LearnArguments) -> schemas.LearnAnswer:
    """Learn rules from a change made by hand, and list where else they apply."""
    if bool(arguments.diff) == bool(arguments.before or arguments.after):
        raise UsageError(
            "expected exactly one change", "give `diff`, or `before` and `after` with `language`"
        )
    left: list[str] = []
    if arguments.diff:
        changes, left = diffs.read(arguments.diff, context.roots.resolve)
    else:
        language = normalize_language(arguments.language) if arguments.language else "other"
        if language == "other":
            raise UsageError(
                f"language '{arguments.language}': not known", "name one: python, typescript, go, …"
            )
        file = Path(f"before{suffix_of(language)}")
        changes = [diffs.Change(file, language, arguments.before, arguments.after, now=arguments.before)]
    learned = learn(changes, LEARN_BUDGET_S)
    rules = [
        schemas.RuleWithTrust(rule=render_rules(one.document.action), trust=one.tier, why=one.reason)
        for one in learned.rules
    ]
    rows: list[schemas.PlaceRow] = []
    if arguments.paths:
        paths = context.roots.resolve_all(arguments.paths)
        work = work_on(paths, learned.documents, JudgeOptions(deadline_s=FILE_DEADLINE_S, listed=True))
        rows = _offered(offer_learned(work, learned).listing())
    step = "not all rules are trusted elsewhere: write them more generally by hand, verify_rule, then apply"
    if all(one.trust == "train" for one in rules):
        step = "look at the places; verify_rule with the rules and other code, then apply_rule"
    return schemas.LearnAnswer(
        rules=rules, not_expressed=_lines([*learned.problems, *left]), next=step,
        **_shortened(rows, arguments.limit),
    )  # fmt: skip


def propose_rule(context: ServerContext, arguments: schemas.ProposeArguments) -> schemas.ProposeAnswer:
    """Ask the configured model for a rule, and judge it on files."""
    sample = context.roots.resolve(arguments.file)
    if not sample.is_file():
        raise UsageError(
            f"{arguments.file}: is not a file", "name one source file that contains such a place"
        )
    paths = context.roots.resolve_all(arguments.paths or [arguments.file])
    plan = Rounds(arguments.samples, arguments.attempts)
    done, trial = propose(
        context.generator, plan, arguments.instruction, read_text(sample), sample, paths, FILE_DEADLINE_S
    )
    found = trial.candidates(done)
    if not found:
        hint = "say it more precisely, name a file with a plainer case, or write the rule yourself"
        raise RulewrightError(why_none_holds(done, sample), hint)
    best, *others = found
    told = [
        schemas.OtherRule(rule=rule_text(one.documents), votes=one.votes, differs=one.differs(best))
        for one in others[: schemas.FAILURES]
    ]
    return schemas.ProposeAnswer(
        rule=rule_text(best.documents), votes=best.votes, answers=len(done.tried), others=told,
        tokens=done.spent.prompt_tokens + done.spent.answer_tokens,
        next="read the places: that a rule holds is no proof that it is what was asked for; then apply_rule",
        **_shortened(_offered(best.listed), arguments.limit),
    )  # fmt: skip


def apply_rule(context: ServerContext, arguments: schemas.ApplyArguments) -> schemas.ApplyAnswer:
    """Show what a rule changes in files; with `write`, change them."""
    paths = context.roots.resolve_all(arguments.paths)
    if arguments.write:
        # The name as it was given: one behind a link is refused although its real path may be allowed.
        context.roots.check_write(context.roots.home / name for name in arguments.paths)
    documents = _documents(context, arguments.rule)
    work = work_on(paths, documents, JudgeOptions(deadline_s=FILE_DEADLINE_S))
    chooser = Chooser(tuple(arguments.only))
    if chooser.active:
        narrow(work, chooser)
    barred = drop_unwritable(work) if arguments.write else []
    good = [one for one in work.good if one.changes]
    n_places = sum(one.outcome.n_matches for one in good)
    refusal = _why_not(
        arguments, n_places, len(work.failed) + len(barred), chooser.unmatched() if chooser.active else []
    )
    if not any("fix" in rule for one in documents for rule in one.action.rules):
        refusal = "the rule has no `fix`, so it changes nothing: add one, or list its places with find"
    written = bool(arguments.write and good and not refusal)
    if written:
        context.roots.check_write(one.path for one in good)
        refused = _write(work, good, arguments.all_or_nothing)
        good = [one for one in good if one.path not in refused]
    diff = "\n".join(file_diff(one, False) for one in good)
    return schemas.ApplyAnswer(
        written=written, places=n_places, files=[str(one.path) for one in good[: schemas.FILES]],
        files_left_out=max(0, len(good) - schemas.FILES), diff=_cut(diff, schemas.DIFF_CHARS),
        failures=_failures(work.failed), failures_left_out=max(0, len(work.failed) - schemas.FAILURES),
        skipped=_lines(work.walk.left_out()), next=refusal or _after(written, bool(good), bool(work.failed)),
    )  # fmt: skip


def _why_not(arguments: schemas.ApplyArguments, n_places: int, failed: int, unmet: Sequence[str]) -> str:
    """Why nothing is written although it may have been asked for; empty if nothing prevents it."""
    if unmet:
        return f"the rule changes nothing at {few(unmet, 5)}: name lines as the diff shows them"
    if arguments.all_or_nothing and failed:
        return f"nothing was written: {console.plural(failed, 'file')} failed; see `failures` and `skipped`"
    if arguments.write and arguments.expect_places not in (None, n_places):
        count = console.plural(n_places, "place")
        return f"nothing was written: {count}, not {arguments.expect_places}: look at the diff again"
    return ""


def _after(written: bool, any_good: bool, any_failed: bool) -> str:
    """What to do next after a call of apply_rule that nothing prevented."""
    if not any_good:
        return "nothing to change: explain_no_match says why" if not any_failed else "see `failures`"
    if written:
        return "run the tests of the project; files in `failures` are as they were"
    return "a dry run: with write=true and expect_places the files are changed"


def _write(work: Work, good: Sequence[JudgedFile], whole: bool) -> set[Path]:
    """Write files; returns those that could not be written.

    A call that is cancelled meanwhile is not stopped between two files.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return {path for path, _ in write(work, good, whole)}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def explain_no_match(context: ServerContext, arguments: schemas.ExplainArguments) -> schemas.ExplainAnswer:
    """Explain which part of a rule excludes all code, and which code comes nearest."""
    documents = _documents(context, arguments.rule)
    check(documents)
    texts: list[tuple[str, Action, str]] = []
    if arguments.code:
        texts.append(("", _for_text(documents), arguments.code))
    n_more = 0
    if arguments.paths:
        # Files where ast-grep sees a match come first: where there is one, that is the answer.
        files = walk.find(context.roots.resolve_all(arguments.paths), documents).files
        files = sorted(files, key=lambda one: not one.may_match)
        if files and files[0].may_match:
            chosen = [(file, read_text(file.path)) for file in files[: schemas.FAILURES]]
        else:
            chosen = nearest(files, documents, schemas.FAILURES)
        texts += [(str(file.path), action_for(file, documents), text) for file, text in chosen]
        n_more = len(files) - len(chosen)
    if not texts:
        raise UsageError("no code to look at", "give `code`, or `paths` with files of the rule's language")
    reasons = [
        schemas.NoMatchReason(path=path, why=_cut(no_match.explain(action, text), schemas.REASON_CHARS))
        for path, action, text in texts
    ]
    return schemas.ExplainAnswer(
        matches=any(not one.why for one in reasons), reasons=reasons, left_out=n_more
    )


def check_rules(context: ServerContext, arguments: schemas.CheckArguments) -> schemas.CheckAnswer:
    """Audit rules."""
    if bool(arguments.rules) == bool(arguments.paths):
        raise UsageError("expected rules, either as text or as paths", "give `rules` as YAML, or `paths`")
    against = context.roots.resolve_all(arguments.against)
    with tempfile.TemporaryDirectory(prefix="rulewright-") as folder:
        given = context.roots.resolve_all(arguments.paths)
        if arguments.rules:
            given = [Path(folder) / "rules.yml"]
            given[0].write_text(arguments.rules, encoding="utf-8")
        try:
            audited = [
                one
                for one in audit_all(given, against)
                if arguments.rules or context.roots.may_read(one.path)
            ]
        except UsageError as error:
            message = error.message.replace(str(Path(folder) / "rules.yml"), "rules")
            raise UsageError(message, error.hint) from error
        rows = finding_rows(audited)
    if arguments.rules:
        rows = [{**row, "path": ""} for row in rows]
    found = [
        schemas.FindingRow(**{**row, "detail": _cut(row["detail"], schemas.REASON_CHARS)})
        for row in rows[: arguments.limit]
    ]
    return schemas.CheckAnswer(
        rules=sum(bool(one.id) for one in audited), findings=found, left_out=len(rows) - len(found),
        levels=dict(Counter(row["level"] for row in rows)),
    )  # fmt: skip


def _documents(context: ServerContext, text: str) -> tuple[Document, ...]:
    """Parse the rules of a client, with the utility rules of the surrounding project."""
    try:
        read = read_given(text, complete=project.completer(None, context.roots.contains))
    except project.NotAlone as error:
        raise RulewrightError(str(error), "write that utility rule into `utils` of the rule") from error
    if isinstance(read, Rejection):
        raise RulewrightError(f"{read.verdict}: {read.detail}", "correct the rule; check_rules gives details")
    active = tuple(one for one in read if not one.off)
    if not active:
        raise RulewrightError("every rule has `severity: off`", "leave that out")
    return active


def _for_text(documents: Sequence[Document]) -> Action:
    """The rules for code given as text: those in the language of the first rule."""
    language = documents[0].action.language
    return joined([one for one in documents if one.action.language == language])


def _place(path: str, place: Any, doubt: str = "") -> schemas.PlaceRow:
    return schemas.PlaceRow(
        path=path, line=place.line, old=_cut(place.old), new=_cut(place.new), doubt=console.clean(doubt)
    )


def _offered(listed: Iterable[tuple[Any, Sequence[Any], Sequence[str]]]) -> list[schemas.PlaceRow]:
    """Rows of places with their doubts, sure places first."""
    rows = [
        _place(str(one.path), place, doubt)
        for one, found, doubts in listed
        for place, doubt in zip(found, doubts, strict=True)
    ]
    return sorted(rows, key=lambda row: bool(row.doubt))


def _shortened(rows: Sequence[schemas.PlaceRow], limit: int) -> dict[str, Any]:
    sure = sum(not row.doubt for row in rows)
    kept = list(rows[:limit])
    return {"places": kept, "left_out": len(rows) - len(kept), "sure": sure, "possible": len(rows) - sure}


def _failures(failed: Sequence[Any]) -> list[schemas.FailedFile]:
    return [
        schemas.FailedFile(
            path=str(one.path), verdict=str(one.outcome.verdict),
            why=_cut(one.outcome.detail, schemas.REASON_CHARS),
        )
        for one in failed[: schemas.FAILURES]
    ]  # fmt: skip


def _lines(lines: Iterable[str]) -> list[str]:
    return [_cut(line, schemas.REASON_CHARS) for line in console.few_lines(lines, schemas.FAILURES)]


def _cut(text: str, most: int = schemas.CUT_CHARS) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters more)"


TOOLS: Final[dict[str, Tool]] = {
    "find": Tool("List the places in files that an ast-grep rule matches.", find),
    "verify_rule": Tool(
        "Try a rule on code or files, without writing: verdict, places, what would be lost, and where "
        "nothing matches what came nearest. Call it before apply_rule.", verify_rule,
    ),
    "learn_rule": Tool(
        "Learn rules from a change made by hand (a diff, or code before and after), and list where else "
        "they hold. Use it after editing one or two places of many.", learn_rule,
    ),
    "propose_rule": Tool(
        "Ask the configured model for a rule from a sentence; judged on the files, its places listed by how "
        "sure they are.", propose_rule,
    ),
    "apply_rule": Tool(
        "Show the diff of a rule over files; with write=true change them. A file where the rule would lose "
        "code or break the syntax is not changed, and is named.", apply_rule, True,
    ),
    "explain_no_match": Tool(
        "Say why a rule matches nothing: the part that leaves no node over, and the nearest code.",
        explain_no_match,
    ),
    "check_rules": Tool(
        "Audit rules: refused, can match nothing, lossy, against their own tests, never or always firing.",
        check_rules,
    ),
}  # fmt: skip
