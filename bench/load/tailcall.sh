#!/usr/bin/env bash
# Usage: tailcall.sh FOLDER
#
# Installs Tailcall with npm in FOLDER and prints the command that runs it.
# 1.6.14 needs glibc 2.39. On a Debian with an older one, apt unpacks the C
# library of a later release beside it; elsewhere 1.0.0 is installed instead.
set -euo pipefail
folder=$1
package=@tailcallhq/core-linux-x64-gnu
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "only for Linux on x86-64" >&2; exit 1; }

install() { # VERSION
	local into=$folder/tailcall-$1
	binary=$into/node_modules/$package/bin/tailcall
	[ -x "$binary" ] || npm install --prefix "$into" --no-audit --no-fund --ignore-scripts "$package@$1" >&2
}

library() { # RELEASE
	local into=$folder/libc-$1
	libraries=$into/unpacked/usr/lib/x86_64-linux-gnu
	[ ! -e "$libraries/libc.so.6" ] || return 0
	mkdir -p "$into/lists/partial" "$into/archives/partial"
	local source
	source=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
		sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +(https?:[^ ]*\/debian\/?)( .*)?$/\3/p' | head -1)
	[ -n "$source" ] || return 1
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source $1 main" >"$into/sources.list"
	local options=(-o "Dir::Etc::sourcelist=$into/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$into/lists" -o "Dir::Cache=$into" -o APT::Sandbox::User=root)
	(
		cd "$into"
		apt-get "${options[@]}" update
		apt-get "${options[@]}" download libc6 libgcc-s1
		for deb in ./*.deb; do dpkg-deb -x "$deb" unpacked; done
	) >&2
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
install 1.6.14
if "$binary" --version >/dev/null 2>&1; then
	echo "$binary"
elif library trixie && "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$binary" --version >/dev/null 2>&1; then
	echo "$libraries/ld-linux-x86-64.so.2 --library-path $libraries $binary"
else
	echo "1.6.14 does not run on this system: installing 1.0.0" >&2
	install 1.0.0
	echo "$binary"
fi
