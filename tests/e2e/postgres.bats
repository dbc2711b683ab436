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
	# Its monitor and all of it gone at once: the database finds its own log.
	assert_run 0 brig kill db
	assert_run 0 brig wait db
	assert_run 0 brig start db
	wait_until 30 sql 'select 1'
	assert_equal "$(sql 'select count(*) from t')" 1001
	# Another container looks at the same files meanwhile.
	assert_run 0 brig run --rm --network none --volumes-from db:ro --entrypoint cat "$image" /data/PG_VERSION
	assert_equal "$output" 15
	assert_run 1 brig volume rm pgdata
	assert_one_error 'volume is in use'
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
	assert_equal "$(brig volume ls -q)" ""
}
