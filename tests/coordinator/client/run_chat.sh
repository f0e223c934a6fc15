#!/usr/bin/env bash
# Runs the stock OpenAI client's chat tests against chat_server.
# usage: run_chat.sh CHAT_SERVER SCRATCH_FOLDER      exit 77: cannot run here
set -euo pipefail
server_program=$1 scratch=$2
here=$(cd "$(dirname "$0")" && pwd)
. "$here/install.sh"

mkfifo -m 600 input.$$
: > server.log
"$server_program" < input.$$ > server.log 2>&1 &
server=$!
exec 3> input.$$  # the server ends when this is closed
rm input.$$
trap 'exec 3>&-; wait $server 2> /dev/null || true; tail -n 20 server.log' EXIT
for _ in $(seq 600); do
  url=$(sed -n 's/^\(http:.*\)$/\1/p' server.log)
  [ -z "$url" ] || break
  kill -0 $server 2> /dev/null || { echo "the server ended"; exit 1; }
  sleep 0.1
done
COLONNADE_BASE_URL=$url node --test chat_test.mjs
trap - EXIT
exec 3>&-
wait $server || { echo "the server ended with status $?"; tail -n 20 server.log; exit 1; }
