"""GGUF files, as llama.cpp and Ollama keep models: read the header, convert once.

Invariant: a conversion is named by the file's content, so another file never stands in for it. Weights
are unpacked, not computed with in quantized form; the precision that quantization lost is not restored.
"""

from __future__ import annotations

import io
import struct
from contextlib import redirect_stderr
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

from rulewright import console, folders, jsonl
from rulewright.digests import file_sha256
from rulewright.errors import UsageError, first_line, needed
from rulewright.generation.notes import NOTE_FILE, checkpoint_note

BASES: Final = Path("models/base")
"""Where base models lie that were fetched or converted here."""
_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_STRING: Final = 8
_ARRAY: Final = 9
# The format's numbers for plain values, as `struct` writes them.
_PLAIN: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# Bounds that no real header reaches, so that a damaged count cannot keep us busy.
_MOST_ENTRIES: Final = 1 << 24
_LONGEST_TEXT: Final = 1 << 26


@dataclass(frozen=True)
class Tensor:
    """Location of a tensor in the file; `kind` is ggml's type number."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    """From the start of the data, in bytes."""


@dataclass(frozen=True)
class Header:
    """The header before the weights. Arrays in `metadata` are replaced by their length, because they are
    long and not needed.
    """

    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]
    data_start: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def value(self, key: str) -> Any:
        """A value of the architecture's own, e.g. `block_count`."""
        return self.metadata.get(f"{self.architecture}.{key}")


def checkpoint(model: str) -> str:
    """A path that transformers can load, for a model as the user names it.

    A GGUF file is converted, once, to a checkpoint folder in `models/base`; anything else
    is given back as it is.

    Raises:
        UsageError: the file is no GGUF, is cut short, or is of a kind that cannot be converted.
        MissingDependency: gguf or transformers are not installed.
        RulewrightError: the disk is full.
    """
    source = Path(model)
    if not source.is_file():
        return model
    header = require(source)
    digest = file_sha256(source)
    folder = BASES / f"{source.stem}-{digest[:12]}"
    note = {"converted_from": str(source), "sha256": digest}

    def make(part: Path) -> None:
        console.say(f"{source}: converting it to a checkpoint, once")
        convert(source, header, part, note)

    folders.make_whole(folder, make, lambda: is_whole(folder))
    console.decided("checkpoint", folder, f"converted from {source}")
    return str(folder)


def is_whole(folder: Path) -> bool:
    """Whether a conversion has all its files, each of its noted size."""
    files: dict[str, int] = checkpoint_note(str(folder)).get("files", {})
    return bool(files) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in files.items()
    )


def require(path: Path) -> Header:
    """Check, without loading weights, that a file can be converted.

    Raises:
        UsageError: what is wrong with it, and what to do.
        MissingDependency: gguf or transformers are not installed.
    """
    header = read_header(path)
    parts = header.metadata.get("split.count", 0)
    if parts > 1:
        raise UsageError(
            f"{path}: is one of {parts} parts of a model",
            "join them with llama.cpp: llama-gguf-split --merge FIRST_PART.gguf WHOLE.gguf",
        )
    if not header.metadata.get("tokenizer.ggml.tokens"):
        raise UsageError(f"{path}: holds no tokenizer", "use a GGUF of a whole language model")
    _require_architecture(path, header.architecture)
    _require_all_weights(path, header)
    return header


def _require_architecture(path: Path, architecture: str) -> None:
    with needed("transformers with torch", "a GGUF file", "train"):
        from transformers import modeling_gguf_pytorch_utils as legacy
    known = set(legacy.GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}
    try:
        from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS

        known |= set(GGUF_ARCHS)
    except ImportError:  # an older transformers
        pass

    def plain(name: str) -> str:
        return name.replace("-", "").replace("_", "")

    if plain(architecture) not in {plain(name) for name in known}:
        raise UsageError(
            f"{path}: architecture {architecture or '(none)'!r} cannot be converted",
            f"use the original checkpoint, or a GGUF of one of: {', '.join(sorted(known))}",
        )


def _require_all_weights(path: Path, header: Header) -> None:
    with needed("gguf", "a GGUF file", "gguf"):
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    if not header.tensors:
        raise UsageError(f"{path}: holds no weights", "use a GGUF of a whole language model")
    end = header.data_start
    for tensor in header.tensors:
        try:
            block, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"{path}: {tensor.name}: weights of type {tensor.kind}, which the gguf package does not know",
                "use a file of another quantization (Q4_K_M, Q8_0, F16, …)",
            ) from error
        end = max(end, header.data_start + tensor.offset + prod(tensor.shape) // block * n_bytes)
    size = path.stat().st_size
    if size < end:
        raise UsageError(f"{path}: is incomplete: {size:,} of {end:,} bytes", "download it again")


def convert(source: Path, header: Header, folder: Path, note: dict[str, Any]) -> None:
    """Write the checkpoint of a GGUF file into an empty folder; the note comes last.

    Weights become bfloat16, but for files that hold plain floats: they keep their type.

    Raises:
        UsageError: transformers cannot read it.
        OSError: the disk is full.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    from rulewright.generation.weights import load_model

    link = folder / "source.gguf"
    link.symlink_to(source.resolve())
    counts: dict[int, int] = {}
    for tensor in header.tensors:
        counts[tensor.kind] = counts.get(tensor.kind, 0) + prod(tensor.shape)
    most = max(counts, key=lambda kind: counts[kind])
    dtype = {0: torch.float32, 1: torch.float16}.get(most, torch.bfloat16)
    options: dict[str, Any] = {"dtype": dtype, **_unpacked()}
    # Without the libraries' bars and warnings; what goes wrong is raised all the same.
    with redirect_stderr(io.StringIO()):
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=link.name)
            model = load_model(str(folder), gguf_file=link.name, **options)
        except Exception as error:  # of any class: tokenizers raises bare ones; nothing is written meanwhile
            raise UsageError(
                f"{source}: cannot be converted ({first_line(error)})",
                "use the original checkpoint, or a GGUF of another kind",
            ) from error
        link.unlink()
        # The weights are plain now; what says otherwise would forbid saving, and mislead who loads them.
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.config.name_or_path = ""
        try:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except SafetensorError as error:
            raise OSError(None, str(error)) from error
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    jsonl.write_json(folder / NOTE_FILE, {**note, "files": files})


def _unpacked() -> dict[str, Any]:
    """Have newer releases of transformers unpack the weights, instead of computing with them as they are."""
    try:
        from transformers.utils.quantization_config import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def read_header(path: Path) -> Header:
    """Read the header before the weights.

    Raises:
        UsageError: it is not a GGUF file, has an unknown version, or ends inside its header.
    """
    with jsonl.require_file(path).open("rb") as stream:
        if stream.read(4) != _MAGIC:
            raise UsageError(
                f"{path}: is not a GGUF file (it does not begin with GGUF)",
                "a model is a checkpoint folder, a hub name, an adapter folder or a GGUF file",
            )
        reader = _Reader(stream)
        try:
            return _header(path, reader)
        except (EOFError, struct.error, UnicodeDecodeError) as error:
            raise UsageError(
                f"{path}: ends within its header, or is damaged there (byte {stream.tell():,})",
                "download it again",
            ) from error


def _header(path: Path, reader: _Reader) -> Header:
    version = reader.number("I")
    if version not in _VERSIONS:
        raise UsageError(
            f"{path}: GGUF version {version}; 2 and 3 can be read",
            "convert it again with a current llama.cpp",
        )
    n_tensors, n_values = reader.count(), reader.count()
    metadata = {}
    for _ in range(n_values):
        key = reader.text()
        metadata[key] = reader.value(reader.number("I"))
    tensors = []
    for _ in range(n_tensors):
        name = reader.text()
        shape = tuple(reader.number("Q") for _ in range(reader.number("I")))
        tensors.append(Tensor(name, shape, reader.number("I"), reader.number("Q")))
    alignment = int(metadata.get("general.alignment", 32)) or 32
    start = -(-reader.tell() // alignment) * alignment
    return Header(metadata, tuple(tensors), start)


class _Reader:
    """Little-endian values from a file; `EOFError` where it ends too early or a count is absurd."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def tell(self) -> int:
        return self._stream.tell()

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))[0]

    def count(self) -> int:
        found: int = self.number("Q")
        if found > _MOST_ENTRIES:
            raise EOFError
        return found

    def text(self) -> str:
        return self._bytes(self.number("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        """One value; of an array, its length."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_PLAIN[kind]) if kind in _PLAIN else self._absurd()
        inner, n = self.number("I"), self.count()
        if inner == _STRING:
            for _ in range(n):
                self._bytes(self.number("Q"))
        elif inner in _PLAIN:
            self._bytes(n * struct.calcsize(f"<{_PLAIN[inner]}"))
        else:
            self._absurd()
        return n

    def _bytes(self, n: int) -> bytes:
        if n > _LONGEST_TEXT or len(found := self._stream.read(n)) < n:
            raise EOFError
        return found

    def _absurd(self) -> Any:
        raise EOFError
