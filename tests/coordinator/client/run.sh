#!/usr/bin/env bash
# Serves the demo model and runs the stock OpenAI client against it.
# usage: run.sh COLONNADE MODEL SCRATCH_FOLDER [serve options...]      exit 77: cannot run here
set -euo pipefail
colonnade=$1 model=$2 scratch=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)

. "$here/install.sh"

export COLONNADE_API_KEY=sesame XDG_CACHE_HOME=$PWD/cache
# Made here: the loop below may look before the server runs, and must not see what an earlier run left.
: > serve.log
"$colonnade" serve "$model" --port 0 "$@" > serve.log 2>&1 &
server=$!
trap 'kill $server 2> /dev/null || true; wait $server 2> /dev/null || true; tail -n 20 serve.log' EXIT
for _ in $(seq 600); do
  url=$(sed -n 's/^ready after .*: \(http:.*\)$/\1/p' serve.log)
  [ -z "$url" ] || break
  kill -0 $server 2> /dev/null || { echo "the server ended"; exit 1; }
  sleep 0.1
done
COLONNADE_BASE_URL="$url/v1" node --test client_test.mjs
trap - EXIT
kill -TERM $server
wait $server || { echo "the server ended with status $?"; tail -n 20 serve.log; exit 1; }
