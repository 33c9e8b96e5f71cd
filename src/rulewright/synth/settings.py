"""The configuration of `rulewright synth`, separate from the command."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rulewright.config import StageConfig
from rulewright.data.schemas import MAX_ELSEWHERE
from rulewright.languages import Language
from rulewright.synth.kinds import HOLD_OUT_RATE, SHAPES, GroupBy, Shape, WindowKind, Wording


class SynthConfig(StageConfig):
    """`rulewright synth`."""

    source_dir: tuple[Path, ...] = ()
    """Folders (or files) of real code; default: the running Python's standard library."""
    languages: tuple[Language, ...] = ("python", "javascript", "typescript", "java", "go")
    """Languages of the files to use."""
    out: Path = Path("data/processed")
    """Output folder: `{train,dev,test}/synth.jsonl`."""
    negatives: Path = Path("data/negatives/synth.jsonl")
    """Output file of requests with nothing to change (`pre` equals `post`): for over-match checks, not
    for training."""
    window: tuple[WindowKind, ...] = ("function",)
    """Pieces of files to edit: `statement` (1 to 6 lines), `function` (or class), `file`; one or several."""
    max_tokens: int = Field(default=700, ge=16)
    """Longest `pre` or `post`, in tokens (a tokenizer-free upper estimate)."""
    max_chars: int = Field(default=2_400, ge=40)
    """Longest `pre` or `post`, in characters."""
    families: tuple[str, ...] = ()
    """Only these families of templates and edits, e.g. `rename-identifier comparison`; empty: all."""
    shapes: tuple[Shape, ...] = SHAPES
    """Kinds of edits: `single`, `scoped` ("only in f"), `multi` (two or three rules), `negative`."""
    templates: tuple[Path, ...] = ()
    """Further templates, `.yaml` or `.jsonl` (see docs/guide/synth.md)."""
    packaged: bool = True
    """Use the templates and instance edits that come with rulewright."""
    wording: Wording = "rich"
    """`plain`: the phrasing of the template; `rich`: sometimes with the reason or an example."""
    phrasings: int = Field(default=0, ge=0)
    """Use only the first N phrasings of each template; 0: all."""
    per_window: int = Field(default=3, ge=1)
    """Maximum number of single edits from one piece of code."""
    max_template_share: float = Field(default=0.015, gt=0, le=1)
    """Maximum share of the records for one template; 1: no limit."""
    per_file_cap: int = Field(default=4, ge=0)
    """Maximum number of records of one template from one file, since its windows are nearly the same
    question; 0: all."""
    siblings: int = Field(default=2, ge=0, le=MAX_ELSEWHERE)
    """Number of siblings (the same change on other code of the split, or on a copy with other names) and
    of negatives kept with a record, to reward rules that hold there too; 0: none."""
    limit: int = Field(default=0, ge=0)
    """Stop after N records (all splits together); 0: use every file."""
    hold_out_templates: bool = True
    """Hold out some templates and families for dev or test, to measure new kinds of edits."""
    hold_out_rate: float = Field(default=HOLD_OUT_RATE, gt=0, lt=1)
    """Share of templates and families to hold out, chosen by hash: half for dev, half for test."""
    group_by: GroupBy = "package"
    """The unit that is never divided between splits: the `package` of a file, or each `file`."""
    license: str = ""
    """SPDX id of the sources; empty: from the nearest package.json, `psf-2.0` for the standard library."""
    seed: int = 0
    """Random seed; the same seed and sources give the same bytes."""

    @property
    def held_out_rate(self) -> float:
        """Share of the templates that are held out for dev and test; 0: none."""
        return self.hold_out_rate if self.hold_out_templates else 0.0

    def is_free(self, key: str) -> bool:
        """What the sources hold is compared, not where they lie."""
        return key in ("source_dir", "negatives") or super().is_free(key)
