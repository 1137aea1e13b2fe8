#!/bin/sh
# Run the command with the service's settings and as the service's user, so that its files belong to the service.
# Installed as /usr/local/bin/bcc-dropbox. For bcc-dropbox@NAME, begin with --env-file /etc/bcc-dropbox/NAME.env.
set -eu
user=bcc-dropbox
command=/opt/bcc-dropbox/bin/bcc-dropbox
settings=/etc/bcc-dropbox
state=/var/lib/bcc-dropbox

case "${1-}" in
--env-file)
	file=${2-}
	shift
	[ $# = 0 ] || shift
	;;
--env-file=*)
	file=${1#--env-file=}
	shift
	;;
*) file=$settings/worker.env ;;
esac
# Each instance has its own state directory, with the SQLite file if no database is set. Resolve the path: the instance
# must not depend on how its path is written, nor on links.
settings=$(readlink -m "$settings")
file=$(readlink -m -- "$(dirname -- "$file")")/$(basename -- "$file")
case "$file" in
"$settings"/*) ;;
*) file=$(readlink -m -- "$file") ;;
esac
name=$(basename -- "$file" .env)
if [ "$file" = "$settings/$name.env" ] && [ "$name" != worker ]; then state=$state/$name; fi
set -- --env-file "$file" "$@"
export HOME=/var/lib/bcc-dropbox STATE_DIRECTORY="$state"
unset CREDENTIALS_DIRECTORY # of whatever this is called from

case "$(id -u)" in
"$(id -u "$user")") exec "$command" "$@" ;;
0) exec setpriv --reuid="$user" --regid="$user" --init-groups -- "$command" "$@" ;;
*)
	echo "error: run it as root or as the user $user: sudo bcc-dropbox …" >&2
	exit 1
	;;
esac
