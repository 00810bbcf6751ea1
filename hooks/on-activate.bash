# shellcheck shell=bash
#
# Source this in the [hook] of a Flox manifest:
#
#     source "$FLOX_ENV/share/nixenv/on-activate.bash" || exit 1
#
# Status 0: the environment is set. Any other: nothing was changed, and the reason is on stderr.
#
# NIXENV_PROFILE, NIXENV_LAYOUT and NIXENV_ROOT say what --profile, --layout and --root say to
# `nixenv export`. NIXENV_SKIP=1 leaves everything as it is.
#
# Cold, it runs `nixenv activate` once, which keeps the text in an activation file. Warm, it
# evaluates what that file holds, with bash's builtins alone: no Python, no Nix, no process.
# nixenv/hook/activation.py has the file's format, docs/security.md why it may be trusted.
# Statements in a row and two functions: bash copies each function that it defines, and four more
# made a warm activation of 1.7 ms one of 1.9.

# In words that dash and zsh read as well: what follows would have them fail at some line of it.
if [ -z "${BASH_VERSION-}" ] || [ "${BASH_SOURCE-}" = "$0" ]; then
  echo 'nixenv: on-activate.bash has to be sourced, by bash; for another shell: nixenv export --shell' >&2
  # shellcheck disable=SC2317
  return 1 2>/dev/null || exit 1
fi

__nixenv_cache=${FLOX_ENV_CACHE-}
[[ -n $__nixenv_cache || ${XDG_CACHE_HOME-} != /* ]] || __nixenv_cache=$XDG_CACHE_HOME/nixenv
__nixenv_cache=${__nixenv_cache:-${HOME:+$HOME/.cache/nixenv}}
case $__nixenv_cache in '' | /*) ;; *) __nixenv_cache=$PWD/$__nixenv_cache ;; esac

# Where everybody may write, what is called `nixenv` may be somebody else's.
__nixenv_directory=$__nixenv_cache/nixenv-$EUID
[[ -O $__nixenv_directory && ! -L $__nixenv_directory ]] ||
  __nixenv_directory=$__nixenv_cache/nixenv

# Dev and run mode of one environment share a cache directory, not a file.
__nixenv_file=${FLOX_ENV-}
__nixenv_file=$__nixenv_directory/activation-${NIXENV_LAYOUT:-store}-${__nixenv_file##*/}

# A project's profile is for its own environments: `flox activate -r` makes any directory the
# project, be it one that was just cloned.
__nixenv_profile=${NIXENV_PROFILE-}
if [[ -z $__nixenv_profile && -n ${FLOX_ENV_PROJECT-} ]] &&
  [[ ${FLOX_ENV-} == "$FLOX_ENV_PROJECT"/.flox/* ]] &&
  [[ -e $FLOX_ENV_PROJECT/nixenv.toml || -L $FLOX_ENV_PROJECT/nixenv.toml ]]; then
  __nixenv_profile=$FLOX_ENV_PROJECT/nixenv.toml
fi
__nixenv_kept=()
if [[ -f $__nixenv_profile && -r $__nixenv_profile ]]; then
  mapfile -t -d '' -n 2 __nixenv_kept <"$__nixenv_profile"
fi

# A virtual environment of the user's own may be kept; ours, from an earlier activation, is none.
__nixenv_path=${VIRTUAL_ENV-}
case $__nixenv_path in "$__nixenv_directory"/linked/*) __nixenv_path= ;; esac

# All that is asked for, in one value.
__nixenv_key="nixenv activation 3
$__nixenv_cache
${NIXENV_LAYOUT-}
${NIXENV_ROOT-}
${FLOX_ENV-}
${NIX_STORE_DIR-}
${NIX_STORE-}
$__nixenv_path
$__nixenv_profile
${__nixenv_kept[*]-}"

# Warm? Nobody but the user can have put anything into a directory that nixenv made for its owner
# alone. What is there counts if it is whole, if it answers what is asked for (not [[ == ]]: under
# nocasematch, A is a), and if what it was made from and relies on is still the same. What another
# activation set would be in the way: to undo that, nixenv is asked.
__nixenv_text=
__nixenv_path=${PATH-}
if [[ -O $__nixenv_directory && ! -L $__nixenv_directory ]] &&
  [[ -O $__nixenv_file && ! -L $__nixenv_file && -f $__nixenv_file ]] &&
  mapfile -t -d '' __nixenv_kept <"$__nixenv_file" &&
  ((${#__nixenv_kept[@]} > 7)) && [ "${__nixenv_kept[-1]}" = end ] &&
  [ "${__nixenv_kept[0]}" = "$__nixenv_key" ] &&
  [ "${NIXENV_ACTIVATION:-${__nixenv_kept[2]}}" = "${__nixenv_kept[2]}" ] &&
  eval "[[ ${__nixenv_kept[1]} ]]"; then
  if [[ -n ${NIXENV_ACTIVATION-} && -n $__nixenv_path ]]; then
    # Its own directories are on PATH by now, and what is in them is not meant.
    PATH=:$PATH:
    PATH=${PATH/":${__nixenv_kept[3]}:"/:}
    PATH=${PATH#:}
    PATH=${PATH%:}
  fi
  # The program is found where it was; in a hook, $FLOX_ENV/bin comes first on PATH.
  if [[ -z ${__nixenv_kept[4]} ]] || [ "${PATH%%:*}" = "${__nixenv_kept[4]%/*}" ] || {
    hash "${__nixenv_kept[4]##*/}" &&
      [ "${BASH_CMDS[${__nixenv_kept[4]##*/}]-}" = "${__nixenv_kept[4]}" ]
  }; then
    __nixenv_text=${__nixenv_kept[-2]}
  fi
  [[ -z $__nixenv_path ]] || PATH=$__nixenv_path
fi

# Evaluate the text, in a function, so that IFS and the options are the user's again afterwards.
# Without IFS nothing is split; in quotes it would be copied three times as slowly.
__nixenv_apply() {
  local - IFS=
  set -fa
  # shellcheck disable=SC2086 # see above
  eval $__nixenv_text
}
__nixenv_clean_up() {
  unset -f __nixenv_apply __nixenv_clean_up
  unset __nixenv_cache __nixenv_directory __nixenv_file __nixenv_profile __nixenv_kept \
    __nixenv_key __nixenv_path __nixenv_found __nixenv_text
}

# Bash reads a sourced file command by command: to parse what follows is for the first time alone.
if [[ -n $__nixenv_text && ${NIXENV_SKIP:-0} == 0 ]]; then
  __nixenv_apply
  __nixenv_clean_up
  return 0 2>/dev/null # where that is not allowed, what follows sees that all is done
fi

if [[ -z ${__nixenv_directory-} ]]; then
  :
elif [[ ${NIXENV_SKIP:-0} != 0 ]]; then
  echo "nixenv: skipped, as NIXENV_SKIP says: the environment is as it was" >&2
  __nixenv_text=:
elif [[ -z $__nixenv_cache ]]; then
  echo "nixenv: the environment was not set: no directory for caches is named by" \
    "FLOX_ENV_CACHE, XDG_CACHE_HOME or HOME" >&2
elif ! hash nixenv 2>/dev/null; then
  echo "nixenv: the environment was not set: no program nixenv on PATH; is it installed here?" >&2
else
  # Cold: ask nixenv, started so that nothing of the surrounding Python reaches it: neither its
  # modules, nor those of the user or of the current directory. What the variables were, it is told
  # under other names.
  __nixenv_found=${BASH_CMDS[nixenv]}
  __nixenv_text=$(
    for __nixenv_text in "${!PYTHON@}" "${!NIX_PYTHON@}"; do
      export "__NIXENV_OUTER_$__nixenv_text=${!__nixenv_text}"
      export -n "${__nixenv_text?}"
    done
    # What is below ~/.local may have been installed for the user alone, and is found no other way.
    [[ $__nixenv_found == "${HOME-}"/.local/* ]] || export PYTHONNOUSERSITE=1
    export PYTHONSAFEPATH=1
    exec "$__nixenv_found" activate "${__nixenv_file##*/}" "$__nixenv_cache" "$__nixenv_found" \
      "${NIXENV_LAYOUT-}" "${NIXENV_PROFILE-}" "${NIXENV_ROOT-}"
  ) || __nixenv_text=
  if [[ -z $__nixenv_text ]]; then
    # The last word is a command that can still be run, whatever PATH is by then.
    __nixenv_key="env"
    for __nixenv_path in FLOX_ENV FLOX_ENV_CACHE FLOX_ENV_PROJECT NIXENV_{LAYOUT,PROFILE,ROOT}; do
      [[ -z ${!__nixenv_path-} ]] ||
        printf -v __nixenv_key '%s %s=%q' "$__nixenv_key" "$__nixenv_path" "${!__nixenv_path}"
    done
    [[ $__nixenv_found == /* ]] || __nixenv_found=$PWD/$__nixenv_found
    # shellcheck disable=SC2016 # the PATH of that time
    printf 'nixenv: the environment was not set; to see more: %s PATH=%q:"$PATH" %q inspect\n' \
      "$__nixenv_key" "${FLOX_ENV-}/bin" "$__nixenv_found" >&2
  fi
fi

if [[ -n ${__nixenv_text-} ]]; then
  __nixenv_apply
  __nixenv_clean_up
elif [[ -n ${__nixenv_directory-} ]]; then
  __nixenv_clean_up
  false
fi
