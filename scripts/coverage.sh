#!/usr/bin/env bash
# Measure which lines and branches of nixenv the tests reach: scripts/coverage.sh [PYTEST'S ARGUMENTS]
#
# Most tests start nixenv as its users do: as a process of its own, in an environment of its own that
# it leaves by os._exit. So every Python of .venv measures itself while this runs, by a path file.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$PWD/.cache/coverage
bin=$PWD/.venv/bin
rm -rf "$place"
mkdir -p "$place"
cat >"$place/rc" <<END
[run]
branch = true
source = $PWD/nixenv
omit = $PWD/nixenv/prove/inside.py
data_file = $place/data
patch = _exit
# Many processes of the tests run nothing of nixenv, or save twice; their stderr is under test.
disable_warnings = no-data-collected, module-not-measured, couldnt-parse
[report]
show_missing = true
skip_covered = true
exclude_also =
    if TYPE_CHECKING:
END
packages=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
trap 'rm -f "$packages/nixenv-coverage.pth"' EXIT
printf 'import coverage; coverage.Coverage(config_file="%s/rc", data_suffix=True, %s).start()\n' \
  "$place" 'auto_data=True, messages=False' >"$packages/nixenv-coverage.pth"

# What is imported, and from where, is another matter while it is measured. A signal that comes while
# the measuring runs is lost in it, and who waits for the end of the program waits for ever.
status=0
"$bin/python" -m pytest -q --ignore=tests/test_architecture.py \
  -k 'not signal and not out_of_reach' "$@" || status=$?
rm -f "$packages/nixenv-coverage.pth"
# Of those that were killed as they saved.
find "$place" -name 'data.*' -empty -delete
"$bin/coverage" combine --quiet --rcfile="$place/rc"
"$bin/coverage" report --rcfile="$place/rc"
exit "$status"
