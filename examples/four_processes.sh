#!/usr/bin/env bash
# Pulls by four processes on one machine, without an orchestrator:
#
#   CODAT_API_KEY=… examples/four_processes.sh books [options of codat-async pull …]
#
# They send from one address, whose limit is 1,000 requests a minute, so each gets a quarter of it. That
# is no faster than one process unless the processor is the limit; with an address for each
# (--source-address) every process could have the whole.
set -euo pipefail

into=$1
shift
companies=$(mktemp)
trap 'rm -f "$companies"' EXIT

codat-async plan --write-companies "$companies"
pids=()
for shard in 0 1 2 3; do
    codat-async pull --into "$into" --shard "$shard/4" --companies "$companies" --per-minute 250 "$@" &
    pids+=($!)
done
status=0
for pid in "${pids[@]}"; do
    wait "$pid" || status=$?
done
codat-async status "$into"
exit "$status"
