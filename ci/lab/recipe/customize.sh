#!/bin/sh
# Run by mmdebstrap with the new root file system as its argument, before the package cache is dropped.
set -eu
root=$1 recipe=$(dirname "$0")

# mirrors may serve a Release file past its date; the lab is a test bed, not a server
cat > "$root/etc/apt/apt.conf.d/90lab" <<'CONF'
Acquire::Check-Valid-Until "false";
APT::Install-Recommends "false";
CONF

# the unstable suite from the mirror that mmdebstrap chose, for the packages that name it only
awk '$1 == "deb" && $3 !~ /-/ { $3 = "sid"; print; exit }' "$root/etc/apt/sources.list" \
    > "$root/etc/apt/sources.list.d/unstable.list"
printf 'Package: *\nPin: release a=unstable\nPin-Priority: 100\n' > "$root/etc/apt/preferences.d/unstable"
chroot "$root" apt-get update -qq
# shellcheck disable=SC2046 # a list of package names
chroot "$root" apt-get install -y -qq $(grep -v '^#' "$recipe/packages-unstable.txt") > /dev/null
rm -f "$root/etc/apt/sources.list.d/unstable.list"

# useradd gives physicist the subuid and subgid ranges that unprivileged image builds need
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash --comment "A physicist" physicist
chmod 0755 "$root/home/physicist"
mkdir -p "$root/project" "$root/work" "$root/shared" "$root/scratch" "$root/images" "$root/data" "$root/.host"
mkdir -p "$root/etc/lab" "$root/var/log/lab"

# services are started by the lab, never by the package manager's init scripts
rm -rf "$root/etc/rc0.d" "$root/etc/rc6.d" "$root"/etc/rc[1-5S].d "$root/etc/machine-id"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/hosts"
printf '[safe]\n\tdirectory = /project\n' > "$root/etc/gitconfig"
