#!/bin/sh
# Installed as /usr/local/bin/bcc-dropbox: the command with the service's settings, run as the service's own user, so
# that whatever it writes belongs to the service. For bcc-dropbox@NAME: --env-file /etc/bcc-dropbox/NAME.env first.
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
# Each instance has a state directory of its own, and in it the SQLite file where no database is set. Whose settings these
# are must not depend on how the path is written, nor on links to it.
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
