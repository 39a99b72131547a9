#!/bin/sh
# Install Debian packages, as root, such that the services they bring are neither started now nor at the next boot.
# Debian starts a service when its package is installed; policy-rc.d (invoke-rc.d(8)) is the way to say no.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
units="redis-server.service postgresql.service mosquitto.service pcscd.socket pcscd.service"

has_unit() { [ -e "/lib/systemd/system/$1" ] || [ -e "/usr/lib/systemd/system/$1" ]; }

fresh=
for unit in $units; do has_unit "$unit" || fresh="$fresh $unit"; done
trap 'rm -f "$log"' EXIT
if [ ! -e "$policy" ]; then
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
trap 'exit 1' INT TERM HUP

if ! { apt-get -q update && apt-get -q -y install --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    exit 1
fi
for unit in $fresh; do
    if has_unit "$unit" && command -v systemctl >/dev/null; then systemctl --quiet disable "$unit" 2>/dev/null || true; fi
done
