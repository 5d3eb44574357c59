# What each page is run with. The pages are written for several terminals: what goes on until it is ended runs behind here.

# The test holds the other end: when it is gone, so is all of this.
exec 9<&0 </dev/null
( read -r _ <&9; kill -TERM $$ ) >/dev/null 2>&1 &
declare -A RUNS
trap 'exit 143' TERM
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null' EXIT

stop() {
  [ -n "${RUNS[$1]:-}" ] || return 0
  kill "${RUNS[$1]}" 2>/dev/null || true
  wait "${RUNS[$1]}" 2>/dev/null || true
}

# behind NAME CONDITION PROGRAM …: until the condition holds; one that was started before ends.
behind() {
  local name=$1 condition=$2
  shift 2
  stop "$name"
  "$@" >"$OUT/$name.said" 2>>"$OUT/$name.log" 9<&- &
  RUNS[$name]=$!
  until eval "$condition" 2>/dev/null; do
    kill -0 "${RUNS[$name]}" 2>/dev/null || { tail -n 5 "$OUT/$name.log" >&2; return 1; }
    sleep 0.02
  done
}

newest_token() {
  command regate token list --json | sed -n '$s/^{"id":"\([^"]*\)".*/\1/p'
}

# A machine that runs all tests at once is slow: what a policy may take by itself is tried elsewhere.
export REGATE_POLICY__MAX_TIME=60s REGATE_POLICY__MAX_TEST_TIME=10m

# A command beside a process that serves is known there some milliseconds later: nobody types faster, but this does.
known() {
  [ -n "${RUNS[regate]:-}" ] && [ -z "${IS_DEMO:-}" ] && [ -f regate.sqlite ] || return 0
  local written seen
  written=$(sqlite3 -readonly regate.sqlite 'select revision from data_revision' 2>/dev/null) || return 0
  for _ in $(seq 500); do
    seen=$(command curl -s "http://127.0.0.1:$PORT_8181/ready" | sed -n 's/.*"data_revision": *\([0-9]*\).*/\1/p')
    [ "${seen:-0}" -lt "${written:-0}" ] || return 0
    sleep 0.02
  done
}

# `ID` stands for the token that was minted last.
regate() {
  local words=() word
  for word in "$@"; do
    [ "$word" != ID ] || word=$(newest_token)
    words+=("$word")
  done
  if [ "${words[0]:-}" = serve ]; then
    case " ${words[*]} " in *" --demo "*) IS_DEMO=yes ;; *) IS_DEMO= ;; esac
    behind regate 'grep -q "regate is ready" "$OUT/regate.said"' command regate "${words[@]}" || return
    cat "$OUT/regate.said"
  else
    local code=0
    command regate "${words[@]}" || code=$?
    known
    return "$code"
  fi
}

# Of an answer that is an error the page says so, in rules.toml.
curl() { command curl --fail-with-body "$@"; }

listens() { : <"/dev/tcp/127.0.0.1/$1"; }

python3() {
  if [ "${1:-} ${2:-}" = "-m http.server" ]; then
    behind python3 "listens $3" command python3 "$@"
  else
    command python3 "$@"
  fi
}

caddy() { behind caddy "listens $PORT_8080" command caddy "$@"; }

nginx() { behind nginx "listens $PORT_8080" command nginx "$@"; }

envoy() { behind envoy "listens $PORT_8080" command envoy --disable-hot-restart --concurrency 1 "$@"; }
