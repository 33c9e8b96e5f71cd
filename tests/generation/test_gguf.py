"""A GGUF file as a model: converted once, whole or not at all, refused with a reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rulewright.data.schemas import NormalizedRecord
from rulewright.prompts import Message

pytest.importorskip("torch")
pytest.importorskip("gguf")

from tests.generation import ggufs
from tests.waiting import wait_until

from rulewright.errors import UsageError
from rulewright.generation import GeneratorConfig, Sampling, checkpoint_facts, gguf, open_generator
from rulewright.generation.open import require_checkpoint
from rulewright.training.architecture import Architecture

PROMPT: list[Message] = [{"role": "user", "content": "def f(x): return x == None"}]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ggufs.write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*")]


def test_weights_and_tokenizer_are_those_of_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(gguf.checkpoint(str(file)))
    said = capsys.readouterr().err
    assert f"checkpoint: {folder} (converted from {file})" in said
    assert folder.parent == Path("models/base") and folder.name.startswith("tiny-")
    converted = AutoModelForCausalLM.from_pretrained(folder)
    original = ggufs.make_llama()
    ids = torch.tensor([[1, 5, 77, 200, 30, 2]])
    assert converted.dtype == torch.float32
    torch.testing.assert_close(converted(ids).logits, original(ids).logits, rtol=1e-4, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(PROMPT, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\ndef f(x): return x == None<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token == "<|im_end|>"
    assert not left_over(folder.parent) and not left_over(folder)


@pytest.mark.parametrize(("kind", "dtype"), [("Q8_0", "bfloat16"), ("Q4_1", "bfloat16"), ("F16", "float16")])
def test_quantized_weights_are_unpacked(tmp_path: Path, kind: str, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = gguf.checkpoint(str(ggufs.write_gguf(tmp_path / "tiny.gguf", kind=kind)))
    assert "quantization_config" not in json.loads(Path(folder, "config.json").read_text())
    converted = AutoModelForCausalLM.from_pretrained(folder)
    assert str(converted.dtype) == f"torch.{dtype}"
    wanted = ggufs.make_llama().model.layers[1].mlp.up_proj.weight
    got = converted.model.layers[1].mlp.up_proj.weight.float()
    assert torch.corrcoef(torch.stack([wanted.flatten(), got.flatten()]))[0, 1] > 0.99


def test_it_is_converted_once_and_another_file_is_another_folder(tmp_path: Path) -> None:
    file = ggufs.write_gguf(tmp_path / "model")  # Ollama's files have no ending
    folder = Path(gguf.checkpoint(str(file)))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert gguf.checkpoint(str(file)) == str(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    ggufs.write_gguf(file, ggufs.make_llama(seed=1))
    assert gguf.checkpoint(str(file)) != str(folder)
    (folder / "model.safetensors").unlink()
    ggufs.write_gguf(file)
    assert gguf.checkpoint(str(file)) == str(folder)
    assert (folder / "model.safetensors").exists()


def test_it_answers_and_names_itself_by_its_content(file: Path) -> None:
    spec = GeneratorConfig(model=str(file), device="cpu")
    with open_generator(spec) as generator:
        answers = generator.generate([PROMPT], Sampling(max_new_tokens=4))
    assert answers[0][0].n_tokens > 0
    digest = checkpoint_facts(spec)["digest"]
    assert digest and Path(gguf.checkpoint(str(file))).name.endswith(digest[:12])


def test_plan_reads_the_header(file: Path) -> None:
    model = ggufs.make_llama()
    arch = Architecture.of(str(file))
    assert (arch.hidden, arch.layers, arch.kv_heads, arch.vocabulary, arch.tied) == (64, 2, 2, 261, True)
    assert arch.total == sum(p.numel() for p in model.parameters())


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        require_checkpoint(str(path))
    assert caught.value.hint and str(path) in caught.value.message
    return caught.value


def test_an_unknown_architecture(tmp_path: Path) -> None:
    failure = refusal(ggufs.write_gguf(tmp_path / "x.gguf", architecture="whisperx"))
    assert "'whisperx'" in failure.message and "llama" in failure.hint


def test_no_tokenizer(tmp_path: Path) -> None:
    assert "no tokenizer" in refusal(ggufs.write_gguf(tmp_path / "x.gguf", tokenizer=False)).message


def test_one_part_of_several(tmp_path: Path) -> None:
    assert "one of 3 parts" in refusal(ggufs.write_gguf(tmp_path / "x.gguf", parts=3)).message


def test_a_tensor_is_missing(tmp_path: Path) -> None:
    """Which transformers would draw at random."""
    path = ggufs.write_gguf(tmp_path / "x.gguf", without="blk.0.ffn_up.weight")
    with pytest.raises(UsageError, match=r"1 of its weights are missing, model\.layers\.0\.mlp\.up_proj"):
        gguf.checkpoint(str(path))
    assert not left_over(tmp_path)


def test_not_a_gguf(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"PK\3\4 something else")
    assert "is not a GGUF file" in refusal(tmp_path / "x.gguf").message
    (tmp_path / "empty.gguf").touch()
    assert "is not a GGUF file" in refusal(tmp_path / "empty.gguf").message
    with pytest.raises(UsageError, match="no such checkpoint folder or GGUF file"):
        require_checkpoint("owner/absent.gguf")


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.05, 0.5, 0.999])
def test_cut_short(file: Path, tmp_path: Path, share: float) -> None:
    whole = file.read_bytes()
    (tmp_path / "x.gguf").write_bytes(whole[: max(6, int(len(whole) * share))])
    failure = refusal(tmp_path / "x.gguf")
    assert "is incomplete" in failure.message or "ends within its header" in failure.message
    assert failure.hint == "download it again"


@pytest.mark.parametrize("place", range(8, 24))
def test_a_damaged_header_is_no_traceback(file: Path, tmp_path: Path, place: int) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[place] = 0xFF
    (tmp_path / "x.gguf").write_bytes(damaged)
    refusal(tmp_path / "x.gguf")


def convert_in_a_process(file: Path, cwd: Path, before: str = "") -> subprocess.Popen[str]:
    code = (
        f"import sys\n{before}\nfrom rulewright.generation import gguf\nprint(gguf.checkpoint(sys.argv[1]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_killed_while_it_converts_leaves_nothing_that_looks_whole(file: Path, tmp_path: Path) -> None:
    process = convert_in_a_process(file, tmp_path)
    base = tmp_path / "models/base"
    assert wait_until(lambda: list(base.glob(".*.part")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list(base.glob("tiny-*"))
    folder = Path(gguf.checkpoint(str(file)))
    assert gguf.is_whole(folder) and not left_over(base)


def test_two_processes_convert_it_once(file: Path, tmp_path: Path) -> None:
    processes = [convert_in_a_process(file, tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len({out for out, _ in outputs}) == 1
    assert sum("converting it" in err for _, err in outputs) == 1


def test_a_full_disk_is_one_message(file: Path, tmp_path: Path) -> None:
    # No file may grow beyond 64 KiB: what a full disk does, without filling one.
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"
    code = (
        f"import sys\n{limit}\nfrom rulewright.cli import main\n"
        "sys.exit(main(['eval', 'actions', '--model', sys.argv[1], '--input', sys.argv[2]]))"
    )
    from rulewright.data.schemas import RecordMetadata, record_id

    record = NormalizedRecord(
        instruction="Use `b`.", pre="a\n", post="b\n", language="python", tags=[],
        metadata=RecordMetadata(
            id=record_id("Use `b`.", "a\n", "b\n", "python"), source="s", license="mit", group="g",
            action="id: r\nlanguage: python\nrule: {pattern: a}\nfix: b\n",
        ),
    )  # fmt: skip
    (tmp_path / "rows.jsonl").write_text(record.to_json() + "\n")
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(tmp_path / "rows.jsonl")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr and "run again" in done.stderr
    assert "Traceback" not in done.stderr
    base = tmp_path / "models/base"
    assert not list(base.glob("tiny-*")) and not left_over(base)


def test_without_the_package_the_message_has_the_line_that_installs_it(file: Path, tmp_path: Path) -> None:
    absent = (
        "class Absent:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'gguf': raise ImportError(name)\nsys.meta_path.insert(0, Absent())"
    )
    process = convert_in_a_process(file, tmp_path, absent)
    _, err = process.communicate()
    assert process.returncode != 0 and "pip install 'rulewright[gguf]'" in err
