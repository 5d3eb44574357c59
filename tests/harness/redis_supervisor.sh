# Runs one Redis in a temporary folder until standard input ends, then removes both; see
# postgres_supervisor.sh. $1 is the program, $2 its port, and what follows are more of its settings.
# Says "ready" on standard output, or says why not and exits with 2 (the port may be taken).
# From then on each line of standard input is something to do to it, answered with "done" or "failed".
set -u
program=$1 port=$2
shift 2
trap '' INT TERM HUP

folder=$(mktemp -d "${TMPDIR:-/tmp}/regate-test-redis-XXXXXX") || exit 1
cd "$folder" || exit 1

# Nothing is kept from one start to the next. It says so in its log when it listens, or it ends.
start() {
    : >"$folder/log"
    "$program" --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly no --daemonize no \
        "$@" >"$folder/log" 2>&1 </dev/null &
    server=$!
    until grep -qs 'Ready to accept connections' "$folder/log"; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.02
    done
}

# The port is free while Redis is not there, and a connection that others make may have it for a moment.
start_again() {
    for try in 1 2 3 4 5 6 7 8 9 10; do
        start "$@" && return 0
        sleep 0.5
    done
    return 1
}

finish() {
    # KILL needs no help from a process that may be frozen.
    kill -s KILL "$server" 2>/dev/null
    cd / && rm -rf "$folder"
    exit "$1"
}

if ! start "$@"; then
    cat "$folder/log"
    finish 2
fi
echo ready
while read -r command; do
    case $command in
        kill) kill -s KILL "$server" && { wait "$server" 2>/dev/null; true; } ;;
        start) start_again "$@" ;;
        freeze) kill -s STOP "$server" ;;
        thaw) kill -s CONT "$server" ;;
        *) false ;;
    esac && echo "done" || { echo failed; cat "$folder/log" >&2; }
done
finish 0
