# Creates a PostgreSQL cluster, runs it on a loopback port until standard input ends,
# and removes it. Arguments: the folder of the server's programs, then ports to try.
# Prints "ready on port N" when the server is ready, or why it is not.

# A signal may end "read" below, but not this script before it has cleaned up.
trap : HUP INT TERM PIPE
exec 2>&1

bin=$1
shift
# Only root may be allowed into TMPDIR.
dir=$(mktemp -d "$TMPDIR/veranda-postgres.XXXXXX" 2>/dev/null) ||
	dir=$(mktemp -d /tmp/veranda-postgres.XXXXXX) || exit 1

# --no-sync is for initdb alone; the server syncs as it does by default.
if "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log"; then
	cat >>"$dir/data/postgresql.conf" <<-END
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		max_connections = 200
		shared_buffers = 32MB
		log_min_messages = log
		log_checkpoints = off
	END
	for port; do
		# pg_ctl waits until this server is ready. A connection to the port might reach
		# another server.
		if "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -o "-p $port" -w start >/dev/null; then
			echo "ready on port $port"
			read -r _
			ready=yes
			break
		fi
	done
fi
[ "$ready" ] || cat "$dir/log"
"$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
rm -rf "$dir"
[ "$ready" ]
