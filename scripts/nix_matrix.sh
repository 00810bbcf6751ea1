#!/usr/bin/env bash
# Run the tests that ask Nix with several versions of it: scripts/nix_matrix.sh [SUITE...]
#
# Nix comes from Debian's packages, unpacked with all their libraries below .cache/nix-matrix:
# nothing is installed. PYTEST is how pytest is started.
set -euo pipefail
cd "$(dirname "$0")/.."

suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie sid)
read -ra pytest <<<"${PYTEST:-python3 -m pytest}"

# What asks Nix: the query, its second question, the hook, export, locks, and a daemon.
tests=(
  tests/road/test_query.py
  tests/evidence/test_graph.py
  tests/cli/test_export.py
  tests/cli/test_waiting.py
  tests/cli/test_daemon.py
  tests/hook/test_hook.py
  tests/inspect/diagnosis/test_store.py
)

fail() {
  printf '%s: cannot run: %s\n' "$suite" "$1" >&2
  exit 1
}

# Have apt resolve and fetch nix-bin for a machine on which nothing is installed.
fetch() {
  local base=$1
  local options=(
    -qq -o "Dir::State=$base/state" -o "Dir::State::status=$base/status" -o "Dir::Cache=$base/cache"
    -o "Dir::Etc::sourcelist=$base/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o Dir::Etc::parts=/dev/null -o APT::Install-Recommends=false -o APT::Sandbox::User=
  )
  mkdir -p "$base/state/lists/partial" "$base/cache/archives/partial"
  : >"$base/status"
  printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg \
    "$mirror" "$suite" >"$base/sources.list"
  apt-get "${options[@]}" update || fail "$mirror has no package lists of Debian $suite"
  apt-get "${options[@]}" install --yes --download-only nix-bin ||
    fail "Debian $suite has no nix-bin that can be installed"
}

# Unpack Nix with its libraries; afterwards it finds them, and its own loader, by itself.
unpack() {
  local base=$1 package loader libraries
  for package in "$base"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$base/root" || fail "$package cannot be unpacked"
  done
  loader=$(find "$base/root" -type f -name 'ld-linux-*.so*' -print -quit)
  [ -n "$loader" ] || fail "its libc6 has no loader"
  libraries=$(printf ":$base/root%s" "/usr/lib/$(uname -m)-linux-gnu" "/lib/$(uname -m)-linux-gnu" \
    /usr/lib/nix)
  patchelf --set-interpreter "$loader" "$base/root/usr/bin/nix" || fail "its nix is not as expected"
  find "$base/root/usr" -type f '(' -path '*/bin/nix' -o -name 'libnix*.so*' ')' \
    -exec patchelf --force-rpath --set-rpath "${libraries#:}" {} + || fail "patchelf failed"
  mkdir "$base/bin"
  find "$base/root/usr/bin" -name 'nix*' -exec ln -s -t "$base/bin" {} +
  rm -r "$base/cache" "$base/state"
}

# The machine's own mirror of Debian.
mirror=${DEBIAN_MIRROR:-$(
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 -x '.*/debian/\?'
)} || {
  echo 'cannot run: apt knows no mirror of Debian; name one in DEBIAN_MIRROR' >&2
  exit 1
}

failed=()
for suite in "${suites[@]}"; do
  base=$PWD/.cache/nix-matrix/$suite
  # One that was made elsewhere, before the checkout moved, does not find its loader.
  if ! "$base/bin/nix-store" --version >/dev/null 2>&1; then
    rm -rf "$base"
    (fetch "$base" && unpack "$base") || { failed+=("$suite (not set up)"); continue; }
  fi
  version=$("$base/bin/nix-store" --version) || { failed+=("$suite (does not start)"); continue; }
  echo "== $suite: $version"
  TEST_NIX_BIN=$base/bin PATH=$base/bin:$PATH "${pytest[@]}" -q "${tests[@]}" ||
    failed+=("$suite ($version)")
done
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
