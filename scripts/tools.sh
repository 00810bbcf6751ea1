#!/usr/bin/env bash
# See that the machine has what make's targets need: scripts/tools.sh TARGET...
#
# As root on Debian or Ubuntu, or with a sudo that asks for no password, what is missing is
# installed. Elsewhere it is named, with the command that brings it, and the status is 1.
# PYTHON is the interpreter for the virtual environment: python3, unless it is set.
set -euo pipefail

# Debian's package, what is wanted of it (a program on PATH, or a file), and the targets.
needs='
nix-bin        nix-store           test dist bench demo-serve
g++            g++                 test dist demo-serve
ninja-build    ninja               test
cmake          cmake               test
make           make                test
curl           curl                test demo-serve
dash           dash                test
zsh            zsh                 test dist
fish           fish                test dist
tcsh           tcsh                test
direnv         direnv              test
systemd        systemd-analyze     test
man-db         man                 test dist
chromium       chromium            test pictures
shellcheck     shellcheck          lint
patchelf       patchelf            test-nix-matrix
debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg test-nix-matrix
time           time                bench
'
# Ubuntu has Chromium as a snap alone: there the Makefile takes Playwright's own.
if grep -qsx 'ID=ubuntu' /etc/os-release; then
  needs=$(grep -v chromium <<<"$needs")
fi
targets=("$@")
has_headers='import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
python=${PYTHON:-python3}

is_there() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) type -P "$1" >/dev/null ;;
  esac
}

# Whether one of the words is a target of this call.
is_wanted() {
  local target
  for target in "${targets[@]}"; do
    [[ " $1 " != *" $target "* ]] || return 0
  done
  return 1
}

# Set `missing` to the tools that are not there, and `packages` to what brings them.
look() {
  local package tool wanting
  missing=() packages=()
  # Debian keeps ensurepip, without which there is no virtual environment, in a package of its own.
  if is_wanted venv && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("$python with ensurepip")
    packages+=("${python##*/}-venv")
  fi
  # And CPython's headers, which each launcher of triton includes.
  if is_wanted test && is_there "$python" && ! "$python" -c "$has_headers" 2>/dev/null; then
    missing+=("the headers of $python")
    packages+=("${python##*/}-dev")
  fi
  while read -r package tool wanting; do
    if is_wanted "$wanting" && ! is_there "$tool"; then
      missing+=("$tool")
      packages+=("$package")
    fi
  done <<<"$needs"
}

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

if is_wanted venv && is_there "$python"; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: Python 3.11 or newer is needed." \
      "Choose one that is: PYTHON=python3.13 make ..."
fi
look
[ ${#missing[@]} -gt 0 ] || exit 0

list=$(printf ', %s' "${missing[@]}")
is_there apt-get || fail "Missing: ${list:2}." \
  "Debian's packages bring it, but apt-get is missing too. In a container of Debian:" \
  "  tar c --exclude=./.venv --exclude=./.cache . | docker run --rm -i debian:13 sh -c '" \
  "    cd /opt && tar x --no-same-owner && apt-get update && apt-get install -y make && make test'"

install="apt-get update && apt-get install --yes --no-install-recommends ${packages[*]}"
if [ "$(id -u)" -eq 0 ]; then
  as_root=(sh -c)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n sh -c)
else
  become=$(is_there sudo && echo 'sudo sh' || echo 'su')
  fail "Missing: ${list:2}. This brings it, as root:" "  $become -c '$install'"
fi

echo "Missing: ${list:2}. Installing ${packages[*]}."
"${as_root[@]}" "export DEBIAN_FRONTEND=noninteractive; { $install; } >/dev/null" ||
  fail "apt-get failed: $install"
look
[ ${#missing[@]} -eq 0 ] || fail "Installed, and still missing: ${missing[*]}."
