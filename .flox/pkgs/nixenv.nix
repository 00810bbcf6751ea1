# nixenv for a Flox environment: `flox build nixenv`, `flox publish nixenv`, or through flake.nix.
#
# A Python application as such would bring its interpreter and its modules into the environment
# that installs it, in front of the ones it is there to set up. So they stay behind in an
# environment of their own, and the package holds what a user calls, the hook, man pages and
# completions.
{
  closureInfo,
  lib,
  nix,
  python3,
  runCommand,
  writeScript,
}:
let
  inherit (builtins.fromTOML (builtins.readFile ../../pyproject.toml)) project;

  # The one place where it stands.
  version = builtins.head (
    builtins.match ".*\n__version__ = \"([^\"]+)\"\n.*" (builtins.readFile ../../nixenv/__init__.py)
  );

  # "attrs>=23.2" is python3Packages.attrs; its version is checked when the module is built.
  fromRequirement =
    requirement: python3.pkgs.${builtins.head (builtins.match "([A-Za-z0-9_-]+).*" requirement)};

  module = python3.pkgs.buildPythonPackage {
    pname = project.name;
    inherit version;
    pyproject = true;
    src = lib.fileset.toSource {
      root = ../..;
      fileset = lib.fileset.unions [
        ../../LICENSE
        ../../README.md
        ../../docs/manual.py
        ../../hatch_build.py
        ../../hooks
        ../../nixenv
        ../../pyproject.toml
      ];
    };
    build-system = [ python3.pkgs.hatchling ];
    dependencies = map fromRequirement project.dependencies;
    pythonImportsCheck = [ "nixenv" ];
  };

  python = python3.withPackages (_: [ module ]);

  # -I: the PYTHONPATH that nixenv exports is not for nixenv.
  program =
    name: entryPoint:
    let
      parts = builtins.match "(.+):(.+)" entryPoint;
      main = builtins.elemAt parts 1;
    in
    writeScript name ''
      #!${python}/bin/python3 -I
      import sys

      from ${builtins.head parts} import ${main}

      sys.exit(${main}())
    '';

  install = name: entryPoint: ''
    install -D -m 555 ${program name entryPoint} $out/bin/${name}
  '';

  # A snapshot of a program's closure, in Nix's order, for pods and containers, where there is no Nix
  # to ask: `nixenv.snapshotOf sglang`, installed beside the program, is share/nixenv/NAME.json. It
  # refers to that closure and to nothing else. Nix answers here from a database of its own.
  snapshotOf =
    program:
    runCommand "nixenv-snapshot-${program.name}"
      {
        nativeBuildInputs = [ nix ];
        closure = closureInfo { rootPaths = [ program ]; };
      }
      ''
        export HOME=$TMPDIR NIX_REMOTE=local NIX_STATE_DIR=$TMPDIR/nix NIX_LOG_DIR=$TMPDIR/nix
        nix-store --load-db < $closure/registration
        mkdir -p $out/share/nixenv
        ${package}/bin/nixenv snapshot --root ${program} --no-machine \
          -o $out/share/nixenv/${program.name}.json
      '';

  package =
    runCommand "${project.name}-${version}"
      {
        pname = project.name;
        inherit version;
        passthru = { inherit snapshotOf; };
        meta = {
          inherit (project) description;
          license = lib.licenses.mit;
          mainProgram = "nixenv";
          platforms = lib.platforms.linux;
        };
      }
      ''
        ${lib.concatStrings (lib.mapAttrsToList install project.scripts)}
        cp -r ${module}/share $out/share
      '';
in
package
