#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in three parts that each fit one command of 7 minutes on a machine that is
# borrowed: every stage has a limit of its own, and what it found is in the folder --out as soon as it is over.
#
#   scripts/bench/gpu_all.sh A --out FOLDER       is it right, how fast: tests, 12 qubits, the headline circuit
#   scripts/bench/gpu_all.sh B --out FOLDER       where time goes: whole steps of the command, kernel times, ncu, memcheck
#   scripts/bench/gpu_all.sh C --out FOLDER       variants by turns, triton-qml, PyTorch by hand, fusion off, MNIST
#
#   --python PYTHON          the interpreter with CuPy (python); nothing is installed and no C++ is built
#   --triton-python PYTHON   one with torch, triton and triton-qml, for the rows of others in part C
#   --variants FOLDER        other kernels, FOLDER/NAME/cuda/*.cu, measured by turns with ours in part C (one at most)
#   --mnist FOLDER           the four files of MNIST; one epoch of experiment=mnist_amplitude in part C
#   --cache FILE             compiled kernels that an earlier part A left in its folder as cupy-cache.tar
#   --list                   the stages with their limits; runs nothing
#   --rehearse               needs no GPU: everything of ours on a device that does nothing, 2 layers
#
# FOLDER then holds rows-PART.jsonl (one line a stage), log-PART.txt, clocks-PART.csv, cupy-cache.tar.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=python; theirs=""; variants=""; mnist=""; cache=""; list=0; rehearse=0; out=""
part=${1:-}
case $part in A | B | C) shift ;; *) echo "name a part: A, B or C; --help is the head of this file" >&2; exit 2 ;; esac
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    --triton-python) theirs=$2; shift 2 ;;
    --variants) variants=$2; shift 2 ;;
    --mnist) mnist=$2; shift 2 ;;
    --cache) cache=$2; shift 2 ;;
    --list) list=1; shift ;;
    --rehearse) rehearse=1; shift ;;
    *) echo "unknown option $1; --help is the head of this file" >&2; exit 2 ;;
  esac
done
[ -n "$out" ] || [ $list = 1 ] || { echo "--out FOLDER: where results go" >&2; exit 2; }
export PYTHONPATH=.:scripts/bench${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export CUPY_CACHE_DIR=${CUPY_CACHE_DIR:-${TMPDIR:-/tmp}/qmltrain-cupy-cache}
failed=0
if [ $list = 0 ]; then
  mkdir -p "$out"
  rows=$out/rows-$part.jsonl log=$out/log-$part.txt
  : >"$rows"; : >"$log"
  said=$(mktemp -t qmltrain-gpu-XXXXXX)
  trap 'rm -f "$said"; [ -z "${sampler:-}" ] || kill "$sampler"' EXIT
  [ -z "$cache" ] || { mkdir -p "$CUPY_CACHE_DIR" && tar xf "$cache" -C "$CUPY_CACHE_DIR"; }
  if [ $rehearse = 0 ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=timestamp,clocks.sm,power.draw,temperature.gpu --format=csv -lms 500 >"$out/clocks-$part.csv" &
    sampler=$!
  fi
fi

stage() {  # seconds allowed, name, command: its last line is the result, the rest goes to the log
  local limit=$1 name=$2 line status started=$SECONDS; shift 2
  if [ $list = 1 ]; then printf '%s\t%s\t%s\n' "$limit" "$name" "$*"; return; fi
  printf -- '-- %s: %s\n' "$name" "$*" >>"$log"
  timeout -s KILL "$limit" "$@" >"$said" 2>>"$log"; status=$?  # (a pipe would wait for whatever outlives the limit)
  line=$(tail -1 "$said"); cat "$said" >>"$log"
  [ $status = 0 ] && [ -n "$line" ] || { failed=1; echo "FAILED after $((SECONDS - started)) s: $name" >&2; }
  case $line in
    "{"*"}") ;;
    *) line=${line//[\\\"]/}; line="\"${line//[[:cntrl:]]/ }\"" ;;
  esac
  printf '{"row": "%s", "part": "%s", "limit": %s, "seconds": %s, "exit": %s, "command": "%s", "result": %s}\n' \
    "$name" "$part" "$limit" $((SECONDS - started)) $status "${*//[\\\"]/}" "$line" | tee -a "$rows"
}
ours() {  # a step of the engine
  local limit=$1 name=$2; shift 2
  [ $rehearse = 0 ] || set -- "$@" --device null --layers 2 --repeats 1  # the last of an option counts
  stage "$limit" "$name" "$python" scripts/bench/gpu_step.py "$@"
}
script() {  # another script of ours
  local limit=$1 name=$2; shift 2
  [ $rehearse = 0 ] || set -- "$@" --rehearse
  stage "$limit" "$name" "$python" "$@"
}
tool() {  # a profiler or checker around a step: limit, name, its words up to --, those of the step
  local limit=$1 name=$2 words=(); shift 2
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  if [ $list = 1 ] || { [ $rehearse = 0 ] && command -v "${words[0]}" >/dev/null; }; then
    stage "$limit" "$name" "${words[@]}" "$python" scripts/bench/gpu_step.py "$@"
  elif [ $rehearse = 1 ]; then
    ours "$limit" "$name" "$@"
  else
    echo "left out: $name (no ${words[0]})" >&2
  fi
}
other() {  # a row of others, by their interpreter
  local limit=$1 name=$2; shift 2
  if [ -n "$theirs" ] || [ $list = 1 ]; then
    stage "$limit" "$name" "${theirs:-TRITON_PYTHON}" "$@"
  else
    echo "left out: $name (--triton-python)" >&2
  fi
}
hea12=(--qubits 12 --layers 100 --batch 1000)
hea20=(--qubits 20 --layers 100 --batch 64)

part_a() {
  script 15 "what is here" scripts/bench/gpu_probe.py --describe
  script 25 "multiply-adds and copies a second" scripts/bench/gpu_probe.py
  script 50 "kernels compiled, 8 processes" scripts/bench/gpu_warm.py --processes 8
  ours 25 "first contact, without graphs" --qubits 4 --layers 3 --batch 64 --graphs off
  ours 15 "first contact" --qubits 4 --layers 3 --batch 64
  if [ $rehearse = 0 ]; then
    stage 100 "tests" "$python" -m pytest -m gpu tests/engines/cuda/test_gpu.py -q -n 8 --maxfail 3 \
      -o addopts="--strict-markers" -p no:cacheprovider
  else
    stage 100 "tests" "$python" -m pytest -m gpu tests/engines/cuda/test_gpu.py -q --collect-only \
      -o addopts="--strict-markers" -p no:cacheprovider
  fi
  ours 75 "HEA 20 qubits, 1,000 layers, 1,000 samples, 2 GiB" --qubits 20 --layers 1000 --batch 1000 --memory-gib 2 --repeats 1
  ours 20 "HEA 12 qubits, 100 layers, 1,000 samples" "${hea12[@]}" --repeats 20
  ours 20 "HEA 20 qubits, 100 layers, 64 samples" "${hea20[@]}"
  ours 25 "strongly entangling 20 qubits, 100 layers, 64 samples" "${hea20[@]}" --entangler strongly
  ours 20 "HEA 16 qubits, 100 layers, 1,000 samples" --qubits 16 --layers 100 --batch 1000
}

part_b() {
  local n
  for n in 4 8 12; do
    script 30 "qmltrain train, HEA $n qubits" scripts/bench/gpu_train.py --qubits $n --layers $((n < 12 ? 10 : 100)) \
      --batch $((n < 12 ? 4096 : 1000)) --steps $((n < 12 ? 400 : 100))
  done
  ours 20 "kernel times, HEA 12 qubits" "${hea12[@]}" --times --repeats 3
  ours 25 "kernel times, HEA 20 qubits, 20 layers" --qubits 20 --layers 20 --batch 64 --times --repeats 3
  tool 45 "ncu, HEA 12 qubits" ncu -k regex:tile_pass -c 2 --set full --import-source yes --clock-control none \
    --page raw --csv --log-file "$out/ncu-12.csv" -- --qubits 12 --layers 100 --batch 1000 --graphs off --repeats 1
  tool 45 "ncu, HEA 20 qubits" ncu -k regex:tile_pass -c 4 --set full --clock-control none --page raw --csv \
    --log-file "$out/ncu-20.csv" -- --qubits 20 --layers 10 --batch 64 --graphs off --repeats 1
  ours 15 "HEA 4 qubits, 10 layers, 4,096 samples" --qubits 4 --layers 10 --batch 4096 --repeats 50
  ours 15 "the same, without graphs" --qubits 4 --layers 10 --batch 4096 --repeats 50 --graphs off
  ours 10 "host alone, HEA 4 qubits, 10 layers, 4,096 samples" --qubits 4 --layers 10 --batch 4096 --repeats 50 --device null
  ours 15 "HEA 12 qubits, 100 layers, 256 samples" --qubits 12 --layers 100 --batch 256 --repeats 20
  ours 20 "amplitude encoding, 10 qubits, 100 layers, 8,000 samples" --qubits 10 --layers 100 --batch 8000 --encoding amplitude
  ours 15 "complex128, 12 qubits, 100 layers, 64 samples" --qubits 12 --layers 100 --batch 64 --precision complex128
  ours 15 "a state kept every 50 moments, 16 qubits" --qubits 16 --layers 100 --batch 64 --mode reversible --interval 50
  ours 15 "gradient checkpointing, 16 qubits" --qubits 16 --layers 100 --batch 64 --mode checkpoint
  tool 40 "memcheck, 14 qubits" compute-sanitizer --tool memcheck --error-exitcode 1 -- \
    --qubits 14 --layers 2 --batch 8 --graphs off --repeats 1
}

part_c() {
  local pass name one others=()
  if [ -n "$variants" ]; then for one in "$variants"/*/; do others+=("$(basename "$one")"); done; fi
  [ $list = 0 ] || [ ${#others[@]} -gt 0 ] || others=(VARIANT)
  for pass in 1 2; do  # by turns: what changes with temperature or clock changes for all
    for name in ours "two samples a thread" "${others[@]:0:1}"; do
      case $name in
        ours) one=() ;;
        "two samples a thread") one=(--two-samples) ;;
        *) one=(--kernels "$variants/$name") ;;
      esac
      ours 12 "turn $pass, $name, 20 qubits" "${hea20[@]}" "${one[@]}"
      ours 12 "turn $pass, $name, 12 qubits" "${hea12[@]}" "${one[@]}"
    done
  done
  ours 12 "tiles of 2^11, 20 qubits" "${hea20[@]}" --tile-bits 11
  ours 12 "4 low bits, 20 qubits" "${hea20[@]}" --low-bits 4
  ours 12 "all memory of a multiprocessor shared, 12 qubits" "${hea12[@]}" --carveout 100
  other 45 "triton-qml 12 qubits, 100 layers, 256 samples" scripts/bench/gpu_triton_qml.py --qubits 12 --layers 100 --batch 256 --chunk 256
  other 65 "triton-qml 20 qubits, 100 layers, 64 samples" scripts/bench/gpu_triton_qml.py "${hea20[@]}" --segment 14 --repeats 2
  other 25 "PyTorch by hand, 12 qubits, 100 layers, 1,000 samples" scripts/bench/gpu_torch.py "${hea12[@]}"
  other 30 "PyTorch by hand, 20 qubits, 100 layers, 64 samples" scripts/bench/gpu_torch.py "${hea20[@]}" --segment 5 --chunk 16 --repeats 2
  ours 12 "fusion off, 16 qubits, 10 layers" --qubits 16 --layers 10 --batch 256 --fusion off
  ours 12 "fusion off, 20 qubits, 10 layers" --qubits 20 --layers 10 --batch 16 --fusion off
  if [ -n "$mnist" ] || [ $list = 1 ]; then
    script 45 "MNIST, one epoch, 10 qubits, 100 layers" scripts/bench/gpu_train.py --mnist "${mnist:-MNIST}"
  fi
}

case $part in A) part_a ;; B) part_b ;; C) part_c ;; esac
if [ $list = 0 ]; then
  [ "$part" != A ] || [ ! -d "$CUPY_CACHE_DIR" ] || tar cf "$out/cupy-cache.tar" -C "$CUPY_CACHE_DIR" .
  echo "results: $rows" >&2
fi
exit $failed
