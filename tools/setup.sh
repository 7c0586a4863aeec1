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

# A .venv holds for one place and one requirements.txt; when either changes it is made anew.
make_venv() {
  local stamp=.venv/.made-for hash
  hash=$(printf '%s\n' "$PWD" | cat - requirements.txt | sha256sum)
  [[ -f $stamp && $(<"$stamp") == "$hash" ]] && return
  step "python3 -m venv .venv" python3 -m venv --clear .venv
  step "pip: requirements.txt" .venv/bin/python -m pip install --disable-pip-version-check \
    --no-deps -r requirements.txt
  printf '%s\n' "$hash" >"$stamp"
}

# Tools that only one command needs, under the pins of requirements-tools.txt.
need_tools() {
  local stamp=.venv/.has-$1 hash
  hash=$(printf '%s\n' "$*" | cat - requirements-tools.txt | sha256sum)
  [[ -f $stamp && $(<"$stamp") == "$hash" ]] && return
  step "pip: $*" .venv/bin/python -m pip install --disable-pip-version-check \
    --constraint requirements-tools.txt "$@"
  printf '%s\n' "$hash" >"$stamp"
}
