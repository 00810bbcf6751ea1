# The closure walk that nixenv replaces, as the SGLang environment's hook had it: four times
# `nix-store -qR`, substring matches, and entries added again at each activation.
root=$(dirname "$(dirname "$(readlink -f "$(which sglang)")")")

python=$(nix-store -qR "$root" | grep 'python3-3.12' | head -n 1)
export PATH="$python/bin:$PATH"

modules=
while IFS= read -r path; do
  if [ -d "$path/lib/python3.12/site-packages" ]; then
    modules="${modules:+$modules:}$path/lib/python3.12/site-packages"
  fi
done < <(nix-store -qR "$root")
export PYTHONPATH="$modules"

CUDA_HOME=$(nix-store -qR "$root" | grep 'cuda_nvcc' | head -n 1)
export CUDA_HOME

while IFS= read -r path; do
  case $path in *cuda12.8-*)
    if [ -d "$path/include" ]; then
      export CPATH="$path/include${CPATH:+:$CPATH}"
    fi
    for libraries in lib lib64; do
      if [ -d "$path/$libraries" ]; then
        export LIBRARY_PATH="$path/$libraries${LIBRARY_PATH:+:$LIBRARY_PATH}"
      fi
    done
    ;;
  esac
done < <(nix-store -qR "$root")

export FLASHINFER_JIT_DIR="$FLOX_ENV_CACHE/flashinfer-jit"
mkdir -p "$FLASHINFER_JIT_DIR"
