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
#   --help, -h               this text
#
# Relative paths are relative to where this is called. FOLDER then holds rows-PART.jsonl (one line a stage; "reason"
# where it failed), log-PART.txt, clocks-PART.csv, ncu-*.csv, cupy-cache.tar; of a rehearsal, rehearsal-PART.jsonl and
# rehearsal-PART.txt alone. Earlier ones stay, as rows-PART.1.jsonl and so on. Exit: 0, 1 where a stage failed, 2 where
# nothing ran because an option is wrong.
set -uo pipefail
caller=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wrong() { echo "$1" >&2; exit 2; }
show_help() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$here/gpu_all.sh"; exit 0; }
python=python; theirs=""; variants=""; mnist=""; cache=""; list=0; rehearse=0; out=""
part=${1:-}
case $part in
  A | B | C) shift ;;
  --help | -h) show_help ;;
  *) wrong "name a part: A, B or C; --help is the head of this file" ;;
esac
value() {  # option, how many words are left, its value; options have no empty values and none that look like options
  [ "$2" -gt 1 ] || wrong "$1: a value is missing; --help is the head of this file"
  case $3 in "" | --*) wrong "$1: a value is missing (found '$3'); --help is the head of this file" ;; esac
}
from_caller() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$caller/$1" ;; esac; }
interpreter() { case $1 in */*) from_caller "$1" ;; *) printf '%s' "$1" ;; esac; }  # a bare name is sought in PATH
while [ $# -gt 0 ]; do
  case $1 in --out | --python | --triton-python | --variants | --mnist | --cache) value "$1" $# "${2:-}" ;; esac
  case $1 in
    --out) out=$(from_caller "$2"); shift 2 ;;
    --python) python=$(interpreter "$2"); shift 2 ;;
    --triton-python) theirs=$(interpreter "$2"); shift 2 ;;
    --variants) variants=$(from_caller "$2"); shift 2 ;;
    --mnist) mnist=$(from_caller "$2"); shift 2 ;;
    --cache) cache=$(from_caller "$2"); shift 2 ;;
    --list) list=1; shift ;;
    --rehearse) rehearse=1; shift ;;
    --help | -h) show_help ;;
    *) wrong "unknown option $1; --help is the head of this file" ;;
  esac
done
[ -n "$out" ] || [ $list = 1 ] || wrong "--out FOLDER: where results go"
executable() {  # option, its value
  local file=$2
  case $2 in */*) ;; *) file=$(type -P "$2") ;; esac
  [ -f "$file" ] && [ -x "$file" ] || wrong "$1: $2 is no program that can be run; give an interpreter"
}
[ $list = 1 ] || executable --python "$python"
[ -z "$theirs" ] || executable --triton-python "$theirs"
[ -z "$mnist" ] || [ -d "$mnist" ] || wrong "--mnist: $mnist is no folder; give the one that holds the four files"
[ -z "$cache" ] || { [ -f "$cache" ] && [ -r "$cache" ]; } || wrong "--cache: $cache is no file that can be read"
if [ -n "$variants" ]; then
  [ -d "$variants" ] || wrong "--variants: $variants is no folder; give one that holds NAME/cuda/*.cu"
  compgen -G "$variants/*/cuda" >/dev/null || wrong "--variants: $variants holds no NAME/cuda"
fi
cd "$here/../.." || exit 2
export PYTHONPATH=.:scripts/bench${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export CUPY_CACHE_DIR=${CUPY_CACHE_DIR:-${TMPDIR:-/tmp}/qmltrain-cupy-cache}
failed=0

keep_earlier() {  # results of earlier runs: A.txt becomes A.1.txt, or the first number that all of them have free
  local number=1 one taken=1
  while [ $taken = 1 ]; do
    taken=0
    for one in "$@"; do [ ! -e "${one%.*}.$number.${one##*.}" ] || taken=1; done
    [ $taken = 0 ] || number=$((number + 1))
  done
  for one in "$@"; do
    [ ! -e "$one" ] || mv "$one" "${one%.*}.$number.${one##*.}" || wrong "--out: $one cannot get another name"
  done
}

if [ $list = 0 ]; then
  mkdir -p "$out" 2>/dev/null && [ -w "$out" ] || wrong "--out: $out is no folder that can be made and written to"
  [ -z "$cache" ] || { mkdir -p "$CUPY_CACHE_DIR" && tar xf "$cache" -C "$CUPY_CACHE_DIR" 2>/dev/null; } ||
    wrong "--cache: $cache cannot be unpacked into $CUPY_CACHE_DIR; give cupy-cache.tar of a part A"
  if [ $rehearse = 1 ]; then
    rows=$out/rehearsal-$part.jsonl log=$out/rehearsal-$part.txt
    keep_earlier "$rows" "$log"
  else
    rows=$out/rows-$part.jsonl log=$out/log-$part.txt
    profiles=()
    [ "$part" != B ] || profiles=("$out/ncu-12.csv" "$out/ncu-20.csv")
    keep_earlier "$rows" "$log" "$out/clocks-$part.csv" "${profiles[@]}"
  fi
  : >"$rows"; : >"$log"
  said=$(mktemp -t qmltrain-gpu-XXXXXX)
  trap 'rm -f "$said"; [ -z "${sampler:-}" ] || kill "$sampler"' EXIT
  if [ $rehearse = 0 ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=timestamp,clocks.sm,power.draw,temperature.gpu --format=csv -lms 500 >"$out/clocks-$part.csv" &
    sampler=$!
  fi
fi

plain() { local text=${1//[\\\"]/}; printf '%s' "${text//[[:cntrl:]]/ }"; }  # as it may stand between quotes in JSON
stage() {  # seconds allowed, name, command: its last line is the result, the rest goes to the log
  local limit=$1 name=$2 line status reason="" before started=$SECONDS; shift 2
  if [ $list = 1 ]; then printf '%s\t%s\t%s\n' "$limit" "$name" "$*"; return; fi
  printf -- '-- %s: %s\n' "$name" "$*" >>"$log"
  before=$(wc -c <"$log")
  timeout -s KILL "$limit" "$@" >"$said" 2>>"$log"; status=$?  # (a pipe would wait for whatever outlives the limit)
  line=$(tail -1 "$said")
  if [ $status = 137 ]; then
    reason="killed, as at its limit of $limit s"
  elif [ $status != 0 ]; then
    reason=$(tail -c +$((before + 1)) "$log" | grep -a '[^[:space:]]' | tail -1)
    reason=${reason:-${line:-exit $status without a word}}
  elif [ -z "$line" ]; then
    reason="no result: its output ends in an empty line"
  elif [[ ! $line =~ ${must:-.} ]]; then  # pytest calls it a success if every test is skipped
    status=1 reason="nothing passed: $line"
  fi
  cat "$said" >>"$log"
  if [ -n "$reason" ]; then
    failed=1 reason=$(plain "$reason")
    echo "FAILED after $((SECONDS - started)) s: $name: $reason" >&2
    reason=", \"reason\": \"$reason\""
  fi
  case $line in
    "{"*"}") ;;
    *) line="\"$(plain "$line")\"" ;;
  esac
  printf '{"row": "%s", "part": "%s", "limit": %s, "seconds": %s, "exit": %s, "command": "%s", "result": %s%s}\n' \
    "$name" "$part" "$limit" $((SECONDS - started)) $status "${*//[\\\"]/}" "$line" "$reason" | tee -a "$rows"
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
    must="[1-9][0-9]* passed" stage 100 "tests" "$python" -m pytest -m gpu tests/engines/cuda/test_gpu.py -q -rs -n 8 \
      --maxfail 3 -o addopts="--strict-markers" -p no:cacheprovider
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
  if [ -n "$variants" ]; then for one in "$variants"/*/cuda; do others+=("$(basename "${one%/cuda}")"); done; fi
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
  [ "$part" != A ] || [ $rehearse = 1 ] || [ ! -d "$CUPY_CACHE_DIR" ] || tar cf "$out/cupy-cache.tar" -C "$CUPY_CACHE_DIR" .
  echo "results: $rows" >&2
fi
exit $failed
