"""The loop that all model evaluations share: ask, score, keep, resume, compare.

Invariant: `rows.jsonl` holds one row per (task, sample) whose prompt is today's prompt,
with the raw answer in it; so a killed run asks only for what is missing, and scoring can
be done again without a model. Rows of a finished run are in task order.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

from rulewright import console, jsonl
from rulewright.engine import check_version
from rulewright.errors import RulewrightError, UsageError
from rulewright.evaluation import tables
from rulewright.evaluation.measures import Measures
from rulewright.evaluation.measures import Row as Row
from rulewright.evaluation.settings import EvalConfig
from rulewright.generation import (
    Completion,
    Generator,
    Prompt,
    Sampling,
    checkpoint_facts,
    open_generator,
    require_model,
)
from rulewright.generation.notes import as_style
from rulewright.generation.open import require_different
from rulewright.languages import Language
from rulewright.prompts import Style, digest
from rulewright.runs import RunDir
from rulewright.verdict import Verdict

GENERATOR_FILE: Final = "generator.json"
Config = TypeVar("Config", bound=EvalConfig)
Result = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One question: its key, its prompt, and what is known of the task."""

    task: str
    prompt: Prompt
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Put into the task's rows as it is: group, source, language, family, tags, …"""
    language: Language | None = None
    """Of the action that is asked for; `None` where something else is."""

    @property
    def digest(self) -> str:
        if isinstance(self.prompt, str):
            return digest([{"role": "user", "content": self.prompt}])
        return digest(list(self.prompt))


@dataclass(frozen=True)
class Answer:
    """One saved or fresh answer, ready to be scored."""

    item: Item
    sample: int
    completion: Completion

    @property
    def text(self) -> str:
        return self.completion.text

    def row(self) -> Row:
        """The answer as `rows.jsonl` keeps it, without its scores."""
        completion = self.completion
        row: Row = {
            "task": self.item.task,
            "sample": self.sample,
            "prompt_digest": self.item.digest,
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "n_tokens": completion.n_tokens,
            "n_prompt_tokens": completion.n_prompt_tokens,
            "seconds": completion.seconds,
        }
        if completion.reasoning:
            row["reasoning"] = completion.reasoning
        if completion.logprob is not None:
            row["logprob"] = completion.logprob
        return {**row, **self.item.meta}

    @classmethod
    def of_row(cls, row: Row, item: Item) -> Answer:
        """The answer that a row holds; `item` is its question as it is asked today."""
        completion = Completion(
            row["text"], row["n_tokens"], row["finish_reason"], row["n_prompt_tokens"], row.get("logprob"),
            row.get("reasoning", ""), str(row.get("detail", "")), row["seconds"],
        )  # fmt: skip
        return cls(item, row["sample"], completion)


class GoldGenerator(Generator):
    """Something other than a model that answers a benchmark's questions, each when it is asked."""

    name = "gold"
    style: Style = "full"

    def __init__(self, items: Sequence[Item], answer: Callable[[str], str]) -> None:
        self._tasks, self._answer = {item.digest: item.task for item in items}, answer

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        for i, prompt in enumerate(prompts):
            text = self._answer(self._tasks[Item("", prompt).digest])
            yield i, [Completion(text, 0, "stop")] * sampling.n


class Benchmark(ABC, Generic[Config]):
    """What one benchmark adds to the loop.

    In this order: `__init__` finds the inputs; `open` loads the data, before a folder is
    claimed; then questions, scores and the summary are asked for.
    """

    measures: ClassVar[Measures]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.inputs: Sequence[Path] = ()
        """Files that must not change on resume."""
        self.files: dict[str, Sequence[Row]] = {}
        """What `open` found to be kept beside the rows: name of a file → its rows."""
        self.facts: Row | None = None
        """What stands in for the model, if something does (`generator`)."""
        self.sampling = config.sampling(config.n)

    @property
    def run_name(self) -> str:
        """The beginning of the run's default name."""
        return self.measures.name

    @property
    def judges(self) -> bool:
        """Whether rules are applied to judge an answer."""
        return True

    @abstractmethod
    def open(self, stack: ExitStack) -> None:
        """Load the tasks; put resources to close onto the stack."""

    @abstractmethod
    def items(self, style: Style) -> list[Item]:
        """The questions, in the prompt style of the model."""

    def known(self) -> list[Row]:
        """Rows that count without a question, in addition to those of the run folder."""
        return []

    @abstractmethod
    def score(self, answers: Sequence[Answer]) -> Iterable[Row]:
        """Judge answers, in their order; each row holds at least `verdict` and `detail`."""

    @abstractmethod
    def summary(self, rows: Sequence[Row]) -> Result:
        """Everything the rows say."""

    def report(self, result: Result) -> Iterator[str]:
        """The result as lines and tables for the terminal."""
        yield tables.text(f"{result['run']}: {result['n_tasks']} tasks", result["metrics"], self.measures)

    def generator(self) -> Generator:
        """The model that answers."""
        return open_generator(self.config.generator_config())


def evaluate(benchmark: Benchmark[Any]) -> Result:
    """Run or continue an evaluation; give the content of `result.json`.

    Raises:
        RulewrightError: some answers could not be had; what was answered is kept.
    """
    # Open the run folder; refuse to mix it with another configuration or a retrained checkpoint.
    config, facts = benchmark.config, benchmark.facts
    if config.rescore and config.overwrite:
        raise UsageError(
            "--overwrite would remove the saved answers, which --rescore needs",
            "leave out --overwrite: --rescore replaces the scores of a finished run",
        )
    if facts is None and not config.rescore:
        require_different("--n", benchmark.sampling.n, config.temperature)
        require_model(config.generator_config())
    if benchmark.judges:
        check_version()
    path = config.run_folder(benchmark.run_name)
    with ExitStack() as stack:
        model = None
        finished = RunDir.look(path, config, benchmark.inputs).done and not config.overwrite
        held = (path / "rows.jsonl").exists()
        if config.rescore and not held:
            raise UsageError(f"{path}: contains no saved answers", "run without --rescore first")
        # Without the data, and the model where all is still to be asked, nothing is claimed or overwritten.
        if config.rescore or not finished:
            benchmark.open(stack)
        if facts is None and not config.rescore and (config.overwrite or not held):
            model = stack.enter_context(benchmark.generator())
        folder = RunDir.open(path, config, inputs=benchmark.inputs)
        facts = checkpoint_facts(config.generator_config()) if facts is None else facts
        saved = path / GENERATOR_FILE
        if saved.exists() and folder.rows():
            earlier = json.loads(saved.read_text(encoding="utf-8"))
            if not config.rescore and earlier.get("digest") != facts.get("digest"):
                raise UsageError(
                    f"{path}: its answers come from another checkpoint: {facts['model']} has changed since",
                    "use --overwrite, or --name for another run",
                )
        else:
            jsonl.write_json(saved, facts)
        if finished and not config.rescore:
            console.say(f"{path}: this run is already finished")
            return folder.result()
        for name, kept in benchmark.files.items():
            jsonl.write(path / name, kept)
        rows = _bring_up_to_date(benchmark, folder, model)
        result = {"benchmark": benchmark.measures.name, "run": str(folder.path), **benchmark.summary(rows)}
    folder.finish(result)
    return result


def _bring_up_to_date(benchmark: Benchmark[Any], run: RunDir, model: Generator | None) -> list[Row]:
    """Score or ask for what is owed; give all rows, in order of task and sample, in the file too.

    Args:
        benchmark: opened.
        run: its folder.
        model: that answers; `None`: it is opened where something is owed.
    """
    facts = json.loads((run.path / GENERATOR_FILE).read_text(encoding="utf-8"))
    items = {item.task: item for item in benchmark.items(as_style(facts.get("style")))}
    n = benchmark.sampling.n
    found = benchmark.known() + run.rows()
    rows = {
        (row["task"], row["sample"]): row
        for row in found
        if row["task"] in items and items[row["task"]].digest == row["prompt_digest"] and row["sample"] < n
    }
    if stale := len({(row["task"], row["sample"]) for row in found}) - len(rows):
        console.say(f"{run.path}: {stale} saved answers were to other prompts; they are ignored")
    if rows:
        console.say(f"{run.path}: {len(rows)} of {len(items) * n} answers are already saved")
    owed = [item for item in items.values() if any((item.task, k) not in rows for k in range(n))]
    if benchmark.config.rescore:
        if owed:  # before anything is written: what is stale now is not to be lost
            raise RulewrightError(
                f"{run.path}: {len(owed)} of {len(items)} tasks have no saved answer",
                "run without --rescore first",
            )
        (run.path / "result.json").unlink(missing_ok=True)
        with console.progress("rescore", len(rows)) as bar:
            for key, row in rows.items():
                [rows[key]] = _scored(benchmark, [Answer.of_row(row, items[row["task"]])])
                bar.advance()
        _write(run, rows, items)
    if owed and (failures := _ask(benchmark, run, owed, rows, model)):
        raise RulewrightError(
            f"{run.path}: {len(failures)} of {len(items)} tasks were not answered (last: {failures[-1]})",
            "answers so far are saved; run the same command again for the rest",
        )
    if rows and all(row["verdict"] == Verdict.INFRA for row in rows.values()):
        last = next(reversed(rows.values()))
        what, then = (
            "no answer could be judged",
            "remove the cause, then score the saved answers with --rescore",
        )
        if all(row["finish_reason"] == "refused" for row in rows.values()):
            what = "the endpoint refused every request"
            then = "check --model and generator.extra_body, then use --overwrite"
        raise RulewrightError(f"{run.path}: {what} (last: {last['detail']})", then)
    return _write(run, rows, items)


def _ask(
    benchmark: Benchmark[Any], run: RunDir, owed: Sequence[Item], rows: dict[tuple[str, int], Row],
    model: Generator | None,
) -> list[str]:  # fmt: skip
    """Ask, score and append; give the reasons of what could not be had."""
    failures: list[str] = []
    n_ok = n_scored = 0
    languages = [item.language for item in owed if item.language is not None]
    with (
        nullcontext(model) if model else benchmark.generator() as generator,
        run.appender() as out,
        console.progress("tasks", len(owed)) as bar,
    ):
        asked = generator.stream(
            [item.prompt for item in owed],
            benchmark.sampling,
            languages if len(languages) == len(owed) else None,
        )
        for index, completions in asked:
            item = owed[index]
            failures += [c.error for c in completions if c.finish_reason == "error"][:1]
            answers = [
                Answer(item, k, completion)
                for k, completion in enumerate(completions)
                if completion.finish_reason != "error" and (item.task, k) not in rows
            ]
            for row in _scored(benchmark, answers):
                rows[(item.task, row["sample"])] = row
                out.append(row)
                n_ok, n_scored = n_ok + bool(benchmark.measures.decides.read(row)), n_scored + 1
            bar.advance(ok=f"{100 * n_ok / max(1, n_scored):.1f} %", failed=len(failures))
    return failures


def _scored(benchmark: Benchmark[Any], answers: Sequence[Answer]) -> list[Row]:
    # What the server refused is our fault, never the model's; it is a row with that verdict.
    refused = [answer.completion.finish_reason == "refused" for answer in answers]
    judged = iter(benchmark.score([a for a, no in zip(answers, refused, strict=True) if not no]))
    return [
        {
            **answer.row(),
            **({"verdict": Verdict.INFRA.value, "detail": answer.completion.error} if no else next(judged)),
        }
        for answer, no in zip(answers, refused, strict=True)
    ]


def _write(run: RunDir, rows: Mapping[tuple[str, int], Row], items: Iterable[str]) -> list[Row]:
    order = {task: i for i, task in enumerate(items)}
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (order[key[0]], key[1]))]
    jsonl.write(run.path / "rows.jsonl", ordered)
    return ordered
