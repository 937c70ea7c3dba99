#!/usr/bin/env bash
# Builds the sdist and, from it, the wheel; installs the wheel into an empty environment where no Rust
# toolchain and no compiler can be found; runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$PWD/.venv/bin/python

"$python" -m maturin sdist --out "$work/dist" 2>&1 | tail -1
# The target directory is shared, so that the second build only links anew.
CARGO_TARGET_DIR=$PWD/target "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" "$work"/dist/gateway-*.tar.gz
ls "$work/dist"
"$python" -m venv "$work/venv"
env -i HOME="$work" PATH=/nonexistent PIP_CERT="${PIP_CERT-}" "$work/venv/bin/python" -m pip install --quiet "$work"/dist/gateway-*.whl
cd "$work"
env -i HOME="$work" PATH=/nonexistent "$work/venv/bin/gateway" version
env -i HOME="$work" PATH=/nonexistent "$work/venv/bin/python" -c 'import gateway.cext.worker'
echo "the wheel installs and runs without a toolchain"
