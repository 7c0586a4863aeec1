#!/usr/bin/env bash
# Measures the kernels on this machine's GPU, beside a copy, and beside cuDNN and PyTorch's own
# kernels if they are installed. Writes docs/benchmarks/gpu.md. One call does all of this:
#
#   bench/gpu_report.sh [cuda:0|opencl:0] [--quick]
#
# --quick: shapes that a slow device can do. PYTHON names a python that has torch; cuDNN is taken
# from its packages, or from CUDNN and CUDA, folders that hold include and lib.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=${1:-cuda:0}
preset=cuda
[[ $device == cuda* ]] || preset=opencl
out=build/$preset/bench
python=${PYTHON:-python3}
shapes=$(sed '1d; s/,.*//' bench/suite/shapes.csv | paste -sd ,)
[[ ${2-} != --quick ]] || shapes=20x100,128x1024,4096x256,8x512x64,64x512x7,16x128x784,64x3x4096

# The folder of a package of NVIDIA's, as pip installs it.
package() {
  "$python" -c "import nvidia; print(list(nvidia.__path__)[0] + '/$1')" 2>/dev/null
}

measure() {
  local name=$1
  shift
  echo "measure $name"
  "$@" "--shape=$shapes" --dtypes=f32,f16,bf16 --threads=1 --benchmark_repetitions=7 \
    --benchmark_min_time=0.01 --benchmark_filter='^(train|infer|backward)/' \
    "--benchmark_out=$out/$name.json"
  figures+=("$out/$name.json")
}

bench_cudnn() {
  local cudnn=${CUDNN:-$(package cudnn)} cuda=${CUDA:-$(package cu13)}
  [[ -d $cudnn/include && -d $cuda/include ]] || { echo "no cuDNN found: see CUDNN" && return 0; }
  "${CXX:-g++}" -std=c++20 -O2 -fopenmp -Wno-deprecated-declarations -Iinclude \
    -isystem "$cudnn/include" -isystem "$cuda/include" bench/device/cudnn_bench.cpp \
    -o "$out/cudnn_bench" "$out/libhalnorm_bench_suite.a" "build/$preset/runtime/libhalnorm.a" \
    "build/$preset/generators/libhalnorm_kernels.a" -lbenchmark -ldl -L"$cudnn/lib" -L"$cuda/lib" \
    -l:libcudnn.so.9 -l:libcudnn_ops.so.9 -l:libcudart.so.13 "-Wl,-rpath,$cudnn/lib:$cuda/lib"
  measure cudnn "$out/cudnn_bench"
}

bench_torch() {
  "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null ||
    { echo "$python has no torch that sees a GPU: see PYTHON" && return 0; }
  measure torch "$python" bench/peers/torch_peer.py "--device=$device"
}

./dev build --target "$preset" halnorm_device_tests halnorm_bench
./dev test --target "$preset"
figures=()
measure halnorm "$out/halnorm_bench" "--device=$device"
if [[ $device == cuda* ]]; then
  bench_cudnn
  bench_torch
fi
name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1 || true)
PYTHONPATH=bench .venv/bin/python bench/device/report.py --title "${name:-$device}" \
  "${figures[@]}" >"$out/gpu.md"
[[ $device != cuda* ]] || cp "$out/gpu.md" docs/benchmarks/gpu.md
echo "$out/gpu.md has the figures"
