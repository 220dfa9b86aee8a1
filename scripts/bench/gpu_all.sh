#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in under 20 minutes: the engine matrix, every row of the table in
# docs/performance-gpu.md, and triton-qml on the same circuits. One JSON line a row in docs/results/.
#
#   scripts/bench/gpu_all.sh [--triton-qml WHEEL_OR_REQUIREMENT] [--mnist FOLDER] [--python PYTHON] [--skip-tests]
#   scripts/bench/gpu_all.sh --rehearse        needs no GPU: every row of ours on a device that does nothing, 2 layers
#
# --mnist: a folder with the t10k files of MNIST; one epoch of experiment=mnist_amplitude is trained on it.
# With --triton-qml, `pip install` puts that wheel (and torch, triton) into a virtual environment of its own under
# ${TMPDIR:-/tmp}, so that it cannot disturb the environment that is measured.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=python; triton=""; mnist=""; tests=1; rehearse=0
while [ $# -gt 0 ]; do
  case $1 in
    --triton-qml) triton=$2; shift 2 ;;
    --mnist) mnist=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --skip-tests) tests=0; shift ;;
    --rehearse) rehearse=1; tests=0; shift ;;
    *) echo "unknown option $1; --help is the head of this file" >&2; exit 2 ;;
  esac
done
export PYTHONPATH=.:scripts/bench
if [ $rehearse = 1 ]; then
  out=$(mktemp -t qmltrain-gpu-rehearsal-XXXXXX)
else
  "$python" -c "
from qmltrain.engines.cuda import CudaEngine, unavailable_reason
reason = unavailable_reason()
raise SystemExit(reason or print(CudaEngine().describe()))" || exit 1
  gpu=$("$python" -c "
from qmltrain.engines.cuda import CudaEngine
print(''.join(c if c.isalnum() else '-' for c in CudaEngine().device.limits.name.lower()))")
  mkdir -p docs/results
  out=docs/results/gpu-$gpu-$(date +%Y%m%d-%H%M%S).jsonl
fi
failed=0
row() {  # seconds allowed, name, command
  local limit=$1 name=$2; shift 2
  local start=$SECONDS line
  if line=$(timeout "$limit" "$@" 2> >(tail -5 >&2) | tail -1) && [ -n "$line" ]; then
    printf '{"row": "%s", "command": "%s", "result": %s}\n' "$name" "${*//\"/}" "$line" | tee -a "$out"
  else
    echo "FAILED after $((SECONDS - start)) s: $name" >&2
    printf '{"row": "%s", "command": "%s", "result": null}\n' "$name" "${*//\"/}" >>"$out"
    failed=1
  fi
}
ours() {
  local limit=$1 name=$2; shift 2
  [ $rehearse = 0 ] || set -- "$@" --device null --layers 2 --repeats 1  # the last of an option counts
  row "$limit" "$name" "$python" scripts/bench/gpu_step.py "$@"
}

if [ $tests = 1 ]; then
  timeout 300 "$python" -m pytest -m gpu tests/engines/cuda/test_gpu.py -q -o addopts="-ra --strict-markers" || failed=1
fi
[ $rehearse = 1 ] || row 60 "copy bandwidth" "$python" scripts/bench/gpu_copy.py
ours 60 "HEA 4 qubits, 10 layers, 4,096 samples" --qubits 4 --layers 10 --batch 4096 --repeats 50
ours 60 "the same, without graphs" --qubits 4 --layers 10 --batch 4096 --repeats 50 --graphs off
ours 60 "host alone, HEA 4 qubits, 10 layers, 4,096 samples" --qubits 4 --layers 10 --batch 4096 --repeats 50 --device null
ours 60 "HEA 12 qubits, 100 layers, 1,000 samples" --qubits 12 --layers 100 --batch 1000 --repeats 20
ours 60 "HEA 12 qubits, 100 layers, 256 samples" --qubits 12 --layers 100 --batch 256 --repeats 20
ours 60 "HEA 16 qubits, 100 layers, 1,000 samples" --qubits 16 --layers 100 --batch 1000
ours 60 "HEA 20 qubits, 100 layers, 64 samples" --qubits 20 --layers 100 --batch 64
ours 120 "HEA 20 qubits, 1,000 layers, 64 samples" --qubits 20 --layers 1000 --batch 64 --repeats 3
ours 180 "HEA 20 qubits, 1,000 layers, 1,000 samples, 2 GiB" --qubits 20 --layers 1000 --batch 1000 --memory-gib 2 --repeats 1
ours 90 "strongly entangling 20 qubits, 100 layers, 64 samples" --qubits 20 --layers 100 --batch 64 --entangler strongly
ours 60 "amplitude encoding, 10 qubits, 100 layers, 8,000 samples" --qubits 10 --layers 100 --batch 8000 --encoding amplitude
ours 60 "complex128, 12 qubits, 100 layers, 64 samples" --qubits 12 --layers 100 --batch 64 --precision complex128
for mode in "reversible --interval 50" "checkpoint"; do
  # shellcheck disable=SC2086
  ours 60 "gradient mode $mode, 16 qubits, 100 layers, 64 samples" --qubits 16 --layers 100 --batch 64 --mode $mode
done
for n in 12 16 20; do
  ours 60 "fusion on, $n qubits, 10 layers" --qubits $n --layers 10 --batch $((1 << (24 - n) > 512 ? 512 : 1 << (24 - n)))
  ours 90 "fusion off, $n qubits, 10 layers" --qubits $n --layers 10 --batch $((1 << (24 - n) > 512 ? 512 : 1 << (24 - n))) --fusion off
done
if [ -n "$mnist" ]; then
  start=$(date +%s.%N)
  if QMLTRAIN_DATA=$mnist timeout 240 "$python" -m qmltrain train experiment=mnist_amplitude engine=cuda train.epochs=1 run.name=gpu-mnist; then
    printf '{"row": "MNIST, one epoch, 10 qubits, 100 layers", "result": {"seconds": %s}}\n' \
      "$("$python" -c "print($(date +%s.%N) - $start)")" | tee -a "$out"
  else
    failed=1
  fi
fi
if [ -n "$triton" ]; then
  environment=${TMPDIR:-/tmp}/qmltrain-triton-qml
  [ -x "$environment/bin/python" ] || { "$python" -m venv "$environment" && "$environment/bin/pip" install -q numpy torch "$triton"; }
  theirs() { local limit=$1 name=$2; shift 2; row "$limit" "$name" "$environment/bin/python" scripts/bench/gpu_triton_qml.py "$@"; }
  export PYTHONPATH=.:scripts/bench
  theirs 120 "triton-qml 12 qubits, 100 layers, 256 samples" --qubits 12 --layers 100 --batch 256 --chunk 256
  for block in 3 4; do
    theirs 60 "triton-qml 20 qubits, 100 layers, 64 samples, block $block" --qubits 20 --layers 100 --batch 64 --segment 14 --block $block --repeats 2
  done
  theirs 240 "triton-qml 20 qubits, 1,000 layers, 64 samples" --qubits 20 --layers 1000 --batch 64 --segment 14 --repeats 1
  theirs 150 "triton-qml 20 qubits, 1,000 layers, 32 samples" --qubits 20 --layers 1000 --batch 32 --chunk 32 --segment 14 --repeats 1
fi
echo "results: $out"
exit $failed
