# shellcheck shell=bash
#
# Source this in the [hook] of a Flox manifest:
#
#     source "$FLOX_ENV/share/nixenv/on-activate.bash" || exit 1
#
# Status 0: the environment is set. Any other: nothing was changed, and the reason is on stderr.
#
# NIXENV_PROFILE and NIXENV_LAYOUT say what --profile and --layout say to `nixenv export`.
#
# Cold, it runs `nixenv activate` once: `nixenv export` for hooks, which keeps the text in an
# activation file (nixenv/activation.py has its format). Warm, it evaluates that file: no Python, no
# Nix, and one short process, chmod.

# The version of nixenv that this file belongs to.
__nixenv_version=0.1.0

# What the text depends on, as one line in __nixenv_key; the program's root is checked apart.
__nixenv_make_key() {
  local project=${FLOX_ENV_PROJECT:+$FLOX_ENV_PROJECT/nixenv.toml} profile=${NIXENV_PROFILE-}
  local file text content=
  case $profile in sglang | vllm | python-cuda) profile= ;; esac
  for file in "$project" "$profile"; do
    if [[ -f $file && -r $file ]]; then
      IFS= read -r -d '' text <"$file"
      content+=$file:$text
    fi
  done
  printf -v __nixenv_key '%q ' "$__nixenv_version" "$__nixenv_layout" "${NIXENV_PROFILE-}" \
    "$__nixenv_cache_dir" "${FLOX_ENV-}" "${NIX_STORE_DIR-}" "${NIX_STORE-}" "$content"
}

# Read the activation file into __nixenv_text if it is ours alone, whole, and for this key and root.
#
# A file that others can write or replace is not to be trusted. Bash cannot see a mode; chmod closes
# such a file and its directory, and says so. It works while we read.
__nixenv_read_activation() {
  local file=$1
  [[ -O ${file%/*} && -f $file && ! -L $file && -O $file && -r $file ]] &&
    {
      __nixenv_make_key
      __nixenv_check_activation "$file" && ! IFS= read -r _
    } < <(exec chmod -c go-w -- "${file%/*}" "$file" 2>&1)
}

# Long values are lines of their own, which the text takes from __nixenv_line: bash reads a line many
# times faster than it parses a quoted word.
__nixenv_check_activation() {
  local file=$1 program parent target values start found needed search=:$PATH: IFS=$'\n'
  mapfile -t __nixenv_line <"$file"
  ((${#__nixenv_line[@]} > 7)) || return 1
  # Not [[ == ]]: under nocasematch, A is a.
  [ "${__nixenv_line[0]}" = "# nixenv activation 1" ] &&
    [ "${__nixenv_line[1]}" = "# key $__nixenv_key" ] &&
    [ "${__nixenv_line[-1]}" = "# end of nixenv activation" ] || return 1
  program=${__nixenv_line[2]#\# program }
  parent=${__nixenv_line[3]#\# parent }
  target=${__nixenv_line[4]#\# target }
  values=${__nixenv_line[5]#\# values }
  start=${__nixenv_line[6]#\# text }
  case $values:$start in :* | *: | *[!0-9:]*) return 1 ;; esac
  for needed in "${__nixenv_line[@]:7:values - 7}"; do
    needed=${needed#\# needs }
    [[ -d $needed ]] || return 1
    # A farm that is on PATH already has the programs of its distributions, and they are not meant.
    search=${search//":$needed/bin:"/:}
  done
  if [[ $search != ":$PATH:" ]]; then
    search=${search#:}
    local PATH=${search%:}
  fi
  # The first such program on PATH: in the same directory as it was then, which has not changed
  # since, and the same file behind all links.
  hash "$program" 2>/dev/null || return 1
  found=${BASH_CMDS[$program]-}
  [[ ${found%/*} -ef $parent && $file -nt $parent && $found -ef $target ]] || return 1
  __nixenv_text=${__nixenv_line[*]:start}
}

# Ask nixenv for the text.
__nixenv_ask() {
  if ! type -P nixenv >/dev/null; then
    echo "nixenv: no program nixenv on PATH; is it installed in this environment?" >&2
    return 1
  fi
  __nixenv_make_key
  # The key on stdin: it holds the profile, which may be long, or not for all eyes.
  __nixenv_text=$(nixenv activate "$1" "$__nixenv_cache_dir" <<<"$__nixenv_key")
}

__nixenv_prepare() {
  __nixenv_layout=${NIXENV_LAYOUT:-store}
  __nixenv_cache_dir=${FLOX_ENV_CACHE:-${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}}
  if [[ -z $__nixenv_cache_dir ]]; then
    echo "nixenv: no directory for caches: set FLOX_ENV_CACHE, XDG_CACHE_HOME or HOME" >&2
    return 1
  fi
  [[ -n ${FLOX_ENV_CACHE-} ]] || __nixenv_cache_dir+=/nixenv
  [[ $__nixenv_cache_dir == /* ]] || __nixenv_cache_dir=$PWD/$__nixenv_cache_dir
  # Dev and run mode of one environment share a cache directory, not a file.
  local name=${FLOX_ENV-}
  name=$__nixenv_layout-${name##*/}
  local file=$__nixenv_cache_dir/nixenv/activation-${name//[^A-Za-z0-9._-]/_}.bash
  __nixenv_read_activation "$file" || __nixenv_ask "$file"
}

__nixenv_forget() {
  unset -f __nixenv_make_key __nixenv_read_activation __nixenv_check_activation __nixenv_ask \
    __nixenv_prepare __nixenv_forget
  unset __nixenv_version __nixenv_layout __nixenv_cache_dir __nixenv_key __nixenv_text __nixenv_line
}

# The status of the last command is that of the whole file, also where `return` is not allowed.
if __nixenv_prepare; then
  # Here, not in a function: its local variables would hide those that the text sets.
  eval "$__nixenv_text"
  __nixenv_forget
else
  echo "nixenv: the environment was not set" >&2
  __nixenv_forget
  false
fi
