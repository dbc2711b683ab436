#!/usr/bin/env bats
# A database with its data on a volume: it outlives its containers, a kill, and moves on a copy.
load lib
load containers

setup_file() {
	tar -C "$(fixture postgres)/oci" -c . >"$BRIG_TEST_DIR/postgres.tar"
	brig load -q -i "$BRIG_TEST_DIR/postgres.tar" >/dev/null
	rm "$BRIG_TEST_DIR/postgres.tar"
}
setup() {
	image=$(brig images -q)
}
teardown() {
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || brig logs db | tail -n 20
	brig_clean
}

sql() {
	brig exec db psql -qtA -c "$1"
}
serve() {
	brig run -d --name db --network none "$@" "$image" >/dev/null
	wait_until 30 sql 'select 1'
}

# The last start found what a crash leaves, and nothing worse.
assert_recovered() {
	local log
	log=$(brig logs db 2>&1)
	assert_match "$log" 'database system was not properly shut down; automatic recovery in progress'
	refute_match "$log" 'PANIC|invalid page|could not (open|read) file'
}

@test "the volume gets its owner from the image; what was written is there for the next container" {
	serve -v pgdata:/data
	assert_equal "$(brig exec db stat -c '%U %a' /data)" 'postgres 700'
	sql 'create table t (n int); insert into t select generate_series(1, 1000)'
	assert_equal "$(sql 'select sum(n) from t')" 500500
	assert_equal "$(brig ps --filter volume=pgdata --format '{{.Names}}')" db
	assert_run 0 brig stop db
	assert_run 0 brig rm -v db
	assert_equal "$(brig volume ls -q)" pgdata
	serve -v pgdata:/data
	assert_equal "$(sql 'select sum(n) from t')" 500500
	sql 'insert into t values (1)'
	# All of it gone at once: the database finds its own log.
	assert_run 0 brig kill db
	assert_equal "$(brig wait db)" 137
	assert_run 0 brig start db
	wait_until 30 sql 'select 1'
	assert_recovered
	assert_equal "$(sql 'select count(*) from t')" 1001
	# Another container looks at the same files meanwhile.
	assert_run 0 brig run --rm --network none --volumes-from db:ro --entrypoint cat "$image" /data/PG_VERSION
	assert_equal "$output" 15
	assert_run 1 brig volume rm pgdata
	assert_one_error 'volume is in use'
	brig rm -f db >/dev/null
	assert_run 0 brig volume rm pgdata
}

@test "killed in the middle of writing, monitor and all: the next container has what was committed" {
	local pid monitor acked=$BATS_TEST_TMPDIR/acked last
	serve -v pgdata:/data
	sql 'create table t (n int)'
	brig exec db sh -c 'i=1; while psql -qc "insert into t values ($i)"; do echo $i; i=$((i+1)); done' >"$acked" 2>/dev/null 3>&- &
	wait_until 60 sh -c "[ \$(wc -l <'$acked') -ge 20 ]"
	pid=$(pid_of db)
	monitor=$(ps -o ppid= -p "$pid" | tr -d ' ')
	assert_equal "$(cat "/proc/$monitor/comm")" brig
	kill -KILL "$monitor" "$pid"
	wait_until 10 sh -c "! kill -0 $pid"
	wait $! || true
	last=$(tail -n 1 "$acked")
	((last >= 20)) || fail "only $last were written"
	assert_equal "$(brig ps -a --format '{{.State}}' -f name=db)" exited
	assert_run 0 brig rm -v db
	serve -v pgdata:/data
	assert_recovered
	# All that was acknowledged, and at most the one that was on its way.
	local count
	count=$(sql 'select count(*) from t')
	((count == last || count == last + 1)) || fail "$last were acknowledged, $count are there"
	assert_equal "$(sql 'select max(n) from t')" "$count"
	sql 'insert into t values (0)'
	brig rm -f db >/dev/null
	assert_run 0 brig volume rm pgdata
}

@test "without a name the image's VOLUME is an anonymous one, and goes with rm -v" {
	serve
	sql 'create table t (n int)'
	assert_match "$(brig inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}}{{end}}' db)" '^volume [0-9a-f]{64} /data$'
	brig stop db >/dev/null
	brig start db >/dev/null
	wait_until 30 sql 'select count(*) from t'
	assert_run 0 brig rm -f -v db
	assert_silent brig volume ls -q
}
