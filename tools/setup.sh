#!/usr/bin/env bash
# What ./dev says while it works, and how it installs what a command needs. ./dev reads this file.

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

fail() {
  printf '%s\n' "./dev: $*" >&2
  exit 1
}

# Runs a command under a one-line title, with a dot every two seconds; its output shows if it fails.
step() {
  local title=$1 log ticker status=0
  shift
  log=$(mktemp)
  printf '[%4d s] %s ' "$SECONDS" "$title"
  (while sleep 2 >/dev/null 2>&1; do printf '.'; done) &
  ticker=$!
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if ((status == 0)); then
    printf ' done\n'
  else
    printf ' failed\n'
    cat "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      printf '%s\n' "$package"
  done
}

install_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian: please have the like of: $*"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} > 0)) || return 0
  ((EUID == 0)) || fail "please run: sudo apt-get install --no-install-recommends ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  step "apt: package lists" apt-get update
  step "apt: ${missing[*]}" apt-get install -y --no-install-recommends "${missing[@]}"
}

# Into a virtual environment, from a list that names each file by its hash: no other is taken.
install_hashed() {
  local home=$1 list=$2
  "$home/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$list" "${@:3}"
}

# A .venv holds for one place and one requirements.txt; when either changes it is made anew.
make_venv() {
  local stamp=.venv/.made-for hash
  hash=$(printf '%s\n' "$PWD" | cat - requirements.txt | sha256sum)
  [[ -f $stamp && $(<"$stamp") == "$hash" ]] && return
  step "python3 -m venv .venv" python3 -m venv --clear .venv
  step "pip: requirements.txt" install_hashed .venv requirements.txt --no-deps
  printf '%s\n' "$hash" >"$stamp"
}

# Tools that only some commands need: those of tools/requirements/$1.txt.
need_tools() {
  local list=tools/requirements/$1.txt stamp=.venv/.has-$1
  [[ ! -f $stamp ]] || ! cmp -s "$list" "$stamp" || return 0
  step "pip: $list" install_hashed .venv "$list"
  cp "$list" "$stamp"
}
