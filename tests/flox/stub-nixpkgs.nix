# What of nixpkgs our Nix files use, as plain derivations on the machine's own tools: enough to
# evaluate and build them, not to tell whether nixpkgs has the packages.
{
  # The interpreter that the environment's `bin/python3` starts; its modules are its own.
  pythonExecutable,
}:
let
  build =
    attributes: script:
    derivation (
      {
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [
          "-euc"
          script
        ];
        PATH = "/usr/bin:/bin";
      }
      // attributes
    );
  writeScript =
    name: text:
    build
      {
        inherit name text;
        passAsFile = [ "text" ];
      }
      ''
        cp "$textPath" $out
        chmod +x $out
      '';
  lib = {
    concatStrings = builtins.concatStringsSep "";
    fileset = {
      unions = files: files;
      toSource =
        { root, fileset }:
        {
          root = toString root;
          files = map toString fileset;
        };
    };
    genAttrs =
      names: value:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = value name;
        }) names
      );
    licenses.mit.spdxId = "MIT";
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    platforms.linux = [ "x86_64-linux" ];
  };
  pkgs =
    builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value = name;
        })
        [
          "attrs"
          "cattrs"
          "click"
          "hatchling"
          "packaging"
          "rich"
        ]
    )
    // {
      # By hatchling, out of the source that the package names, and nothing else.
      buildPythonPackage =
        arguments:
        arguments
        // {
          outPath =
            build
              {
                name = "python3-${arguments.pname}";
                inherit (arguments.src) root files;
              }
              ''
                for file in $files; do
                  place=source/''${file#"$root"/}
                  mkdir -p "''${place%/*}"
                  cp -r "$file" "$place"
                done
                cd source
                ${pythonExecutable} -I -m hatchling build -t wheel -d "$TMPDIR"
                cd "$TMPDIR"
                ${pythonExecutable} -I -m zipfile -e ./*.whl wheel
                mkdir $out
                cp -r wheel/*.data/data/share $out/share
              '';
        };
    };
  # In place of the modules the environment holds what they were asked to be: modules.json.
  python3 = {
    inherit pkgs;
    withPackages =
      select:
      build
        {
          name = "python3-env";
          modules = builtins.toJSON (map (module: removeAttrs module [ "outPath" ]) (select pkgs));
          passAsFile = [ "modules" ];
        }
        ''
          mkdir -p $out/bin
          cp "$modulesPath" $out/modules.json
          printf '#!/bin/sh\nexec %s "$@"\n' ${pythonExecutable} > $out/bin/python3
          chmod +x $out/bin/python3
        '';
  };
  runCommand =
    name: attributes: script:
    build
      (
        {
          inherit name;
        }
        // removeAttrs attributes [
          "meta"
          "passthru"
        ]
      )
      script
    // attributes.passthru or { }
    // {
      attributeNames = builtins.attrNames attributes;
    };
  # As nixpkgs', in the format of `nix-store --load-db`; without its hashes and sizes.
  closureInfo =
    { rootPaths }:
    build
      {
        name = "closure-info";
        exportReferencesGraph = [
          "graph"
          (builtins.head rootPaths)
        ];
      }
      ''
        mkdir $out
        while read -r path; do
          read -r deriver
          read -r count
          printf '%s\n%064d\n4096\n%s\n%s\n' "$path" 0 "$deriver" "$count"
          while [ "$count" -gt 0 ]; do
            read -r reference
            printf '%s\n' "$reference"
            count=$((count - 1))
          done
        done < graph > $out/registration
      '';
  nix = build { name = "nix-2.8"; } "mkdir $out";
  # What a shell of the flake holds, by name alone.
  tools =
    builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value.pname = name;
        })
        [
          "chromium"
          "cmake"
          "curl"
          "dash"
          "direnv"
          "fish"
          "gcc"
          "git"
          "gnumake"
          "man"
          "ninja"
          "patchelf"
          "shellcheck"
          "systemd"
          "tcsh"
          "time"
          "zsh"
        ]
    )
    // {
      mkShellNoCC = arguments: arguments;
    };
  scope = {
    inherit
      closureInfo
      lib
      nix
      python3
      runCommand
      writeScript
      ;
  };
in
scope
// tools
// {
  callPackage = file: arguments: import file (scope // arguments);
}
