"""One loader for every command: YAML file, then flags, into a frozen pydantic model.

YAML values become the defaults that `--help` shows; every field can be overridden by a flag. All mistakes
in the file are reported at once, each with its line and, if there is one, a similar valid name.
"""

from __future__ import annotations

import argparse
import difflib
import re
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

import tyro
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rulewright import console, helptext, paths, shipped, yaml12
from rulewright.errors import ConfigError, did_you_mean, few

C = TypeVar("C", bound="CommandConfig")
T = TypeVar("T")
_STATES: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

# Another value of one of these does not make another run.
_FREE: Final = frozenset({"resume", "overwrite", "json_output", "out", "workers", "engine", "models"})

# The line of a value that `--set` gave.
_BY_SET: Final = -1

FileOnly = tyro.conf.Fixed[tyro.conf.Suppress[T]]
"""A value that no single flag can express: given in the file or by `--set`."""
AsJson = Annotated[bool, tyro.conf.arg(name="json")]
"""`--json`."""
Options = FileOnly[dict[str, Any]]


def _file_name(text: str) -> str:
    if not re.fullmatch(r"(\w[\w.-]*)?", text):
        raise ValueError("expected letters, digits, '.', '-', '_', and none of '.-' first")
    return text


Name = Annotated[str, AfterValidator(_file_name)]
"""A name that files or folders get: it leads nowhere else."""


class Section(BaseModel):
    """Values that the user writes: frozen, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(),
        allow_inf_nan=False,
    )  # fmt: skip


class CommandConfig(Section):
    """The base of every command's configuration."""

    @classmethod
    def mistakes(cls, values: Mapping[str, Any]) -> list[tuple[yaml12.Path, str]]:
        """Find what no field's own type can refuse: the place of each mistake, and what it is.

        Args:
            values: checked values of the keys that were given; those of wrong type are left out.
        """
        return []

    def is_free(self, key: str) -> bool:
        """Whether a run may be continued with another value of a key.

        Args:
            key: name of a field, or like `trainer.save_steps` for a value in a section.
        """
        return key in _FREE


class StageConfig(CommandConfig):
    """What every command takes that makes a data set."""

    workers: int = Field(default=0, ge=0)
    """Processes; 0: one per core. The result does not depend on it."""
    resume: bool = False
    """Show a finished run instead of refusing it. An interrupted run continues without this option."""
    overwrite: bool = False
    """Replace an earlier run."""
    json_output: AsJson = False
    """Print the result as one JSON line on stdout."""


def load(
    cls: type[C], argv: Sequence[str], prog: str, description: str = "", examples: Sequence[str] = ()
) -> C:
    """Build a command's configuration from `--config FILE.yaml`, `--set` and flags.

    Args:
        cls: the configuration's class.
        argv: what follows the command's name.
        prog: the command's name, for `--help`.
        description: for `--help`: a line, then paragraphs.
        examples: for `--help`: command lines, without `rulewright`.

    Raises:
        ConfigError: the file or the flags cannot be what was meant; lists every mistake.
        SystemExit: `--help` was asked for.
    """
    path, overrides, rest = _split(argv)
    given = _check(cls, *_read(path, overrides))
    fields = cls.model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields} | given
    if {"-h", "--help"} & set(rest):
        source = f"\n\nThe values in [ ] are those of {path}." if path else ""
        console.emit(helptext.page(cls, defaults, prog, description + source, examples))
        raise SystemExit(0)
    values = defaults | _converted(cls, _texts(cls, rest, defaults, prog), prog)
    missing = [_typed(cls, name) for name, value in values.items() if value is PydanticUndefined]
    if missing:
        raise ConfigError(f"{prog}: missing {', '.join(missing)}", f"give it, or see `{prog} --help`")
    return cast(C, cls.model_construct(**values))  # every value was checked by itself


def _texts(
    cls: type[BaseModel], argv: Sequence[str], defaults: Mapping[str, Any], prog: str
) -> dict[str, Any]:
    """What the command line gives for each field: a text, texts, or the state of a switch."""
    fields = {name: field for name, field in cls.model_fields.items() if not helptext.file_only(field)}
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False, argument_default=argparse.SUPPRESS
    )
    flags = {helptext.flag_name(name, field): name for name, field in fields.items()}
    for flag, name in flags.items():
        n = helptext.n_values(fields[name])
        if helptext.is_switch(fields[name]):
            parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction)
        elif not helptext.is_positional(fields[name]):
            many = {"action": "extend", "nargs": "*"} if n == 1 else {"nargs": n or None}
            parser.add_argument(flag, dest=name, **many)
    three = {flag for flag, name in flags.items() if helptext.has_unset(fields[name])}
    end = argv.index("--") if "--" in argv else len(argv)  # what follows is no option
    try:
        namespace, rest = parser.parse_known_args(_bare_switches(argv[:end], three))
    except argparse.ArgumentError as error:
        raise _without_value(cls, flags[str(error.argument_name).partition("/")[0]], prog) from None
    _refuse_unknown(cls, [word for word in rest if re.match(r"-(?!$|\d*\.?\d+$)", word)], flags, prog)
    found, loose = vars(namespace), [*rest, *argv[end + 1 :]]
    for name, given in found.items():
        # An empty list takes the place of one that the file gives; else a shell variable is empty.
        if given == [] and not defaults[name]:
            raise _without_value(cls, name, prog)
        given = given if isinstance(given, list) else [given]
        if "" in given and not _takes_text(fields[name]):
            loose.append("")
    if "" in loose:
        # `--write "$FOLDER"` must not write in the folder where one stands.
        said = "an empty argument, where a file or another value was expected"
        raise ConfigError(f"{prog}: {said}", "is a shell variable empty? `.` names the current folder")
    for name, field in fields.items():
        if not helptext.is_positional(field):
            continue
        if helptext.n_values(field):
            found |= {name: loose} if loose or defaults[name] is PydanticUndefined else {}
            loose = []
        elif loose:
            found[name] = loose.pop(0)
    if loose:
        raise ConfigError(f"{prog}: does not expect {' '.join(loose)!r} here", f"see `{prog} --help`")
    return found


def _bare_switches(argv: Sequence[str], three: Collection[str]) -> list[str]:
    """Arguments with `--window` for `--window True` and `--no-window` for `--window=no`.

    Of these switches, unset is a third state, so that users give the value; argparse would also take for
    one what follows a bare `--window`.
    """
    words: list[str] = []
    for word in argv:
        flag, equals, value = word.partition("=")
        words += [flag, value] if equals and flag in three else [word]
    found: list[str] = []
    for word in words:
        if found and found[-1] in three and word.lower() in _STATES:
            found[-1] = found[-1] if _STATES[word.lower()] else f"--no-{found[-1][2:]}"
        else:
            found.append(word)
    return found


def _takes_text(field: FieldInfo) -> bool:
    named = str(field.annotation)
    return "str" in named and "Path" not in named


def _without_value(cls: type[BaseModel], name: str, prog: str) -> ConfigError:
    """What to say of an option with too few values, or of a switch with one."""
    field, flag = cls.model_fields[name], _typed(cls, name)
    wrong = f"{flag} expects a value: {helptext.metavar(name, field)}"
    if helptext.is_switch(field):
        wrong = f"{flag} takes no value; --no-{flag[2:]} turns it off"
    return ConfigError(f"{prog}: {wrong}", f"see `{prog} --help`")


def _refuse_unknown(
    cls: type[BaseModel], unknown: Sequence[str], flags: Mapping[str, str], prog: str
) -> None:
    """Refuse options that there are none of, all at once."""
    by_place = {flag for flag, name in flags.items() if helptext.is_positional(cls.model_fields[name])}
    lines = []
    for flag in (word.partition("=")[0] for word in unknown):
        if flag in by_place:
            word = _typed(cls, flags[flag])
            raise ConfigError(
                f"{prog}: unknown option {flag}; {word} is an argument without a flag",
                f"e.g. {prog} {word}; see `{prog} --help`",
            )
        near = did_you_mean(flag, [*(flags.keys() - by_place), "--config", "--set"])
        lines.append(f"{prog}: unknown option {flag}{near}")
    if lines:
        raise ConfigError("\n".join(lines), f"see `{prog} --help`")


def _converted(cls: type[BaseModel], texts: Mapping[str, Any], prog: str) -> dict[str, Any]:
    """Texts as values of their fields; every wrong one is told."""
    values: dict[str, Any] = {}
    lines, hint = [], f"see `{prog} --help`"
    for name, text in texts.items():
        try:
            values[name] = _value(cls, name, text)
        except ValidationError as error:
            items = error.errors()
            got, kinds = items[0]["input"], helptext.expected(cls, name)
            what = items[0]["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            shown = repr(got) if items[0]["type"] == "value_error" else got
            what = f"{what[:1].lower()}{what[1:]} (got {shown})"
            if items[0]["type"] == "literal_error" and len(items) == 1:
                what, hint = f"no choice {got!r}{did_you_mean(got, kinds)}", f"one of {', '.join(kinds)}"
            elif len(items) > 1 or items[0]["type"].endswith(("_parsing", "_from_float")):
                expected = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"
                what = f"expected {expected}, got {got!r}"
            lines.append(f"{prog}: {_typed(cls, name)}: {what}")
    if lines:
        raise ConfigError("\n".join(lines), hint)
    return values


def _value(cls: type[BaseModel], name: str, given: Any) -> Any:
    """What is given for a field as its value, within the field's bounds.

    Raises:
        ValidationError: it is none.
    """
    field = cls.model_fields[name]
    annotation: Any = (
        typing.Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    )
    is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    return TypeAdapter(annotation, config=None if is_section else cls.model_config).validate_python(given)


def _typed(cls: type[BaseModel], name: str) -> str:
    """A field as it is typed: its flag, or the name of a positional argument."""
    field = cls.model_fields.get(name)
    if field is None:
        return name
    if helptext.is_positional(field):
        return helptext.metavar(name, field).removesuffix(" ...")
    return helptext.flag_name(name, field)


def _split(argv: Sequence[str]) -> tuple[Path | None, list[str], list[str]]:
    """Take `--config FILE` and `--set KEY=VALUE` out of the arguments."""
    rest: list[str] = []
    overrides: list[str] = []
    path: Path | None = None
    items = iter(argv)
    for item in items:
        name, equals, value = item.partition("=")
        if name not in ("--config", "--set"):
            rest.append(item)
            continue
        if not equals:
            value = next(items, "")
        if not value:
            raise ConfigError(f"{name} expects a value", "--config FILE.yaml, --set KEY.PATH=VALUE")
        if name == "--config":
            path = shipped.locate(Path(value))
        else:
            overrides.append(value)
    return path, overrides, rest


def json_schema(cls: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors: every key, its type and what it is.

    A file may leave out any key; flags can give it.
    """
    schema = cls.model_json_schema()
    schema.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def read_file(cls: type[BaseModel], path: Path) -> dict[str, Any]:
    """Read and check a YAML configuration; give the validated value of each key in it.

    Raises:
        ConfigError: listing every mistake as `file:line: …`.
    """
    return _check(cls, *_read(path, []))


def read_raw(path: Path) -> dict[str, Any]:
    """Return a YAML configuration with unchecked values.

    Raises:
        ConfigError: no such file, or no mapping in it.
    """
    return _parse(path, {})


def _read(path: Path | None, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[yaml12.Path, int], str]:
    """Give the raw values, the line of each key, and the name of their place."""
    lines: dict[yaml12.Path, int] = {}
    values = _expanded(_parse(path, lines), lines, path) if path is not None else {}
    if "ruleDirs" in values:
        raise ConfigError(
            f"--config {path}: is the configuration of an ast-grep project, not of this command",
            "leave it out: the project is found from the location of the rule file",
        )
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: expected KEY.PATH=VALUE", "e.g. --set mix.0.weight=2")
        try:
            value = yaml12.load(text)
        except yaml12.YamlError as error:
            raise ConfigError(f"--set {override}: not valid YAML: {error}", "quote the text") from error
        _assign(values, key.split("."), value, override)
        # No line of the file is blamed for a value that came by `--set`, nor for what lies in it.
        place = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
        for inner in [known for known in lines if known[: len(place)] == place]:
            del lines[inner]
        for depth in range(1, len(place) + 1):
            lines.setdefault(place[:depth], _BY_SET)
    return values, lines, str(path) if path is not None else "--set"


def _expanded(values: dict[str, Any], lines: Mapping[yaml12.Path, int], path: Path) -> dict[str, Any]:
    """Values with `~` and `$NAME` of the paths in them replaced."""
    made = {}
    for key, value in values.items():
        try:
            made[key] = paths.expand_all(value)
        except paths.Unset as error:
            raise ConfigError(
                f"{path}:{lines.get((key,), 0)}: {key}: the environment has no variable {error}",
                f"set {error}, or write the path out",
            ) from error
    return made


def _assign(values: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    target: Any = values
    try:
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        if isinstance(target, list):
            target[int(keys[-1])] = value
        else:
            target[keys[-1]] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise ConfigError(f"--set {override}: no such entry ({error})", "lists count from 0") from error


def _parse(path: Path, lines: dict[yaml12.Path, int]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        near = [str(path.parent / name) for name in difflib.get_close_matches(path.name, known, n=1)]
        near += difflib.get_close_matches(str(path), [one.name for one in shipped.everything()], n=1)
        hint = f"did you mean {near[0]}?" if near else "check the path; `rulewright configs` lists names"
        raise ConfigError(f"{path}: no such configuration file", hint) from None
    except IsADirectoryError:
        names = sorted(p.name for p in path.glob("*.yaml"))
        inside = f"name a file in it: {few(names, 6)}" if names else "name a YAML file"
        raise ConfigError(f"{path}: is a folder, not a configuration file", inside) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not a text file (byte {error.start} is not UTF-8)", "a configuration is YAML"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    if _is_data(path, text):
        raise ConfigError(
            f"{path}:1: this is a data file, not a configuration",
            "a configuration is YAML, `key: value` lines; name data files in it, or as an argument",
        )
    try:
        values = yaml12.load(text, lines=lines)
    except yaml12.YamlError as error:
        raise ConfigError(f"{path}:{error.line}: not valid YAML: {error}", "fix the line") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: expected a mapping of options", "write `key: value` lines")
    return values


def _is_data(path: Path, text: str) -> bool:
    """Whether a file is JSON Lines: by its name, or two objects on lines of their own."""
    if ".jsonl" in path.suffixes:
        return True
    first = [line for line in text.split("\n", 3)[:3] if line.strip()][:2]
    return len(first) == 2 and all(line.startswith("{") and line.rstrip().endswith("}") for line in first)


def _check(
    cls: type[BaseModel], values: dict[str, Any], lines: dict[yaml12.Path, int], place: str
) -> dict[str, Any]:
    problems = _unknown_keys(cls, values, ())
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in cls.model_fields:
            continue
        try:
            result[name] = _value(cls, name, value)
        except ValidationError as error:
            problems += [
                (_loc_path((name, *item["loc"]), lines), _readable(item))
                for item in error.errors()
                if item["type"] != "extra_forbidden"
            ]
    if issubclass(cls, CommandConfig):
        problems += [(_loc_path(where, lines), _plain(what)) for where, what in cls.mistakes(result)]
    if problems:
        placed = sorted((lines.get(where, 0), ".".join(map(str, where)), what) for where, what in problems)
        listing = "\n".join(
            f"{'--set' if line == _BY_SET else f'{place}:{line}' if line else place}: {what.format(key=key)}"
            for line, key, what in placed
        )
        raise ConfigError(listing, "fix the configuration (nothing has run yet)")
    return result


def _readable(item: Any) -> str:
    got = repr(item["input"])
    got = got if len(got) <= 60 else got[:57] + "..."
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] in ("model_type", "model_attributes_type"):
        message = "expected a mapping of `name: value`, not a text or a number by itself"
    message = message[:1].lower() + message[1:]
    return f"'{{key}}': {_plain(message)} (got {_plain(got)})"


def _plain(text: str) -> str:
    """Text that `str.format` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def _loc_path(loc: tuple[str | int, ...], lines: dict[yaml12.Path, int]) -> yaml12.Path:
    """Keep the parts of a pydantic location that exist in the file (drop union tags)."""
    path: yaml12.Path = ()
    for part in loc:
        if isinstance(part, int) or (*path, part) in lines:
            path = (*path, part)
    while path and path not in lines:
        path = path[:-1]
    return path


def _unknown_keys(annotation: Any, value: Any, path: yaml12.Path) -> list[tuple[yaml12.Path, str]]:
    """Find keys that no model knows, everywhere in a nested value."""
    problems: list[tuple[yaml12.Path, str]] = []
    model = _model_of(annotation)
    if model is not None and isinstance(value, dict):
        for key, inner in value.items():
            if key in model.model_fields:
                problems += _unknown_keys(model.model_fields[key].annotation, inner, (*path, key))
            else:
                near = did_you_mean(key, model.model_fields)
                if not near and not path and "trainer" in model.model_fields:
                    near = f"; options of TRL's own stand under `trainer:` (trainer.{_plain(str(key))})"
                problems.append(((*path, key), f"unknown key '{{key}}'{near}"))
        return problems
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if isinstance(value, list | tuple) and origin in (list, tuple) and arguments:
        for i, inner in enumerate(value):
            problems += _unknown_keys(arguments[0], inner, (*path, i))
    elif isinstance(value, dict) and origin is dict and arguments:
        for key, inner in value.items():
            problems += _unknown_keys(arguments[1], inner, (*path, key))
    return problems


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _model_of(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        models = [m for m in map(_model_of, typing.get_args(annotation)) if m is not None]
        return models[0] if len(models) == 1 else None
    return None
