#!/usr/bin/env bats
# import: an image from an archive of files.
load lib
load containers
load liar

setup() {
	fresh_store
	archive=$BRIG_TEST_DIR/rootfs.tar
	[[ -e $archive ]] || tar -C "$(fixture busybox)/tree" --numeric-owner -cf "$archive" .
}
teardown() {
	brig_clean
}

@test "a file, a pipe, a redirection; plain, gzip and zstd; always the same layer" {
	local layer= id kind
	gzip -kf "$archive"
	zstd -qkf "$archive"
	for kind in "" .gz .zst; do
		assert_run 0 brig import "$archive$kind" "mine:a$kind"
		assert_match "$output" '^sha256:[0-9a-f]{64}$'
		assert_equal "$errors" ""
		id=$output
		assert_equal "$(brig image inspect -f '{{.Id}} {{.Comment}}' "mine:a$kind")" "$id Imported from $archive$kind"
		cat "$archive$kind" | "$BRIG" import - "mine:b$kind" >/dev/null
		"$BRIG" import - "mine:c$kind" <"$archive$kind" >/dev/null
		assert_equal "$(brig image inspect -f '{{.Comment}}' "mine:c$kind")" "Imported from -"
		for id in a b c; do
			assert_equal "$(brig image inspect -f '{{index .RootFS.Layers 0}}' "mine:$id$kind")" \
				"sha256:$(sha256sum <"$archive" | cut -c1-64)"
		done
	done
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 1
	assert_run 0 brig run --rm --network none mine:a.gz echo works
	assert_equal "$output" works
	assert_no_staging
	# A pipe whose writer takes its time, a byte at first.
	(head -c 1 "$archive.gz"; sleep 0.3; tail -c +2 "$archive.gz") | "$BRIG" import - mine:slow >/dev/null
	assert_run 0 brig run --rm --network none mine:slow echo works
}

@test "the configuration, the message, the platform; without a name" {
	assert_run 0 brig import -m msg -c 'CMD ["cat","/srv/f"]' -c 'LABEL a=b' -c 'EXPOSE 80' -c 'USER nobody' -c 'WORKDIR /srv' \
		"$archive" ref/ie:1
	assert_run 0 brig image inspect -f \
		'{{json .Config.Cmd}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{.Config.User}} {{.Config.WorkingDir}} {{.Comment}}' ref/ie:1
	assert_equal "$output" '["cat","/srv/f"] {"a":"b"} {"80/tcp":{}} nobody /srv msg'
	assert_equal "$(brig history --format '{{.Comment}}' ref/ie:1)" msg
	assert_run 0 brig import --platform linux/arm64 "$archive" ref/ie:2
	assert_equal "$(brig image inspect -f '{{.Os}}/{{.Architecture}}' ref/ie:2)" linux/arm64
	assert_run 0 brig import -m other "$archive"
	assert_equal "$(brig image inspect -f '{{json .RepoTags}}' "$output")" "[]"
	# A name moves to the new image.
	local id
	id=$(brig image inspect -f '{{.Id}}' ref/ie:1)
	assert_run 0 brig import "$archive" ref/ie:1
	assert_equal "$(brig image inspect -f '{{.Id}}' ref/ie:1)" "$output"
	assert_equal "$(brig image inspect -f '{{json .RepoTags}}' "$id")" "[]"
}

@test "what a container has become, as one layer" {
	brig import "$archive" base >/dev/null
	brig run --network none --name work base sh -c 'echo new >/new; rm /bin/vi; chown 3:4 /new; chmod 4711 /new'
	brig export work | "$BRIG" import - flat >/dev/null
	assert_run 0 brig run --rm --network none flat sh -c 'cat /new; stat -c "%a %u:%g" /new; ls /bin/vi 2>&1 | cut -d: -f3'
	assert_equal "$output" $'new\n4711 3:4\n No such file or directory'
	assert_equal "$(brig image inspect -f '{{len .RootFS.Layers}}' flat)" 1
}

@test "what cannot be imported leaves nothing" {
	local tree=$BATS_TEST_TMPDIR/tree
	refuse() { # MESSAGE ARGS…
		local message=$1
		shift
		assert_run 1 brig import "$@"
		assert_one_error "$message"
		assert_store_empty 0
		assert_no_staging
	}
	brig info >/dev/null
	brig import "$archive" x >/dev/null && brig rmi x >/dev/null
	refuse "cannot open .*nosuch.tar: No such file" nosuch.tar
	refuse "RUN is not a valid change command" -c 'RUN x' "$archive" ref/ie:3
	refuse "must be lowercase" "$archive" BAD
	refuse "refusing to create a tag with a digest" "$archive" "x@sha256:$(printf '%064d' 0)"
	refuse "" --platform a/b/c/d "$archive"
	refuse "nothing is downloaded" http://127.0.0.1:1/x.tar
	refuse "Is a directory" "$BRIG_TEST_DIR"
	head -c 1M /dev/urandom >"$BATS_TEST_TMPDIR/junk"
	refuse "cannot import .*junk: " "$BATS_TEST_TMPDIR/junk"
	: >"$BATS_TEST_TMPDIR/empty"
	refuse "it is empty" "$BATS_TEST_TMPDIR/empty"
	head -c 10240 /dev/zero >"$BATS_TEST_TMPDIR/nothing"
	refuse "there is nothing in it" "$BATS_TEST_TMPDIR/nothing"
	head -c 300000 "$archive" >"$BATS_TEST_TMPDIR/cut"
	refuse "cannot import .*cut: " "$BATS_TEST_TMPDIR/cut"
	head -c 100000 "$archive.gz" >"$BATS_TEST_TMPDIR/cut.gz"
	refuse "cannot import .*cut.gz: " "$BATS_TEST_TMPDIR/cut.gz"
	xz -0 -c "$BATS_TEST_TMPDIR/nothing" >"$BATS_TEST_TMPDIR/x.xz"
	refuse "xz" "$BATS_TEST_TMPDIR/x.xz"
	tar -C / -P -cf "$BATS_TEST_TMPDIR/out.tar" --transform 's,^etc,../../out,' etc/hostname
	refuse 'leads out of its folder' "$BATS_TEST_TMPDIR/out.tar"
	assert_run 1 script -qec "'$BRIG' import -" /dev/null
	assert_match "$output" "cannot import from a terminal"
}

@test "interrupted, it leaves nothing, also while it waits for its input" {
	brig import "$archive" x >/dev/null && brig rmi x >/dev/null
	local pipe=$BATS_TEST_TMPDIR/pipe status first
	mkfifo "$pipe"
	for first in 0 3 300000; do
		status=0
		(head -c "$first" "$archive"; exec sleep 1000) >"$pipe" 3>&- &
		local writer=$!
		"$BRIG" import "$pipe" x 2>"$BATS_TEST_TMPDIR/said" 3>&- &
		local pid=$!
		sleep 0.3
		kill -INT $pid
		wait $pid || status=$?
		kill $writer
		wait $writer || true
		assert_equal "$status" 130
		assert_match "$(cat "$BATS_TEST_TMPDIR/said")" "the import was interrupted"
		assert_store_empty 0
		assert_no_staging
	done
}
