# Runs one Postgres in a temporary folder until standard input ends, then removes both.
#
# Standard input is a pipe that whoever started this holds: however that process ends, the pipe closes
# and this cleans up. $1 is the folder of Postgres's programs (may be empty: then PATH), $2 the port, and
# each further argument a setting of the server, such as fsync=off.
# Says "ready" on standard output, or says why not and exits with 1 (or 2: the port may be taken).
# From then on each line of standard input is something to do to it, answered with "done" or "failed".
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

start() {
    $unprivileged pg_ctl start -D "$folder/data" -l "$folder/log" -w -t 60 -o "-p $port \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200$settings" \
        >"$folder/start.log" 2>&1 </dev/null
}

# The port is free while Postgres is not there, and a connection that others make may have it for a moment.
start_again() {
    for try in 1 2 3 4 5 6 7 8 9 10; do
        start && return 0
        sleep 0.5
    done
    return 1
}

# The ids of Postgres's processes: the first line of this file, and whose parent that is.
pids() {
    server=$(sed -n 1p "$folder/data/postmaster.pid" 2>/dev/null)
    [ -n "$server" ] || return 0
    echo "$server"
    grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status | cut -d / -f 3
}

signal_all() {
    for pid in $(pids); do
        # It may have ended since it was listed.
        kill -s "$1" "$pid" 2>/dev/null || [ ! -e "/proc/$pid" ] || return 1
    done
}

# Leaves nothing that would make the next start believe that it is still running: whose child it has
# become may be slow to bury it.
kill_all() {
    memory=$(sed -n 7p "$folder/data/postmaster.pid" | tr -s ' ' | cut -d ' ' -f 2)
    signal_all KILL
    rm -f "$folder/data/postmaster.pid"
    [ -z "$memory" ] || ipcrm -m "$memory" 2>/dev/null
    return 0
}

finish() {
    # What is frozen does not stop.
    signal_all CONT
    $unprivileged pg_ctl stop -D "$folder/data" -m immediate >/dev/null 2>&1
    # Its files hold every row that there was, or the log of the writes does.
    if [ -n "${REGATE_TEST_RECORD:-}" ]; then
        grep -raohE 'rgt_[a-z]+_[0-9A-Za-z]{49}|eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.' "$folder" \
            >"$REGATE_TEST_RECORD/postgres-$port"
        rm -f "$REGATE_TEST_RECORD/postgres-$port.pending"
    fi
    cd / && rm -rf "$folder"
    exit "$1"
}

if ! $unprivileged initdb -D "$folder/data" -U regate --auth=trust --encoding=UTF8 --no-locale --no-sync \
    >"$folder/initdb.log" 2>&1 </dev/null; then
    cat "$folder/initdb.log"
    finish 1
fi
if ! start; then
    cat "$folder/start.log" "$folder/log"
    finish 2
fi
[ -z "${REGATE_TEST_RECORD:-}" ] || : >"$REGATE_TEST_RECORD/postgres-$port.pending"
echo ready
while read -r command; do
    case $command in
        kill) kill_all ;;
        stop) $unprivileged pg_ctl stop -D "$folder/data" -m fast -w >"$folder/stop.log" 2>&1 </dev/null ;;
        start) start_again ;;
        freeze) signal_all STOP ;;
        thaw) signal_all CONT ;;
        *) false ;;
    esac && echo "done" || { echo failed; cat "$folder/start.log" "$folder/log" >&2; }
done
finish 0
