# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Functions with which the demos show commands and log lines.
log_seen=$(dmesg | wc -l)

title() { printf '\n== %s\n' "$*"; }
fail() { printf 'demo: this should not be: %s\n' "$*"; exit 1; }

# Show a command with its variables by name, then its output.
show() {
	printf '# %s\n' "$1"
	eval "$1" || fail "it ended with $?"
}

# Show the kernel's log lines since the last call.
show_log() {
	dmesg | tail -n +$((log_seen + 1)) | sed 's/^/kernel: /'
	log_seen=$(dmesg | wc -l)
}

now() { cut -d ' ' -f 1 /proc/uptime; }
since() { awk -v then="$1" '{ printf "%.2f s", $1 - then }' /proc/uptime; }
