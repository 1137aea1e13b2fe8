#!/bin/sh
# Installed as /usr/local/bin/bcc-dropbox: the command with the service's settings, run as the service's own user, so
# that whatever it writes belongs to the service.
set -eu
user=bcc-dropbox
command=/opt/bcc-dropbox/bin/bcc-dropbox
settings=/etc/bcc-dropbox/worker.env

case "${1-}" in
--env-file | --env-file=*) ;;
*) set -- --env-file "$settings" "$@" ;;
esac
case "$(id -u)" in
"$(id -u "$user")") exec "$command" "$@" ;;
0) exec setpriv --reuid="$user" --regid="$user" --init-groups -- env HOME=/var/lib/bcc-dropbox "$command" "$@" ;;
*)
	echo "error: run it as root or as the user $user: sudo bcc-dropbox …" >&2
	exit 1
	;;
esac
