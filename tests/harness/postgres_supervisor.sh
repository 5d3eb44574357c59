# Runs one Postgres in a temporary folder until standard input ends, then removes both.
#
# Standard input is a pipe that whoever started this holds: however that process ends, the pipe closes
# and this cleans up. $1 is the folder of Postgres's programs (may be empty: then PATH), $2 the port,
# and each further argument a setting of the server, such as fsync=off.
# Says "ready" on standard output, or says why not and exits with 1 (or 2: the port may be taken).
set -u
programs=$1 port=$2
shift 2
settings=
for setting in "$@"; do
    settings="$settings -c $setting"
done
# Ctrl-C is for whoever started this. Its end is what ends this.
trap '' INT TERM HUP

[ -z "$programs" ] || PATH=$programs:$PATH
folder=$(mktemp -d "${TMPDIR:-/tmp}/regate-test-postgres-XXXXXX") || exit 1
cd "$folder" || exit 1

# Postgres refuses to run as root.
unprivileged=
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$folder"
    unprivileged="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups --"
fi

finish() {
    $unprivileged pg_ctl stop -D "$folder/data" -m immediate >/dev/null 2>&1
    cd / && rm -rf "$folder"
    exit "$1"
}

if ! $unprivileged initdb -D "$folder/data" -U regate --auth=trust --encoding=UTF8 --no-locale --no-sync \
    >"$folder/initdb.log" 2>&1 </dev/null; then
    cat "$folder/initdb.log"
    finish 1
fi
if ! $unprivileged pg_ctl start -D "$folder/data" -l "$folder/data/log" -w -t 60 -o "-p $port \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200$settings" \
    >"$folder/start.log" 2>&1 </dev/null; then
    cat "$folder/start.log" "$folder/data/log"
    finish 2
fi
echo ready
cat >/dev/null
finish 0
