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
# activation file (nixenv/hook/activation.py has its format). Warm, it evaluates what that file holds: no
# Python, no Nix, and where bash has its loadable builtins no process at all, else one, chmod.
# Statements in a row instead of functions: bash would copy each function to keep it, and every
# activation would wait for that.

# The version of nixenv that this file belongs to.
__nixenv_version=0.1.0

__nixenv_layout=${NIXENV_LAYOUT:-store}
__nixenv_cache_dir=${FLOX_ENV_CACHE:-${XDG_CACHE_HOME:+$XDG_CACHE_HOME/nixenv}}
__nixenv_cache_dir=${__nixenv_cache_dir:-${HOME:+$HOME/.cache/nixenv}}
case $__nixenv_cache_dir in '' | /*) ;; *) __nixenv_cache_dir=$PWD/$__nixenv_cache_dir ;; esac

# Dev and run mode of one environment share a cache directory, not a file.
__nixenv_file=${FLOX_ENV-}
__nixenv_file=$__nixenv_layout-${__nixenv_file##*/}
__nixenv_file=$__nixenv_cache_dir/nixenv/activation-${__nixenv_file//[^A-Za-z0-9._-]/_}

# What others can write or replace is not to be trusted. The loadable builtin stat sees a mode: Nix
# has it beside its bash, Debian in the package bash-builtins. It is loaded only from where nobody
# but root can have put it. Elsewhere, and where a mode is no good, chmod closes the file and its
# directory and says so, while we go on. Nothing to read from __nixenv_verdict, a file descriptor,
# means that all is well.
__nixenv_verdict=
if [[ -O ${__nixenv_file%/*} && ! -L ${__nixenv_file%/*} && -O $__nixenv_file &&
  -f $__nixenv_file && ! -L $__nixenv_file && -r $__nixenv_file ]]; then
  __nixenv_modes=
  __nixenv_loaded=
  declare -A __nixenv_stat=()
  # A user may have loaded it, and keeps it.
  if ! builtin stat -A __nixenv_stat / 2>/dev/null && [[ $BASH == @(/nix/store/*|/usr|)/bin/bash ]] &&
    enable -f "${BASH%/bin/bash}/lib/bash/stat" stat 2>/dev/null; then
    __nixenv_loaded=yes
  fi
  for __nixenv_text in "${__nixenv_file%/*}" "$__nixenv_file"; do
    __nixenv_stat=()
    builtin stat -A __nixenv_stat "$__nixenv_text" 2>/dev/null || :
    __nixenv_modes+=:${__nixenv_stat[perms]-}
  done
  [[ -z $__nixenv_loaded ]] || enable -d stat
  # Two octal numbers without the bit for writing in the digits of group and others.
  if [[ $__nixenv_modes == :*([0-7])[0145][0145]:*([0-7])[0145][0145] ]]; then
    exec {__nixenv_verdict}</dev/null
  else
    exec {__nixenv_verdict}< <(exec chmod -c go-w -- "${__nixenv_file%/*}" "$__nixenv_file" 2>&1)
  fi
fi

# What the text depends on, in one line; the program's root is checked apart.
__nixenv_profile=
for __nixenv_text in "${FLOX_ENV_PROJECT:+$FLOX_ENV_PROJECT/nixenv.toml}" "${NIXENV_PROFILE-}"; do
  if [[ -f $__nixenv_text && -r $__nixenv_text ]]; then
    __nixenv_profile+=$__nixenv_text:
    IFS= read -r -d '' __nixenv_text <"$__nixenv_text" || :
    __nixenv_profile+=$__nixenv_text
  fi
done
# A virtual environment of the user's own may be kept; ours, from an earlier activation, is none.
__nixenv_text=${VIRTUAL_ENV-}
case $__nixenv_text in "$__nixenv_cache_dir"/nixenv/linked/*) __nixenv_text= ;; esac
printf -v __nixenv_key '%q ' "$__nixenv_version" "$__nixenv_layout" "${NIXENV_PROFILE-}" \
  "$__nixenv_cache_dir" "${FLOX_ENV-}" "${NIX_STORE_DIR-}" "${NIX_STORE-}" "$__nixenv_text" \
  "$__nixenv_profile"

# Warm: the activation file is ours alone, whole, and for this key and root.
__nixenv_text=
if [[ -n $__nixenv_verdict ]]; then
  # head, key, program, parent, target, virtual environment, toolkit root, long values, text, end
  mapfile -t -d '' __nixenv_record <"$__nixenv_file"
  # Not [[ == ]]: under nocasematch, A is a.
  if ((${#__nixenv_record[@]} > 8)) &&
    [ "${__nixenv_record[0]}" = "nixenv activation 2" ] &&
    [ "${__nixenv_record[1]}" = "$__nixenv_key" ] &&
    [ "${__nixenv_record[-1]}" = "end" ] &&
    [[ -d ${__nixenv_record[5]:-/} && -d ${__nixenv_record[6]:-/} ]]; then
    __nixenv_path=
    if [[ -n ${__nixenv_record[5]} && -n ${PATH-} ]]; then
      # The virtual environment, if it is on PATH already, has the programs of its distributions,
      # and they are not meant.
      __nixenv_path=$PATH
      PATH=:$PATH:
      PATH=${PATH//":${__nixenv_record[5]}/bin:"/:}
      PATH=${PATH#:}
      PATH=${PATH%:}
    fi
    # The first such program on PATH: in the same directory as it was then, which has not changed
    # since, and the same file behind all links.
    if hash "${__nixenv_record[2]}" 2>/dev/null &&
      __nixenv_found=${BASH_CMDS[${__nixenv_record[2]}]-} &&
      [[ ${__nixenv_found%/*} -ef ${__nixenv_record[3]} ]] &&
      [[ $__nixenv_file -nt ${__nixenv_record[3]} ]] &&
      [[ $__nixenv_found -ef ${__nixenv_record[4]} ]] &&
      mapfile -t __nixenv_changed <&"$__nixenv_verdict" &&
      ((${#__nixenv_changed[@]} == 0)); then
      __nixenv_text=${__nixenv_record[-2]}
    fi
    [[ -z $__nixenv_path ]] || PATH=$__nixenv_path
  fi
  exec {__nixenv_verdict}<&-
fi

# Cold: ask.
if [[ -n $__nixenv_text ]]; then
  :
elif [[ -z $__nixenv_cache_dir ]]; then
  echo "nixenv: no directory for caches: set FLOX_ENV_CACHE, XDG_CACHE_HOME or HOME" >&2
elif ! type -P nixenv >/dev/null; then
  echo "nixenv: no program nixenv on PATH; is it installed in this environment?" >&2
else
  # The key on stdin: it holds the profile, which may be long, or not for all eyes.
  __nixenv_text=$(
    nixenv activate "$__nixenv_file" "$__nixenv_cache_dir" <<<"$__nixenv_key"
  ) || __nixenv_text=
fi

unset __nixenv_version __nixenv_layout __nixenv_cache_dir __nixenv_file __nixenv_verdict \
  __nixenv_modes __nixenv_loaded __nixenv_stat __nixenv_profile __nixenv_key __nixenv_path \
  __nixenv_found __nixenv_changed
# The status of the last command is that of the whole file, also where `return` is not allowed.
if [[ -n $__nixenv_text ]]; then
  eval "$__nixenv_text"
  unset __nixenv_text __nixenv_record
else
  echo "nixenv: the environment was not set" >&2
  unset __nixenv_text __nixenv_record
  false
fi
