#!/bin/sh
set -e
# Neither enabled nor started: it has to be configured first. On an upgrade what runs is restarted; what waits for a
# server does not hold up the package manager.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl --no-block try-restart ddltail.service ddltail-listen.service
fi
