#!/usr/bin/env bash
# Builds lrpfast for aarch64 and runs tests on an emulated processor; see README.md beside this file.
#
#     run.sh [FOLDER [argument of pytest]...]
#
# FOLDER (default: build/aarch64) keeps the emulated system from run to run.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tools/aarch64
mkdir -p "${1:-$root/build/aarch64}"
work=$(cd "${1:-$root/build/aarch64}" && pwd)
shift || true
[ $# -gt 0 ] || set -- tools/aarch64/test_processor.py tests/test_kernels.py tests/test_epilogues.py \
  tests/test_skip.py tests/test_patch.py
sysroot=$work/sysroot
python=$work/environment/bin/python

# The tools: a compiler that runs here, what drives it, and an emulator of single programs.
missing=()
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
command -v cmake >/dev/null || missing+=(cmake)
command -v ninja >/dev/null || missing+=(ninja-build)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || { echo "As root: apt-get install ${missing[*]}" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install --yes --no-install-recommends "${missing[@]}"
fi

# A small Debian of that processor, unpacked into a folder. apt works on lists of its own, so this machine's packages
# and architectures stay as they are.
if [ ! -e "$sysroot/complete" ]; then
  rm -rf "$sysroot" "$work/apt"
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$sysroot/usr/bin" "$sysroot/usr/lib"
  touch "$work/apt/status"
  options=(-qq -o "Dir::State::lists=$work/apt/lists" -o "Dir::State::status=$work/apt/status"
           -o "Dir::Cache=$work/apt/cache" -o APT::Architecture=arm64 -o APT::Architectures=arm64
           -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" install --yes --download-only --no-install-recommends \
    python3 libpython3-dev libgomp1 libstdc++6
  ln -s usr/lib "$sysroot/lib"
  for package in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$sysroot" --keep-directory-symlink --no-same-owner
  done
  # An interpreter that runs itself in the emulator: whoever starts `sys.executable`, such as pip, CMake and the tests,
  # need not know.
  interpreter=$(basename "$(readlink "$sysroot/usr/bin/python3")")
  rm "$sysroot/usr/bin/python3"
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nexec qemu-aarch64 -L "%s" -0 "$0" "%s" "$@"\n' "$sysroot" "$sysroot/usr/bin/$interpreter" \
    >"$sysroot/usr/bin/python3"
  chmod +x "$sysroot/usr/bin/python3"
  # Debian's pyconfig.h sends compilers to the header of their processor, in a folder that only a native one searches.
  ln -sf "../aarch64-linux-gnu/$interpreter/pyconfig.h" "$sysroot/usr/include/$interpreter/pyconfig.h"
  # The emulator takes what is in the folder before what is on this machine: here it would hide Debian's own pip.
  rm -rf "$sysroot/usr/lib/python3"
  rm -rf "$work/apt" "$work/environment"
  touch "$sysroot/complete"
fi
[ -e "$python" ] || "$sysroot/usr/bin/python3" -m venv --without-pip "$work/environment"

# The package, built as users build it but for the compiler, and from the sources as they are now; then the tests.
python3 -m pip --python "$python" --disable-pip-version-check --quiet install --only-binary :all: \
  --config-settings cmake.define.CMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" \
  --config-settings cmake.define.LRPFAST_WERROR=ON --config-settings build.tool-args=-j2 "$root" pytest hypothesis
cd "$root"
OMP_NUM_THREADS=2 "$python" -m pytest "$@"
