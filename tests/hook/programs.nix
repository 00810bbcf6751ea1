# Three programs to be activated one after the other: CUDA 12.8 with gcc 14, CUDA 13.0 with gcc 15,
# and no CUDA at all. Built from what the fixture closure is built from.
{
  pythonVersion,
  pythonExecutable,
  pythonStdlib,
  pythonLibdir,
}:
let
  nix = ../../fixtures/nix;
  inherit (import (nix + "/object.nix")) object write writeProgram;
  system = import (nix + "/system.nix");
  python = import (nix + "/python.nix") {
    inherit system;
    version = pythonVersion;
    executable = pythonExecutable;
    stdlib = pythonStdlib;
    libdir = pythonLibdir;
  };

  mark = write "$out/nix-support/include-in-cudatoolkit-root" "";

  gccWrapper =
    version:
    object {
      name = "gcc-wrapper-${version}";
      script = ''
        for program in gcc g++; do ${writeProgram "$out/bin/$program" "#!/bin/sh\necho ${version}"} done
      '';
    };

  cuda = version: full: gcc: rec {
    nvcc = object {
      name = "cuda${version}-cuda_nvcc-${full}";
      script = ''
        ${writeProgram "$out/bin/nvcc" "#!/bin/sh\necho ${version}"}
        ${write "$out/bin/nvcc.profile" "compiler-bindir = ${gccWrapper gcc}/bin"}
        ${write "$out/include/crt/host_config.h" "#if __GNUC__ > 15\n#error -- unsupported GNU version\n#endif"}
        ${mark}'';
    };
    cudart = object {
      name = "cuda${version}-cuda_cudart-${full}";
      script = ''
        ${write "$out/include/cuda_runtime.h" "// ${version}"}
        ${write "$out/lib/libcudart.so" ""}
        ${mark}'';
    };
  };

  program =
    pname: references:
    python.package {
      inherit pname references;
      version = "1.0";
      entryPoints.${pname} = "${pname}:main";
    };
  withCuda =
    pname: version: full: gcc:
    let
      toolkit = cuda version full gcc;
    in
    program pname [ toolkit.nvcc toolkit.cudart ];
in
object {
  name = "environment";
  programs = [
    (withCuda "proga" "12.8" "12.8.93" "14.3.0")
    (withCuda "progb" "13.0" "13.0.88" "15.2.0")
    (program "progc" [ ])
  ];
  script = ''
    mkdir -p $out/bin
    for program in $programs; do ln -s $program/bin/* $out/bin; done
  '';
}
