#!/bin/sh
# Asks once in each mode at each base URL, with curl. The answers are the replies as they come, one JSON text each.
#
#     clients.sh MODEL PROMPT URL...
set -u
model=$1 prompt=$2
shift 2
for url in "$@"; do
    for stream in false true; do
        curl --silent --show-error --header "authorization: Bearer $API_KEY" --header "content-type: application/json" \
            --data "{\"model\":\"$model\",\"stream\":$stream,\"messages\":[{\"role\":\"user\",\"content\":\"$prompt\"}]}" \
            "$url/chat/completions" || echo "error $?"
        echo
        echo "--next--"
    done
done
