#!/usr/bin/env bash
# Measures the kernels on this machine's GPU, beside a copy, cuDNN and PyTorch's own kernels where
# PyTorch is installed, and writes docs/benchmarks/gpu.md. One call does it all:
#
#   bench/gpu_report.sh [cuda:0|opencl:0] [--quick]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=${1:-cuda:0}
quick=${2-}
preset=cuda
[[ $device == cuda* ]] || preset=opencl
out=build/$preset/bench/device
python=${PYTHON:-python3} # one that has torch, for the peers

./dev build --target "$preset" halnorm_device_tests halnorm_device_bench
./dev test --target "$preset"
echo "measure $device"
"$out/halnorm_device_bench" "$device" ${quick:+"$quick"} | tee "$out/halnorm.jsonl"
figures=("$out/halnorm.jsonl")
if [[ $device == cuda* ]] &&
  "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  echo "measure cuDNN and PyTorch"
  "$python" bench/peers/torch_device_peer.py --device "$device" <"$out/halnorm.jsonl" |
    tee "$out/peers.jsonl"
  figures+=("$out/peers.jsonl")
else
  echo "no peers: $python has no torch that sees a GPU"
fi
name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1 || true)
.venv/bin/python bench/device/report.py --title "${name:-$device}" "${figures[@]}" \
  >"$out/gpu.md"
[[ $device != cuda* ]] || cp "$out/gpu.md" docs/benchmarks/gpu.md
echo "$out/gpu.md has the figures"
