#!/bin/sh
# Installs missing Debian packages with apt-get if it runs as root; else names them and fails.
set -eu

missing=
for package in "$@"; do
    case $package in
        # A Python that did not come from Debian brings its own venv.
        python3-venv) "${PYTHON3:-python3}" -c 'import ensurepip, venv' 2>/dev/null && continue ;;
        gcc) command -v cc >/dev/null && continue ;;
        libc6-dev) [ -e /usr/include/stdio.h ] && continue ;;
        nginx-light) command -v nginx >/dev/null && continue ;;
        redis-server | openssl | npm | chromium | slowhttptest | prometheus | haproxy | caddy | wrk | curl | buildah | podman | runc | mmdebstrap | valgrind) command -v "$package" >/dev/null && continue ;;
        nodejs) command -v node >/dev/null && continue ;;
        nghttp2-client) command -v h2load >/dev/null && continue ;;
        g++) command -v g++ >/dev/null && continue ;;
        ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] && continue ;;
    esac
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing:$missing (these are Debian's names: there is no apt-get here)" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing:$missing (Debian: sudo apt-get install$missing)" >&2
    exit 1
fi
apt-get update -qq
# RUNLEVEL: no service is started; the tests start their own.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing
