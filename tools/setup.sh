#!/bin/bash
# Make .venv ready for a level: demo (run the product), dev (also lint, types, docs), test (also real services) or
# device (dev, and what builds and runs the emulated device).
# The first line of output per installed thing says what it is for; a second run finds its stamp and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

level=${1:?usage: tools/setup.sh demo|dev|test|device}
case $level in
    demo) extras=central implied="dev test" ;;
    dev) extras=central,dev implied=test ;;
    test) extras=central,dev,pcsc,hid,osdp implied= ;;
    device) extras=central,dev implied= ;;
    *) echo "setup.sh: level '$level' is not known; use demo, dev, test or device" >&2; exit 2 ;;
esac

fail() { printf 'set-up: %s\n' "$@" >&2; exit 1; }

# The stamp changes with what would be installed and with the place: an editable install records its path.
stamp_value() { { pwd; cat pyproject.toml constraints.txt tools/setup.sh; } | sha256sum | cut -d' ' -f1; }

is_ready() {
    local value done_level
    [[ -x .venv/bin/python ]] || return 1
    value=$(stamp_value)
    for done_level in "$level" $implied; do
        [[ -f .venv/.ready-$done_level && $(<".venv/.ready-$done_level") == "$value" ]] && return 0
    done
    return 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Print the best Python there is. A name on the PATH may be a shim that only fails, so each is tried; one that can
# make an environment at once goes before one that needs a package first.
find_python() {
    local name first=
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        is_new_enough "$name" || continue
        can_make_venv "$name" && { echo "$name"; return; }
        first=${first:-$name}
    done
    [[ -n $first ]] || fail "no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3"
    echo "$first"
}

venv_package() {
    case $("$1" -c 'import os, sys; print(os.path.realpath(sys.executable))') in
        "$(readlink -f /usr/bin/python3)") echo python3-venv ;;
        /usr/bin/python3.*) "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' ;;
        *) fail "$1 cannot make virtual environments (no ensurepip); use another: make PYTHON=/path/to/python3" ;;
    esac
}

has_file() { compgen -G "$1" >/dev/null; }
has_command() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }
has_headers() { "$python" -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("include"), "Python.h").stat()' 2>/dev/null; }

missing=() reasons=()
need() { # need PACKAGE REASON PROBE...
    "${@:3}" && return
    missing+=("$1") reasons+=("$2")
}

find_missing() {
    local package
    if ! can_make_venv "$python"; then
        package=$(venv_package "$python")
        need "$package" "makes the virtual environment .venv" false
    fi
    case $level in
        test) find_missing_for_tests ;;
        device) find_missing_for_device ;;
    esac
}

find_missing_for_device() {
    need qemu-system-x86 "runs the device, in software" has_command qemu-system-x86_64
    need qemu-utils "keeps the device's disk" has_command qemu-img
    need mmdebstrap "puts the device's Debian together" has_command mmdebstrap
    need e2fsprogs "makes the device's file systems" has_command mkfs.ext4
}

find_missing_for_tests() {
    need pcscd "smart card daemon, for the tests of the card reader" has_command pcscd
    need vsmartcard-vpcd "virtual card reader behind pcscd" has_file '/usr/lib/pcsc/drivers/serial/libifdvpcd*'
    need libpcsclite-dev "headers to build pyscard" has_file '/usr/include/PCSC/winscard.h'
    need swig "builds pyscard" has_command swig
    need gcc "builds pyscard and evdev" has_command gcc
    need libc6-dev "builds pyscard and evdev" has_file '/usr/include/stdio.h'
    case $("$python" -c 'import sys; print(sys.base_prefix)') in
        /usr) need python3-dev "headers to build pyscard and evdev" has_headers ;;
    esac
    need redis-server "central's channel layer, for tests with several workers" has_command redis-server
    need postgresql "central's database, for the same tests" has_file '/usr/lib/postgresql/*/bin/initdb'
    need chromium "tests of the pages in a real browser" has_command chromium
    need mosquitto "a peer that the benches compare with" has_command mosquitto
}

# Ask for a password only where somebody can type one.
can_sudo() {
    has_command sudo || return
    sudo -n true 2>/dev/null && return
    [[ -t 0 ]] && sudo -v
}

install_missing() {
    local as_root=() command="apt-get install --no-install-recommends ${missing[*]}" i
    ((${#missing[@]})) || return 0
    echo "set-up: these Debian packages are missing:"
    for i in "${!missing[@]}"; do printf '  %-16s %s\n' "${missing[i]}" "${reasons[i]}"; done
    has_command apt-get || fail "this system has no apt-get; install the equivalents of the packages above, then run make again"
    if ((EUID != 0)); then
        as_root=(sudo)
        can_sudo || fail "installing them needs root, and sudo does not work here; as root run:" "  apt-get update && $command" "then run make again"
    fi
    echo "set-up: installing them${as_root:+ with sudo} (their services are neither started nor enabled)"
    "${as_root[@]}" sh tools/install_packages.sh "${missing[@]}" || fail "that did not work; try by hand: ${as_root[*]} $command"
}

make_environment() {
    local pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "set-up: making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv || fail "could not make .venv with $python; the lines above say why"
    fi
    echo "set-up: installing doorstile[$extras] and what it needs into .venv with pip"
    "${pip[@]}" install --constraint constraints.txt --editable ".[$extras]" ||
        fail "pip could not install doorstile[$extras]; see its message above, then run make again"
}

is_ready && exit
exec 9<.
flock 9 # two makes at once must not build one environment twice
is_ready && exit
python=$(find_python)
find_missing
install_missing
make_environment
stamp_value >".venv/.ready-$level"
echo "set-up: done; the next run starts at once"
