# nix build 'git+file:///path/to/stoop?dir=docs/integrations/nix'
{
  description = "stoop: a loader between a vendor bootloader and an unpatched Linux kernel";

  inputs.nixpkgs.url = "nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAll = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAll (pkgs: rec {
        stoop = pkgs.callPackage ./package.nix { };
        default = stoop;
      });

      # For another flake: stoop.lib.${system}.stoopImage { … }
      lib = forAll (pkgs: {
        stoopImage = pkgs.callPackage ./stoop-image.nix {
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) stoop;
        };
      });

      overlays.default = final: prev: {
        stoop = final.callPackage ./package.nix { };
        stoopImage = final.callPackage ./stoop-image.nix { };
      };
    };
}
