"""One loader for every command: YAML file, then flags, into a frozen pydantic model.

YAML values become the defaults that `--help` shows; every field can be overridden
by a flag. Mistakes in the file are reported all at once, each with its line and,
where one is near, the name that was meant.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import tyro
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined
from tyro import _errors as tyro_errors  # its hook is the only way to word errors ourselves

from rulewright import paths, yaml12
from rulewright.errors import ConfigError

C = TypeVar("C", bound="CommandConfig")


# Values that no single flag can express; given in the file or by `--set`.
Options = tyro.conf.Fixed[tyro.conf.Suppress[dict[str, Any]]]


class CommandConfig(BaseModel):
    """The base of every command's configuration: frozen, no unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    @classmethod
    def mistakes(cls, values: Mapping[str, Any]) -> list[tuple[yaml12.Path, str]]:
        """Find what no field's own type can refuse: the place of each mistake, and what it is.

        Args:
            values: checked values of the keys that were given; those of wrong type are left out.
        """
        return []


def load(cls: type[C], argv: Sequence[str], prog: str, description: str = "") -> C:
    """Build a command's configuration from `--config FILE.yaml`, `--set` and flags.

    Args:
        cls: the configuration's class.
        argv: what follows the command's name.
        prog: the command's name, for `--help`.
        description: one paragraph for `--help`.

    Raises:
        ConfigError: the file or the flags cannot be what was meant; lists every mistake.
        SystemExit: `--help` was asked for.
    """
    path, overrides, rest = _split(argv)
    given = _check(cls, *_read(path, overrides))
    defaults = {name: given.get(name, _default(field)) for name, field in cls.model_fields.items()}
    with tyro_errors.on_parse_error(lambda event: _refuse(event, cls, prog)):
        parsed = tyro.cli(
            cls,
            prog=prog,
            description=_description(description, path, cls),
            args=rest,
            default=cls.model_construct(**defaults),
            config=(tyro.conf.AvoidSubcommands,),
        )
    # tyro hands such values through as text; ours are already checked.
    built = cast(C, parsed)
    return built.model_copy(update={name: defaults[name] for name in _file_only(cls)})


def _refuse(event: tyro_errors.ParseErrorEvent, cls: type[BaseModel], prog: str) -> None:
    """Say a wrong flag in our words, not in a box; tyro exits by itself for what is left."""
    see = f"see `{prog} --help`"
    match event:
        case tyro_errors.UnrecognizedArgs(tokens=tokens):
            flags = [token for token in tokens if token.startswith("-")] or tokens
            names = ["--" + name.replace("_", "-") for name in (*cls.model_fields, "config", "set")]
            listing = "\n".join(
                f"{prog}: unknown option {flag}{did_you_mean(flag.split('=')[0], names)}" for flag in flags
            )
            raise ConfigError(listing, see)
        case tyro_errors.MissingArgs(missing_arguments=missing):
            names = [_flag_name(item.arg) for item in missing]
            raise ConfigError(f"{prog}: missing {', '.join(names)}", f"give it, or {see}")
        case tyro_errors.BadValue(argument=argument, offending_value=value):
            what = "expects a value" if value is None else f"takes no value here (got {value!r})"
            raise ConfigError(f"{prog}: {_flag_name(argument)} {what}", see)
        case tyro_errors.InvalidChoice(argument=argument, value=value, choices=choices):
            near = did_you_mean(value, choices)
            raise ConfigError(
                f"{prog}: {_flag_name(argument)}: no choice {value!r}{near}",
                f"one of {', '.join(choices)}",
            )
        case tyro_errors.InstantiationFailure(message=message, argument=argument):
            name = f"{_flag_name(argument)}: " if argument is not None else ""
            raise ConfigError(f"{prog}: {name}{_flat(message)}", see)


def _flat(text: str) -> str:
    """Fold a library's message into one line, without its links and error codes."""
    text = re.sub(r"For further information visit \S+", "", text)
    text = re.sub(r"(Error parsing \w+: )?\d+ validation errors? for \w+", "", text)
    text = re.sub(r"\[type=\w+, input_value=(.*), input_type=\w+\]", r"(got \1)", text)
    return re.sub(r"\s+", " ", text).strip()


def _flag_name(argument: Any) -> str:
    lowered = argument.lowered
    flag = lowered.name_or_flags[-1] if lowered.name_or_flags else argument.field.intern_name
    return str(flag) if str(flag).startswith("-") else str(flag or argument.field.intern_name).upper()


def _description(text: str, path: Path | None, cls: type[BaseModel]) -> str:
    source = (
        f"Defaults below are those of {path}."
        if path
        else "Defaults can come from a file: --config FILE.yaml."
    )
    nested = _file_only(cls)
    if nested:
        source += f" Only in the file or by --set KEY.PATH=VALUE: {', '.join(nested)}."
    return f"{text.strip()}\n\n{source}" if text else source


def _file_only(cls: type[BaseModel]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if tyro.conf.Fixed in field.metadata]


def _default(field: Any) -> Any:
    if field.default_factory is not None:
        return field.default_factory()
    return tyro.MISSING if field.default is PydanticUndefined else field.default


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
            path = Path(value)
        else:
            overrides.append(value)
    return path, overrides, rest


def read_file(cls: type[BaseModel], path: Path) -> dict[str, Any]:
    """Read and check a YAML configuration; give the validated value of each key in it.

    Raises:
        ConfigError: listing every mistake as `file:line: …`.
    """
    return _check(cls, *_read(path, []))


def read_raw(path: Path) -> dict[str, Any]:
    """Give a YAML configuration as it stands, its values unchecked.

    Raises:
        ConfigError: no such file, or no mapping in it.
    """
    return _parse(path, {})


def _read(path: Path | None, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[yaml12.Path, int], str]:
    """Give the raw values, the line of each key, and the name of their place."""
    lines: dict[yaml12.Path, int] = {}
    values = _expanded(_parse(path, lines), lines, path) if path is not None else {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: expected KEY.PATH=VALUE", "e.g. --set mix.0.weight=2")
        _assign(values, key.split("."), yaml12.load(text), override)
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
        raise ConfigError(f"--set {override}: no such place ({error})", "lists count from 0") from error


def _parse(path: Path, lines: dict[yaml12.Path, int]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, known, n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "check the path"
        raise ConfigError(f"{path}: no such configuration file", hint) from None
    except (OSError, UnicodeDecodeError) as error:
        hint = "name a file in it" if path.is_dir() else "it must be UTF-8 text"
        raise ConfigError(f"{path}: cannot be read ({error})", hint) from error
    if _is_data(path, text):
        raise ConfigError(
            f"{path}:1: these are data, not a configuration",
            "a configuration is YAML, `key: value` lines; name data files in it, or as an argument",
        )
    try:
        values = yaml12.load(text, lines=lines)
    except yaml12.YamlError as error:
        raise ConfigError(f"{path}:{error.line}: not valid YAML: {error}", "mend the line") from error
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
            result[name] = _validate_field(cls, name, value)
        except ValidationError as error:
            problems += [
                (_loc_path((name, *item["loc"]), lines), _readable(item))
                for item in error.errors()
                if item["type"] != "extra_forbidden"
            ]
    if issubclass(cls, CommandConfig):
        problems += [(_loc_path(where, lines), _plain(what)) for where, what in cls.mistakes(result)]
    if problems:
        placed = sorted((lines.get(where, 0), _dotted(where), what) for where, what in problems)
        listing = "\n".join(
            f"{place}:{line}: {what.format(key=key)}" if line else f"{place}: {what.format(key=key)}"
            for line, key, what in placed
        )
        raise ConfigError(listing, "mend it; nothing was run")
    return result


def _validate_field(cls: type[BaseModel], name: str, value: Any) -> Any:
    field = cls.model_fields[name]
    annotation: Any = field.annotation
    if field.metadata:
        annotation = typing.Annotated[(annotation, *field.metadata)]
    return TypeAdapter(annotation).validate_python(value)


def _readable(item: Any) -> str:
    got = repr(item["input"])
    got = got if len(got) <= 60 else got[:57] + "..."
    message = item["msg"]
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


def _dotted(path: yaml12.Path) -> str:
    return ".".join(str(part) for part in path)


def _unknown_keys(annotation: Any, value: Any, path: yaml12.Path) -> list[tuple[yaml12.Path, str]]:
    """Find keys that no model knows, everywhere in a nested value."""
    problems: list[tuple[yaml12.Path, str]] = []
    model = _model_of(annotation)
    if model is not None and isinstance(value, dict):
        for key, inner in value.items():
            if key in model.model_fields:
                problems += _unknown_keys(model.model_fields[key].annotation, inner, (*path, key))
            else:
                problems.append(
                    ((*path, key), f"unknown key '{{key}}'{did_you_mean(key, model.model_fields)}")
                )
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


def did_you_mean(word: str, known: Sequence[str] | typing.Iterable[str]) -> str:
    """Give `; did you mean 'x'?` for the nearest known word, or nothing.

    >>> did_you_mean("wieght", ["weight", "seed"])
    "; did you mean 'weight'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
