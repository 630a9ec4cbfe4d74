#!/bin/sh
# Looks for everything that a build needs before anything is built or downloaded. Lists all that is missing at once, each
# with its fix. PYTHON3 names another Python than python3.
set -eu
cd "$(dirname "$0")/.."

lacking=0
lacks() {
    printf 'missing: %s\n    %s\n' "$1" "$2" >&2
    lacking=1
}
is_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
# rustup downloads it by itself, where it may.
pinned=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
rustup="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
if ! command -v cargo >/dev/null; then
    if [ -x "${HOME:-/nowhere}/.cargo/bin/cargo" ]; then
        lacks "cargo is installed, and not on the PATH" '. "$HOME/.cargo/env", or a new shell'
    else
        lacks "Rust $wanted or later (cargo)" "$rustup (https://rustup.rs)"
    fi
elif ! version=$(cargo --version); then
    lacks "Rust $pinned: rustup could not provide it" "rustup toolchain install $pinned"
else
    version=${version#cargo }
    version=${version%%[ -]*}
    if ! is_at_least "$version" "$wanted"; then
        if command -v rustup >/dev/null; then
            lacks "Rust $wanted or later: this is $version" "rustup toolchain install $pinned, with no RUSTUP_TOOLCHAIN and no other cargo on the PATH"
        else
            lacks "Rust $wanted or later: this is $version, a distribution's" "$rustup (https://rustup.rs)"
        fi
    fi
fi

# Those of the pinned packages that want the most (pandas, NumPy, SciPy) say which Python.
python=${PYTHON3:-python3}
wanted=$(sed -n 's/^#.* --python-version \([0-9.]*\) .*/\1/p' scripts/requirements.in | head -n 1)
another="another one: make PYTHON3=/path/to/python$wanted (Debian 12, Ubuntu 24.04 and later have one; else pyenv or uv)"
if ! command -v "$python" >/dev/null; then
    lacks "Python $wanted or later ($python)" "sudo apt-get install python3 python3-venv; or $another"
else
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo 0)
    is_at_least "$version" "$wanted" || lacks "Python $wanted or later: $python is $version" "$another"
fi

# For MLflow, its packages and target/.
room=$(df -Pk . | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1/p')
[ "${room:-9999999}" -ge 3000000 ] || lacks "3 GB of room in $PWD: there are $((room / 1000)) MB" "room, or a checkout elsewhere"

[ "$lacking" = 0 ] || exit 1
# From Debian: root installs them, others are told their names.
exec scripts/packages.sh gcc libc6-dev ca-certificates python3-venv
