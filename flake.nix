{
  description = "The Python and CUDA environment of a program in a Nix store, as shell code";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { self, nixpkgs }:
    let
      forEachSystem =
        outputsOf:
        nixpkgs.lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: outputsOf nixpkgs.legacyPackages.${system} self.packages.${system}.default);
      package = pkgs: pkgs.callPackage ./.flox/pkgs/nixenv.nix { };
    in
    {
      packages = forEachSystem (
        pkgs: _: {
          default = package pkgs;
          nixenv = package pkgs;
        }
      );

      apps = forEachSystem (
        _: nixenv: {
          default = {
            type = "app";
            program = "${nixenv}/bin/nixenv";
          };
        }
      );

      overlays.default = final: _: { nixenv = package final; };

      # What scripts/tools.sh looks for; `make` itself makes the virtual environment.
      devShells = forEachSystem (
        pkgs: _: {
          default = pkgs.mkShellNoCC {
            packages = [
              pkgs.chromium
              pkgs.cmake
              pkgs.curl
              pkgs.dash
              pkgs.direnv
              pkgs.fish
              pkgs.gcc
              pkgs.git
              pkgs.gnumake
              pkgs.man
              pkgs.ninja
              pkgs.nix
              pkgs.patchelf
              pkgs.python3
              pkgs.shellcheck
              pkgs.systemd
              pkgs.tcsh
              pkgs.time
              pkgs.zsh
            ];
          };
        }
      );

      # The package as it is installed, on a recorded closure: `nix flake check`.
      checks = forEachSystem (
        pkgs: nixenv: {
          default = pkgs.runCommand "nixenv-check" { } ''
            ${nixenv}/bin/nixenv export --from ${./fixtures/sglang.snapshot.json} \
              --cache-dir "$PWD/cache" --shell json > environment.json
            grep -q '"CUDA_HOME": "[^"]*cuda_nvcc' environment.json
            mv environment.json $out
          '';
        }
      );
    };
}
