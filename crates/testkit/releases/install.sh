#!/bin/sh
# Makes the environments of the real-SDK releases: .test-env/<name> at the workspace root.
#
#   install.sh                     all of them
#   install.sh python-openai-3     only these
#   install.sh python-peers        what only the benchmark of the tap needs
#   install.sh python-llmock       what only `cargo xtask detect --beside llmock` needs
#
# An environment is made anew when its pinned files change, and left alone otherwise. It appears under its name only when it is
# whole: a run that was interrupted leaves nothing that a later one would trust.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target="$root/.test-env"
all="python-openai-1 python-openai-3 python-litellm python-clients node-openai-4 node-openai-7 node-clients node-24 python-langchain python-langchain-before python-responses node-ai-before"

# What a bare Debian machine lacks is installed; elsewhere it is named.
python=python3
command -v python3.11 >/dev/null && python=python3.11
missing=""
command -v "$python" >/dev/null || missing="$missing python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "install.sh: these are missing, and there is no apt-get to install them:$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # Each word of the list is a package.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
fi

digest() {
    for file in "$@"; do cat "$file"; done | sha256sum | cut -d ' ' -f 1
}

python_environment() {
    requirements="$here/environments/$1.requirements.txt"
    wanted=$(digest "$requirements")
    whole "$1" "$wanted" && return
    # A virtual environment knows its own place, so it is made where it stays; the stamp is what tells that it is whole.
    rm -rf "${target:?}/$1"
    "$python" -m venv "$target/$1"
    "$target/$1/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check --requirement "$requirements"
    "$target/$1/bin/python" -m compileall -q "$target/$1/lib" >/dev/null 2>&1 || true
    stamp "$1" "$wanted"
}

node_environment() {
    source="$here/environments/$1"
    wanted=$(digest "$source/package.json" "$source/package-lock.json" "$source/.npmrc")
    whole "$1" "$wanted" && return
    rm -rf "${target:?}/$1"
    mkdir -p "$target/$1"
    cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target/$1/"
    # The SDK's newest major asks for a newer Node than it needs: a warning, not an error.
    (cd "$target/$1" && npm ci --silent --no-audit --no-fund --ignore-scripts >/dev/null)
    stamp "$1" "$wanted"
}

whole() {
    if [ "$(cat "$target/$1/.installed" 2>/dev/null)" = "$2" ]; then
        echo "$1: up to date"
    else
        echo "$1: installing"
        return 1
    fi
}

stamp() {
    printf '%s' "$2" >"$target/$1/.installed.new"
    mv "$target/$1/.installed.new" "$target/$1/.installed"
    echo "$1: installed"
}

mkdir -p "$target"
# One installer at a time; the others wait and then find everything in place.
exec 9>"$target/.lock"
flock 9

for name in ${*:-$all}; do
    case $name in
        python-*) python_environment "$name" ;;
        node-*) node_environment "$name" ;;
        *) echo "install.sh: no environment is named $name; there are: $all python-peers python-llmock" >&2; exit 2 ;;
    esac
done
