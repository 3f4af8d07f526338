#!/usr/bin/env bash
# Checks the suite on a CUDA machine without network: builds mmcv's CUDA operators, runs the CUDA tests (operator and
# models against the CPU) and a training step of oneformer:mini under automatic mixed precision.
#
#   tests/cuda_check.sh --collect DIR [PYTHON_VERSION]   where there is network, after `make full`: fill DIR (about 12 MB)
#   tests/cuda_check.sh DIR                              on the CUDA machine: install from DIR and check
#
# The CUDA machine brings Python 3.11 or 3.12 with torch (>=2.4,<2.14, CUDA build), its nvcc, numpy, scipy, pandas,
# matplotlib, jinja2, tqdm, opencv, safetensors, transformers, hypothesis and pytest. Which Python: $PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly list=tests/cuda_carry.txt
PYTHON=${PYTHON:-python3}

pinned() { # NAME==VERSION as constraints.txt has it
    grep -iE "^$1==" constraints.txt || grep -oiE "^$1==[^ ]+" benchmark/installation/panopticapi.txt
}

collect() { # DIR PYTHON_VERSION
    local name platforms=()
    for glibc in 2_17 2_24 2_26 2_27 2_28 2_31 2_34; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
    platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)
    mkdir -p "$1"
    while read -r name; do
        .venv/bin/python -m pip download --quiet --no-deps --only-binary=:all: --python-version "$2" \
            --implementation cp "${platforms[@]}" --dest "$1" "$(pinned "$name")"
    done < <(grep -v '^#' "$list")
    for name in onedl-mmcv onedl-mmdetection; do
        .venv/bin/python -m pip download --quiet --no-deps --no-build-isolation --no-binary "$name" \
            --dest "$1" "$(pinned "$name")"
    done
    echo "Collected $(find "$1" -type f | wc -l) archives for Python $2 in $1"
}

check() { # DIR
    "$PYTHON" benchmark/environment.py --level full --torch present --operators cuda --carry "$1"
    local python=.venv/bin/python
    "$python" -c "import mmcv.ops, torch; print('mmcv operators: CUDA', mmcv.ops.get_compiling_cuda_version(), \
        '- torch', torch.__version__, '-', torch.cuda.get_device_name())"
    HF_HUB_OFFLINE=1 "$python" -m pytest -v -m gpu tests/test_cuda.py
    echo "CUDA check passed: operators, models and a mixed-precision training step"
}

case "${1:---help}" in
    --collect) collect "${2:?name the folder to fill}" "${3:-3.12}" ;;
    --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0" ;;
    *) [ -d "$1" ] || { echo "The folder $1 does not exist. Fill it with: $0 --collect $1" >&2; exit 2; }
        check "$(realpath "$1")" ;;
esac
