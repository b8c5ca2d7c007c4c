#!/bin/bash
# A one-shot command on curl and jq: ask.sh [--stream] "<prompt>" prints the answer; otherwise an exit status of 1.
set -uo pipefail

path=/chat/completions
reply=$(mktemp -d)
trap 'rm -rf "$reply"' EXIT

log() { # event, status, further fields as JSON
    jq -nc --arg event "$1" --arg status "$2" --arg version "$APP_VERSION" --arg route "$path" --arg id "${id:-}" \
        --argjson more "${3:-null}" \
        '{time: (now | todate), $event, $version, $route, status: (($status | tonumber?) // $status), request_id: $id} + ($more // {})' >&2
}

refuse() {
    log ask "${status:-network_error}" "$(jq -nc --arg reason "$1" '{outcome: "refused", $reason}')"
    exit 1
}

stream=false
[ "$1" = --stream ] && { stream=true; shift; }
document=$(jq -nc --arg model "$SUPPORT_MODEL" --arg prompt "$1" --argjson stream "$stream" \
    '{$model, messages: [{role: "system", content: "You are a support assistant."}, {role: "user", content: $prompt}]} + if $stream then {$stream} else {} end')

for attempt in 1 2 3; do
    # The key goes in by a file: arguments can be read by everybody on the machine.
    status=$(curl --silent --show-error --no-buffer --max-time 4 --output "$reply/body" --dump-header "$reply/head" \
        --write-out '%{http_code}' --header @<(printf 'authorization: Bearer %s\n' "$COMETAPI_API_KEY") \
        --header 'content-type: application/json' --data-binary @- "${COMETAPI_BASE_URL%/}$path" <<<"$document" 2>/dev/null)
    outcome=$?
    [ "$status" = 000 ] && status=network_error
    id=$(sed -n 's/^[a-z-]*request-id: *\([^\r]*\)\r*$/\1/Ip' "$reply/head" 2>/dev/null | head -1)
    [ -n "$id" ] || id=$(grep -o 'request id: [A-Za-z0-9_-]*' "$reply/body" 2>/dev/null | head -1 | cut -d' ' -f3)
    [ $outcome = 0 ] && [ "$status" = 200 ] && break
    log attempt "$status" "{\"attempt\": $attempt}"
    [ "$status" = 200 ] && refuse "the reply broke off"
    code=$(jq -r '.error.code // empty' "$reply/body" 2>/dev/null)
    case $status in
        408 | 429 | 500 | 502 | 503 | 504 | 529 | network_error) ;;
        *) refuse "the API answered $status" ;;
    esac
    case $code in invalid_request | model_not_found | insufficient_quota | credit_balance_exhausted) refuse "$code" ;; esac
    [ $attempt = 3 ] && refuse "no answer after three attempts"
    [ $outcome = 28 ] && refuse "no answer in time"
    wait=$(sed -n 's/^retry-after: *\([0-9]*\)\r*$/\1/Ip' "$reply/head" 2>/dev/null)
    [ "${wait:-0}" -gt 5 ] && refuse "the API asks for a long wait"
    sleep "${wait:-$attempt}"
done

if $stream; then
    grep -qi '^content-type: *text/event-stream' "$reply/head" || refuse "the API did not stream"
    sed -n -e 's/\r$//' -e 's/^data: \{0,1\}//p' "$reply/body" | grep -v '^\[DONE\]$' >"$reply/events"
    jq -es 'all(.[]; (has("error") | not) and (.choices | type == "array")) and ([.[].choices[]?.finish_reason // empty] | last == "stop")' \
        "$reply/events" >/dev/null 2>&1 || refuse "the stream is not whole"
    text=$(jq -rj '.choices[]?.delta.content // empty' "$reply/events"; echo x)
else
    jq -e '(.error | not) and .choices[0].finish_reason == "stop" and (.choices[0].message | (.content | type == "string") and (.refusal | not))' \
        "$reply/body" >/dev/null 2>&1 || refuse "the reply is no whole completion"
    text=$(jq -rj '.choices[0].message.content' "$reply/body"; echo x)
fi
text=${text%x}
[ -n "${text//[[:space:]]/}" ] || refuse "the answer is empty"
log ask "$status" '{"outcome": "answered"}'
printf '%s' "$text"
