#!/bin/bash
# The tests of concurrency with ThreadSanitizer, on a core that is compiled with it: ./run.sh FOLDER [pytest's arguments]
#
# FOLDER is for what is built. The variable PYTHON names an interpreter that has numpy, onnx, pybind11 and what the tests
# need. The core runs on threads of its own, which are instrumented, and the locks of the rest of the process are known; so
# what it does needs no suppression. suppressions.txt says what does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
shift
python=${PYTHON:-python3}
export CXX=${CXX:-g++}
pybind11=$("$python" -m pybind11 --cmakedir)

cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS=-fsanitize=thread \
  -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON -Dpybind11_DIR="$pybind11" \
  -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')"
cmake --build "$build" --parallel 2

# The package with this core in place of the installed one.
rm -rf "$build/lrpfast"
cp -r "$root/python/lrpfast" "$build/lrpfast"
rm -f "$build"/lrpfast/_native.*.so
cp "$build"/_native.*.so "$build/lrpfast/"

# ThreadSanitizer needs memory at addresses of its choice (so none are random), more than a limit would leave, and to be
# told that forked processes start threads again.
cd "$root"
[ $# -gt 0 ] || set -- tests/concurrency
export PYTHONPATH="$build${PYTHONPATH:+:$PYTHONPATH}"
rm -f "$build"/report.*
export TSAN_OPTIONS="exitcode=66 die_after_fork=0 log_path=$build/report suppressions=$here/suppressions.txt"
preload=$(realpath "$("$CXX" -print-file-name=libtsan.so)")
setarch --addr-no-randomize env LD_PRELOAD="$preload" "$python" -m pytest -p no:cacheprovider -k "not memory" "$@" ||
  { status=$?; cat "$build"/report.* || true; exit "$status"; }
