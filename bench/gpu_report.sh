#!/usr/bin/env bash
# Measures the kernels on this machine's GPU, beside a copy, cuDNN and PyTorch's own kernels where
# they are installed, and writes docs/benchmarks/gpu.md. One call does it all:
#
#   bench/gpu_report.sh [cuda:0|opencl:0] [--quick]
#
# PYTHON names a python that has torch; cuDNN is taken from its packages, or from CUDNN and CUDA,
# folders that hold include and lib.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=${1:-cuda:0}
quick=${2-}
preset=cuda
[[ $device == cuda* ]] || preset=opencl
out=build/$preset/bench/device
python=${PYTHON:-python3}

# The folder of a package of NVIDIA's, as pip installs it.
package() {
  "$python" -c "import nvidia; print(list(nvidia.__path__)[0] + '/$1')" 2>/dev/null
}

bench_cudnn() {
  local cudnn=${CUDNN:-$(package cudnn)} cuda=${CUDA:-$(package cu13)}
  [[ -d $cudnn/include && -d $cuda/include ]] || { echo "no cuDNN found: see CUDNN" && return 0; }
  "${CXX:-g++}" -std=c++20 -O2 -Wno-deprecated-declarations -isystem "$cudnn/include" \
    -isystem "$cuda/include" bench/device/cudnn_bench.cpp -o "$out/cudnn_bench" \
    -L"$cudnn/lib" -L"$cuda/lib" -l:libcudnn.so.9 -l:libcudnn_ops.so.9 -l:libcudart.so.13 \
    "-Wl,-rpath,$cudnn/lib:$cuda/lib"
  echo "measure cuDNN"
  "$out/cudnn_bench" ${quick:+"$quick"} | tee "$out/cudnn.jsonl"
  figures+=("$out/cudnn.jsonl")
}

bench_torch() {
  "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null ||
    { echo "$python has no torch that sees a GPU: see PYTHON" && return 0; }
  echo "measure PyTorch"
  "$python" bench/peers/torch_device_peer.py --device "$device" <"$out/halnorm.jsonl" |
    tee "$out/torch.jsonl"
  figures+=("$out/torch.jsonl")
}

./dev build --target "$preset" halnorm_device_tests halnorm_device_bench
./dev test --target "$preset"
echo "measure $device"
"$out/halnorm_device_bench" "$device" ${quick:+"$quick"} | tee "$out/halnorm.jsonl"
figures=("$out/halnorm.jsonl")
if [[ $device == cuda* ]]; then
  bench_cudnn
  bench_torch
fi
name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1 || true)
.venv/bin/python bench/device/report.py --title "${name:-$device}" "${figures[@]}" >"$out/gpu.md"
[[ $device != cuda* ]] || cp "$out/gpu.md" docs/benchmarks/gpu.md
echo "$out/gpu.md has the figures"
