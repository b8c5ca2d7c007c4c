#!/bin/sh
# Starts LiteLLM's proxy: start.sh provider|release PORT. It takes about ten seconds until /health/liveliness answers 200.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
part=${1:?provider or release}
port=${2:?a port}

case $part in
    provider) : "${LITELLM_MASTER_KEY:?}" ;;
    release)
        : "${GATEWAY_KEY:?}" "${COMETAPI_BASE_URL:?}" "${COMETAPI_API_KEY:?}" "${SUPPORT_MODEL:?}"
        GATEWAY_MODEL="openai/$SUPPORT_MODEL"
        export GATEWAY_MODEL
        ;;
    *) echo "start.sh: provider or release, not $part" >&2; exit 2 ;;
esac

# The price list comes from the package and not from the network; nothing is reported home.
export LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_TELEMETRY=False NO_DOCS=True LITELLM_LOG=ERROR
cd "$here"
exec "$root/.test-env/python-litellm/bin/litellm" --config "$here/$part.yaml" --host 127.0.0.1 --port "$port" --num_workers 1
