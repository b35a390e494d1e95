#!/bin/sh
# The last step of the reproducible build (plain Apptainer needs it not): leave nothing that differs between
# two builds or comes from the machine that builds, and check the packages against the lock.
set -eu
umask 022
dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort >/.packages-there
if ! diff /.packages-locked /.packages-there; then
    echo "The Debian packages in the image (>) are not those of the lock (<)." >&2
    exit 1
fi
rm -rf /.packages-locked /.packages-there /.build* /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*
# /tmp is left to mmdebstrap, which has its configuration of apt there
rm -rf /var/log/* /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/cache/debconf/tmp.ci /var/lib/dpkg/*-old /var/tmp/* ~/.cache
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/machine-id /var/lib/dbus/machine-id /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
# new files: those that mmdebstrap copied from the machine have its modes
rm -f /etc/hostname /etc/hosts /etc/resolv.conf
printf 'localhost\n' >/etc/hostname
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >/etc/hosts
: >/etc/resolv.conf
: >/etc/machine-id
