# Runs one PgBouncer in a temporary folder until standard input ends, then removes both; see
# postgres_supervisor.sh. $1 is the program, $2 its port, $3 the port of Postgres, $4 the settings of a client
# that it is to pass over, where it would refuse the client.
# Says "ready" on standard output, or says why not and exits with 2 (the port may be taken).
set -u
program=$1 port=$2 postgres=$3 ignored=$4
trap '' INT TERM HUP

folder=$(mktemp -d "${TMPDIR:-/tmp}/regate-test-pgbouncer-XXXXXX") || exit 1
cd "$folder" || exit 1

# PgBouncer refuses to run as root.
unprivileged=
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$folder"
    unprivileged="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups --"
fi

# Few connections to Postgres, so that transactions of one client meet those of others on them.
cat >pgbouncer.ini <<INI
[databases]
* = host=127.0.0.1 port=$postgres user=regate
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = $ignored
logfile = $folder/log
INI

$unprivileged "$program" -q "$folder/pgbouncer.ini" >"$folder/output" 2>&1 </dev/null &
pooler=$!

finish() {
    # KILL needs no help from a process that may be frozen.
    kill -s KILL "$pooler" 2>/dev/null
    cd / && rm -rf "$folder"
    exit "$1"
}

# It says so in its log when it listens, or it ends.
until grep -qs 'process up' "$folder/log"; do
    if ! kill -0 "$pooler" 2>/dev/null; then
        cat "$folder/output" "$folder/log" 2>/dev/null
        finish 2
    fi
    sleep 0.05
done
echo ready
cat >/dev/null
finish 0
