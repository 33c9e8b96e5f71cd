"""What `rulewright synth` is asked for; kept here so that the work need not know the command."""

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
    """Where `{train,dev,test}/synth.jsonl` go."""
    negatives: Path = Path("data/negatives/synth.jsonl")
    """Where requests with nothing to do go (`pre` equals `post`): for over-match checks, not for training."""
    window: tuple[WindowKind, ...] = ("function",)
    """Pieces of files to edit: `statement` (1 to 6 lines), `function` (or class), `file`; one or several."""
    max_tokens: int = Field(default=700, ge=16)
    """Longest `pre` or `post`, in tokens (a tokenizer-free upper estimate)."""
    max_chars: int = Field(default=2_400, ge=40)
    """Longest `pre` or `post`, in characters."""
    families: tuple[str, ...] = ()
    """Only templates and edits of these families, e.g. `rename-identifier comparison`; empty: all."""
    shapes: tuple[Shape, ...] = SHAPES
    """Kinds of edits: `single`, `scoped` ("only in f"), `multi` (two or three rules), `negative`."""
    templates: tuple[Path, ...] = ()
    """Further templates, `.yaml` or `.jsonl` (see docs/guide/synth.md)."""
    packaged: bool = True
    """Use the templates and instance edits that come with rulewright."""
    wording: Wording = "rich"
    """`plain`: a phrasing as it stands; `rich`: sometimes with the reason or an example."""
    phrasings: int = Field(default=0, ge=0)
    """Use only the first so many phrasings of each template; 0: all."""
    per_window: int = Field(default=3, ge=1)
    """At most so many single edits from one piece of code."""
    max_template_share: float = Field(default=0.015, gt=0, le=1)
    """At most this share of the records a template; 1: no bound."""
    per_file_cap: int = Field(default=4, ge=0)
    """At most so many records a template from one file: many windows of one file are one question; 0: all."""
    siblings: int = Field(default=2, ge=0, le=MAX_ELSEWHERE)
    """Code elsewhere kept with a record, to reward rules that hold there too: so many siblings (the same
    change on other code of its split, or on a copy with other names) and negatives; 0: none."""
    limit: int = Field(default=0, ge=0)
    """Stop when there are so many records (all splits together); 0: use every file."""
    hold_out_templates: bool = True
    """Keep some templates and families whole for dev or test, so that edits never trained on can be asked."""
    hold_out_rate: float = Field(default=HOLD_OUT_RATE, gt=0, lt=1)
    """What share of them, by hash: half for dev, half for test."""
    group_by: GroupBy = "package"
    """What must not straddle splits: the `package` a file belongs to, or each `file` by itself."""
    license: str = ""
    """SPDX id of the sources; empty: from the nearest package.json, `psf-2.0` for the standard library."""
    seed: int = 0
    """The same seed and sources give the same bytes."""

    @property
    def held_out_rate(self) -> float:
        """Share of the templates that are kept whole for dev and test; 0: none."""
        return self.hold_out_rate if self.hold_out_templates else 0.0

    def is_free(self, key: str) -> bool:
        """What the sources hold is compared, not where they lie."""
        return key in ("source_dir", "negatives") or super().is_free(key)
