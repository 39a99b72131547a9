#!/bin/bash
# Build the guest's image, as root: build.sh WHEELS OUT. A Debian 12 with what a door needs, and a board of simulated
# lines: gpio-sim is built from Debian's own kernel source, because Debian ships neither it nor gpio-mockup.
#
# WHEELS holds what pip needs for /opt/doorstile. Everything is compiled inside the tree, by its own compiler, headers
# and Python, so that the host may be another system. OUT gets vmlinuz, initrd and root.raw.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wheels=${1:?usage: build.sh WHEELS OUT} out=${2:?usage: build.sh WHEELS OUT}
tree=$out/tree

system=systemd,systemd-sysv,udev,dbus,kmod,iproute2,procps,initramfs-tools,zstd,linux-image-amd64,e2fsprogs,util-linux-extra
door=python3,python3-venv,python3-evdev,pcscd,libccid,vsmartcard-vpcd
building=linux-headers-amd64,linux-source-6.1,gcc,make,libc6-dev,python3-dev,libpcsclite-dev,xz-utils

inside() { chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

rm -rf "$tree"
mkdir -p "$out"
mmdebstrap --quiet --variant=minbase --mode=root --include="$system,$door,$building" bookworm "$tree"
kernel=$(basename "$tree"/boot/vmlinuz-*)
kernel=${kernel#vmlinuz-}

# The module; irq_sim.c comes along because Debian's kernel lacks it, and irq_to_desc is not exported to modules.
source=$tree/tmp/gpio-sim
mkdir -p "$source"
tar -xJf "$tree"/usr/src/linux-source-6.1.tar.xz -C "$source" --strip-components=3 \
    linux-source-6.1/drivers/gpio/gpio-sim.c linux-source-6.1/drivers/gpio/gpiolib.h
tar -xJf "$tree"/usr/src/linux-source-6.1.tar.xz -C "$source" --strip-components=3 linux-source-6.1/kernel/irq/irq_sim.c
mv "$source/gpio-sim.c" "$source/gpio-sim-core.c"
sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$source/irq_sim.c"
printf 'obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-core.o irq_sim.o\n' >"$source/Makefile"
inside make -s -C "/usr/src/linux-headers-$kernel" M=/tmp/gpio-sim modules
install -D -m 644 "$source/gpio-sim.ko" "$tree/lib/modules/$kernel/extra/gpio-sim.ko"

# What the agent depends on, in the place that its unit names; the agent itself comes when the guest has booted.
cp -r "$wheels" "$tree/tmp/wheels"
inside python3 -m venv /opt/doorstile
inside /opt/doorstile/bin/pip --quiet --disable-pip-version-check install --no-index --find-links /tmp/wheels \
    --requirement /tmp/wheels/requirements.txt

cp -r --no-preserve=ownership "$here/files/." "$tree/"
install -m 644 "$here/../bench.py" "$tree/usr/local/sbin/bench.py"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$tree/etc/initramfs-tools/modules"
sed -i 's/^MODULES=.*/MODULES=list/' "$tree/etc/initramfs-tools/initramfs.conf"
inside sh -e -c "
    apt-get -qq purge --autoremove linux-headers-amd64 linux-source-6.1 gcc make libc6-dev python3-dev libpcsclite-dev >/dev/null
    groupadd --system gpio
    passwd --quiet --delete root
    depmod $kernel
    systemctl --quiet enable bench.service board.service systemd-networkd.service kiosk-relay.socket
    systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
        e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service getty@tty1.service
    update-initramfs -u -k $kernel >/dev/null"
rm -rf "$tree"/tmp/* "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*

cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz"
cp "$tree/boot/initrd.img-$kernel" "$out/initrd"
truncate -s 2G "$out/root.raw"
mkfs.ext4 -q -F -L root -d "$tree" -E lazy_itable_init=0,lazy_journal_init=0 "$out/root.raw"
rm -rf "$tree"
