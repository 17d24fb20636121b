#!/bin/sh
set -e
# dpkg passes "remove", rpm the number of versions that stay; an upgrade leaves the services running.
case "${1:-}" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now ddltail.service ddltail-listen.service
	else # without a running systemd, as in a container: the links of `systemctl enable`
		rm -f /etc/systemd/system/multi-user.target.wants/ddltail.service /etc/systemd/system/multi-user.target.wants/ddltail-listen.service
	fi
	;;
esac
