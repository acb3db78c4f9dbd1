# The command `stoop`. The prebuilt shims are in the source, so this needs no cross compiler and no nightly.
{ rustPlatform, lib, installShellFiles }:

rustPlatform.buildRustPackage {
  pname = "stoop";
  version = (lib.importTOML ../../../Cargo.toml).workspace.package.version;
  src = lib.cleanSource ../../..;
  cargoLock.lockFile = ../../../Cargo.lock;
  cargoBuildFlags = [ "--package" "stoop" ];
  # The tests boot kernels in QEMU: `./ci/test` of a checkout.
  doCheck = false;
  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    $out/bin/stoop man man
    installManPage man/*
    installShellCompletion --cmd stoop \
      --bash <($out/bin/stoop completions bash) \
      --fish <($out/bin/stoop completions fish) \
      --zsh <($out/bin/stoop completions zsh)
  '';
  meta = {
    description = "Packs, checks and runs images that boot an unpatched Linux kernel behind a vendor bootloader";
    license = with lib.licenses; [ mit asl20 ];
    mainProgram = "stoop";
  };
}
