#!/usr/bin/env bats
# export: a container's files as a tar archive.
load lib
load containers

setup() {
	tree_copy export
	mkdir -p "$tree"/{data,vol,sticky}
	echo one >"$tree/data/one"
	ln -f "$tree/data/one" "$tree/data/hard"
	echo gone >"$tree/data/gone"
	chmod 1777 "$tree/sticky"
	chown 12:34 "$tree/data/one"
	if ! brig inspect base >/dev/null 2>&1; then
		image_of "$tree"
		brig tag "$image" base
	fi
	archive=$BATS_TEST_TMPDIR/out.tar
}
teardown() {
	brig_clean
}
changes='echo new >/data/new; rm /data/gone; chmod 4755 /data/new; ln -s one /data/link; mkfifo /data/fifo; echo on >/vol/on'

# What is in there, in whatever state the container was.
assert_archive() {
	local out=$BATS_TEST_TMPDIR/tree
	rm -rf "$out"
	mkdir "$out"
	tar -C "$out" --same-owner -xpf "$1"
	assert_equal "$(cat "$out/data/new" "$out/data/link")" $'new\none'
	refute_exists "$out/data/gone"
	assert_equal "$(cd "$out" && stat -c '%n %a %u:%g %h' data/new data/one data/hard sticky)" \
		$'data/new 4755 0:0 1\ndata/one 644 12:34 2\ndata/hard 644 12:34 2\nsticky 1777 0:0 2'
	[[ -p $out/data/fifo ]] || fail "there is no pipe"
	# What was mounted is not there, but what it was mounted on.
	assert_equal "$(ls -A "$out/vol" "$out/proc" "$out/sys")" "$out/proc:"$'\n\n'"$out/sys:"$'\n\n'"$out/vol:"
}

@test "of a stopped and a running container, to a file and to a pipe" {
	brig run --network none --name stopped -v /vol base sh -c "$changes"
	brig run -d --network none --name running -v /vol base sh -c "$changes; echo 1 >/tmp/ready; exec sleep 1000" >/dev/null
	wait_until 10 brig exec running cat /tmp/ready
	local name
	for name in stopped running; do
		assert_run 0 brig export -o "$archive" "$name"
		assert_equal "$output$errors" ""
		assert_archive "$archive"
		brig export "$name" | cmp - "$archive"
	done
	# It ran on meanwhile, and both go on.
	assert_run 0 brig exec running cat /vol/on
	assert_run 0 brig start -a stopped
	brig create --name fresh base true >/dev/null
	assert_equal "$(brig export fresh | tar -xO data/gone)" gone
}

@test "where trees are whole" {
	local root=$BRIG_ROOT
	printf '[storage]\ndriver = copy\n' >"$BRIG_TEST_DIR/copy.conf"
	export BRIG_ROOT=$BRIG_TEST_DIR/copy-root BRIG_CONFIG=$BRIG_TEST_DIR/copy.conf
	image_of "$tree"
	brig tag "$image" base
	brig run -d --network none --name running -v /vol base sh -c "$changes; echo 1 >/tmp/ready; exec sleep 1000" >/dev/null
	wait_until 10 brig exec running cat /tmp/ready
	assert_equal "$(brig info -f '{{.Driver}}')" copy
	assert_run 0 brig export -o "$archive" running
	assert_archive "$archive"
	brig kill running >/dev/null
	brig wait running >/dev/null
	brig export running | cmp - "$archive"
	brig_clean
	rm -rf "$BRIG_ROOT"
	BRIG_ROOT=$root
}

@test "it becomes an image again" {
	brig run --network none --name stopped -v /vol base sh -c "$changes"
	mkdir "$BATS_TEST_TMPDIR/again"
	brig export stopped | tar -C "$BATS_TEST_TMPDIR/again" -xp
	image_of "$BATS_TEST_TMPDIR/again"
	assert_run 0 brig run --rm --network none "$image" cat /data/link
	assert_equal "$output" one
}

@test "what cannot be exported leaves nothing" {
	brig create --name fresh base true >/dev/null
	echo old >"$archive"
	assert_run 1 brig export -o "$archive" nosuch
	assert_one_error "No such container: nosuch"
	assert_equal "$(cat "$archive")" old
	assert_run 1 brig export -o "$BATS_TEST_TMPDIR/no/file" fresh
	assert_one_error "no/file: No such file"
	assert_run 1 brig export -o "$BATS_TEST_TMPDIR" fresh
	assert_one_error "Is a directory"
	assert_run 1 brig export -o /dev/full fresh
	assert_one_error "No space left"
	assert_run 1 script -qec "'$BRIG' export fresh" /dev/null
	assert_match "$output" "cowardly refusing to save to a terminal"
	assert_run 1 brig export
	assert_run 1 brig export fresh fresh
	# Nor does a reader who leaves.
	brig export fresh | head -c 1 >/dev/null || true
	assert_equal "$(ls -A "$BATS_TEST_TMPDIR")" $'errors\nout.tar'
	assert_run 0 brig start -a fresh
}
