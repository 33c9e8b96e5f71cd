"""Windows and sources: whole, apart, parsable, and grouped as projects are."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest

from rulewright.data.drafts import Drop
from rulewright.engine.parsing import parse
from rulewright.errors import UsageError
from rulewright.synth import sources, windows
from rulewright.synth.kinds import WindowKind
from rulewright.synth.windows import WindowLimits

TEXT = Path(textwrap.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["statement", "function"])
@pytest.mark.parametrize("seed", [0, 1])
def test_windows_are_pieces_of_the_file_and_do_not_overlap(kind: WindowKind, seed: int) -> None:
    limits = WindowLimits(max_chars=300, max_tokens=120) if kind == "statement" else WindowLimits(3000, 900)
    found = windows.cut(TEXT, "python", kind, limits, random.Random(seed))
    assert len(found) > (20 if kind == "statement" else 3)
    lines = TEXT.split("\n")
    end = 0
    for window in found:
        piece = window.text.rstrip("\n").split("\n")
        assert window.line > end
        end = window.line + len(piece) - 1
        indent = lines[window.line - 1][: -len(lines[window.line - 1].lstrip())] or ""
        assert textwrap.indent(window.text, indent, lambda line: line != "\n").rstrip() == "\n".join(
            line if line.strip() else "" for line in lines[window.line - 1 : end]
        )
        assert limits.fit(window.text)
        assert not parse(window.text, "python").broken


def test_a_file_window_is_the_file_if_it_fits() -> None:
    rng = random.Random(0)
    assert (
        windows.cut("x = 1\ny = 2\n", "python", "file", WindowLimits(100, 50), rng)[0].text
        == "x = 1\ny = 2\n"
    )
    assert windows.cut(TEXT, "python", "file", WindowLimits(100, 50), rng) == []
    assert windows.cut("def f(:\n  pass\n", "python", "file", WindowLimits(100, 50), rng) == []


def test_short_lines_of_a_class_become_statement_windows() -> None:
    code = (
        "class A:\n    def f(self):\n        value = self.load()\n        return value\n" + "    x = 1\n" * 6
    )
    found = windows.cut(code, "python", "statement", WindowLimits(60, 40), random.Random(0))
    assert all(not window.text.startswith(" ") for window in found)
    assert "value = self.load()" in "".join(window.text for window in found)


def make(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_groups_are_packages_and_licences_come_from_package_json(tmp_path: Path) -> None:
    make(
        tmp_path / "code",
        {
            "node_modules/a/package.json": '{"license": "MIT"}',
            "node_modules/a/lib/x.js": "x();",
            "node_modules/@s/b/y.js": "y();",
            "node_modules/a/node_modules/c/z.js": "z();",
            "node_modules/a/lib/x.min.js": "x();",
            "node_modules/a/types.d.ts": "let x: number;",
            "app/go.mod": "module app",
            "app/pkg/m.go": "package m",
            "one.py": "x = 1",
            ".git/hook.py": "x = 1",
        },
    )
    found = sources.find([tmp_path / "code"], ["python", "javascript", "typescript", "go"])
    assert [(file.name, file.group, file.license) for file in found] == [
        ("code/app/pkg/m.go", "code/app", "unknown"),
        ("code/node_modules/@s/b/y.js", "npm:@s/b", "unknown"),
        ("code/node_modules/a/lib/x.js", "npm:a", "mit"),
        ("code/node_modules/a/node_modules/c/z.js", "npm:c", "mit"),
        ("code/one.py", "code/one", "unknown"),
    ]
    (by_file,) = sources.find([tmp_path / "code" / "one.py"], ["python"], "file", "apache-2.0")
    assert (by_file.group, by_file.license) == (by_file.name, "apache-2.0")
    with pytest.raises(UsageError, match="no such folder"):
        sources.find([tmp_path / "nowhere"], ["python"])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"x = '\xff'\n", "not UTF-8"),
        (b"x = 1\0\n", "binary"),
        (b"x = 1\r y = 2\n", "odd line ends"),
        (b"x = '" + b"a" * 3000 + b"'\n", "minified or generated"),
        (b"x = 1  # ast-grep-ignore\n", "holds suppression comments"),
        (b"x = 1\n" * 100_000, "too large"),
    ],
)
def test_unusable_files_say_why(raw: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_bytes(raw)
    (file,) = sources.find([tmp_path / "f.py"], ["python"])
    assert sources.read(file) == Drop(reason)


def test_windows_line_ends_and_marks_are_taken_off(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n")
    (file,) = sources.find([tmp_path / "f.py"], ["python"])
    assert sources.read(file) == "x = 1\ny = 2\n"
