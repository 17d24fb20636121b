#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
# dpkg alone passes "purge". systemd keeps the state of a dynamic user in private/.
if [ "${1:-}" = purge ]; then
	rm -rf /var/lib/private/ddltail
	rm -f /var/lib/ddltail
	# rmdir keeps what an administrator has put there.
	rmdir --ignore-fail-on-non-empty /etc/ddltail 2>/dev/null || true
fi
