#!/usr/bin/env bats
# Images come in archives too: everybody's forms, and nothing of an archive is believed.
load lib
load liar

setup() {
	fresh_store
}

# make_archive KIND: by hand, as archives.py describes it; prints the file's path.
make_archive() {
	local file=$BRIG_TEST_DIR/$1.tar
	[[ -e $file ]] || python3 "$BRIG_TEST_TOP/tests/e2e/archives.py" "$1" "$file"
	echo "$file"
}
# export_fixture FIXTURE TRANSPORT[:NAME]: by skopeo; prints the file's path.
export_fixture() {
	local layout file
	layout=$(fixture "$1")/oci
	file=$BRIG_TEST_DIR/$1-${2//[:\/]/-}.tar
	[[ -e $file ]] || skopeo --insecure-policy copy -q "oci:$layout:latest" "${2%%:*}:$file:${2#*:}"
	echo "$file"
}
# assert_refused KIND REGEX: the archive is refused with one sentence, and nothing is left of it.
assert_refused() {
	assert_run 1 brig load -i "$(make_archive "$1")"
	assert_one_error "cannot load .*$2"
	assert_store_empty
}
# The one layer's files are the fixture's.
assert_tree() {
	diff -r --no-dereference "$(echo "$BRIG_ROOT"/layers/*/tree)" "$(fixture "$1")/tree"
}

@test "docker's archive by skopeo, from a file, a pipe and a redirection" {
	local file
	file=$(export_fixture busybox docker-archive:busybox:1)
	assert_run 0 brig load -i "$file"
	assert_equal "$output" "Loaded image: busybox:1"
	assert_tree busybox
	assert_run 0 brig load --input "$file" -q
	assert_equal "$output" "Loaded image: busybox:1"
	fresh_store
	assert_equal "$("$BRIG" load <"$file")" "Loaded image: busybox:1"
	assert_tree busybox
	fresh_store
	assert_equal "$(cat "$file" | "$BRIG" load)" "Loaded image: busybox:1"
	assert_tree busybox
	assert_no_staging
	assert_blobs_sound
	assert_run 0 brig run --rm --network none busybox:1 echo works
	assert_equal "$output" works
}

@test "the archive can be compressed, or start in the middle of a file" {
	local file
	file=$(export_fixture busybox docker-archive:busybox:1)
	gzip -k "$file"
	zstd -q "$file"
	assert_run 0 brig load -i "$file.gz"
	assert_tree busybox
	fresh_store
	assert_run 0 brig load -i "$file.zst"
	assert_equal "$output" "Loaded image: busybox:1"
	assert_tree busybox
	fresh_store
	{ echo header; cat "$file"; } >"$BRIG_TEST_DIR/behind"
	{ read -r; assert_equal "$("$BRIG" load)" "Loaded image: busybox:1"; } <"$BRIG_TEST_DIR/behind"
	assert_tree busybox
	xz -k "$file"
	assert_run 1 brig load -i "$file.xz"
	assert_one_error "cannot load .*xz, which is not supported"
}

@test "an OCI layout in a folder" {
	local layout=$BATS_TEST_TMPDIR/layout
	skopeo --insecure-policy copy -q "oci:$(fixture busybox)/oci:latest" "oci:$layout:example.com/box:7"
	assert_run 0 brig load -i "$layout"
	assert_equal "$output" "Loaded image: example.com/box:7"
	assert_equal "$errors" ""
	assert_tree busybox
	assert_blobs_sound
	assert_no_staging
	assert_run 0 brig run --rm --network none example.com/box:7 echo works
	assert_equal "$output" works
	fresh_store
	# Redirected, as docker's archive unpacked, and with links in it.
	mkdir "$BATS_TEST_TMPDIR/docker"
	tar -C "$BATS_TEST_TMPDIR/docker" -xf "$(export_fixture busybox docker-archive:busybox:1)"
	assert_equal "$("$BRIG" load <"$BATS_TEST_TMPDIR/docker")" "Loaded image: busybox:1"
	assert_tree busybox
	fresh_store
	ln -s /etc/passwd "$layout/blobs/sha256/$(printf '%064d' 0)"
	assert_run 0 brig load -i "$layout"
	# What is wrong leaves nothing.
	fresh_store
	brig info >/dev/null
	assert_run 1 brig load -i "$(fixture busybox)/tree"
	assert_one_error "it is a folder, and there is neither an oci-layout nor a manifest.json in it"
	local blob
	blob=$(find "$layout/blobs" -type f -size +100k)
	mv "$blob" "$BATS_TEST_TMPDIR/blob"
	assert_run 1 brig load -i "$layout"
	assert_one_error "is missing in it"
	head -c 5000 "$BATS_TEST_TMPDIR/blob" >"$blob"
	assert_run 1 brig load -i "$layout"
	assert_one_error "bytes, and the manifest says"
	ln -sf /etc/passwd "$blob"
	assert_run 1 brig load -i "$layout"
	assert_one_error "cannot load $layout"
	assert_store_empty
}

@test "an OCI archive by skopeo: its blobs are kept" {
	assert_run 0 brig load -i "$(export_fixture layers oci-archive:example.com/layers:1)"
	assert_equal "$output" "Loaded image: example.com/layers:1"
	local layout name
	layout=$(fixture layers)/oci
	for name in "$layout"/blobs/sha256/*; do
		assert_exists "$BRIG_ROOT/blobs/sha256/$(basename "$name")"
	done
	assert_blobs_sound
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 4
	# What is in its layers is what skopeo says of them.
	assert_run 0 brig run --rm --network none -v "$(fixture layers):/oracle:ro" example.com/layers:1 \
		sh -c 'cd / && find data | sort'
	assert_equal "$output" "$(cut -d' ' -f1 "$(fixture layers)/expected")"
}

@test "a tag alone is no name; umoci's layout as a tar" {
	assert_run 0 brig load -i "$(export_fixture busybox oci-archive:latest)"
	assert_match "$output" '^Loaded image ID: sha256:[0-9a-f]{64}$'
	local id=${output##*: }
	tar -C "$(fixture busybox)/oci" -cf "$BRIG_TEST_DIR/umoci.tar" .
	assert_run 0 brig load -i "$BRIG_TEST_DIR/umoci.tar"
	assert_equal "$output" "Loaded image ID: $id"
	assert_run 0 brig tag "$id" named:1
	assert_run 0 brig images -q --no-trunc
	assert_equal "$output" "$id"
}

@test "what podman and buildah save" {
	local store=(--root "$BRIG_TEST_DIR/podman" --runroot "$BRIG_TEST_DIR/podman-run" --storage-driver vfs)
	local layout id
	layout=$(fixture layers)/oci
	command -v podman >/dev/null || skip "there is no podman"
	podman "${store[@]}" pull -q "oci:$layout:latest" >"$BRIG_TEST_DIR/podman.id"
	id=$(cat "$BRIG_TEST_DIR/podman.id")
	podman "${store[@]}" tag "$id" localhost/layers:p docker.io/library/layers:q
	podman "${store[@]}" save -q --format docker-archive -o "$BRIG_TEST_DIR/p.tar" localhost/layers:p docker.io/library/layers:q
	podman "${store[@]}" save -q --format oci-archive -o "$BRIG_TEST_DIR/q.tar" localhost/layers:p
	assert_run 0 brig load -i "$BRIG_TEST_DIR/p.tar"
	assert_match "$output" "Loaded image: localhost/layers:p"
	assert_match "$output" "Loaded image: layers:q"
	assert_run 0 brig run --rm --network none layers:q cat /data/gone/again
	assert_equal "$output" back
	fresh_store
	assert_run 0 brig load -i "$BRIG_TEST_DIR/q.tar"
	assert_equal "$output" "Loaded image: localhost/layers:p"
	buildah "${store[@]}" push -q "$id" "docker-archive:$BRIG_TEST_DIR/b.tar:localhost/built:1"
	assert_run 0 brig load -i "$BRIG_TEST_DIR/b.tar"
	assert_equal "$output" "Loaded image: localhost/built:1"
	assert_blobs_sound
}

@test "several images in one archive by skopeo, and by hand" {
	local file=$BRIG_TEST_DIR/two.tar
	assert_run 0 brig load -i "$(make_archive several)"
	assert_match "$output" $'^Loaded image: first:1\nLoaded image: second:1\nLoaded image: second:2\nLoaded image ID: sha256:[0-9a-f]{64}$'
	assert_equal "$(brig images -q | sort -u | wc -l)" 3
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 4
	assert_no_staging
}

@test "docker save of old and of now" {
	assert_run 0 brig load -i "$(make_archive legacy)"
	assert_equal "$output" $'Loaded image: legacy:1\nLoaded image: legacy:2'
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 3
	assert_run 0 brig load -i "$(make_archive modern)"
	assert_equal "$output" "Loaded image: modern:1"
	assert_run 0 brig load -i "$(make_archive gzip_layer)"
	assert_run 0 brig load -i "$(make_archive no_layers)"
	assert_equal "$output" "The image hand:1 already exists, renaming the old one with ID $(
		brig images -q --no-trunc modern:1) to empty string
Loaded image: hand:1"
	assert_no_staging
}

@test "OCI layouts: plain and gzip layers, and this host's image of several" {
	assert_run 0 brig load -i "$(make_archive oci)"
	assert_equal "$output" "Loaded image: hand:2"
	assert_run 0 brig load -i "$(make_archive oci_gzip)"
	assert_equal "$output" "Loaded image: example.com/hand:3"
	assert_run 0 brig load -i "$(make_archive oci_nested)"
	assert_equal "$output" "Loaded image: nested:1"
	assert_run 0 brig inspect nested:1 --format '{{.Architecture}}'
	assert_equal "$output" "$(dpkg --print-architecture)"
	assert_blobs_sound
}

@test "more layers than one round holds, and under the driver that copies" {
	assert_run 0 brig load -i "$(make_archive many_layers)"
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 120
	assert_no_staging
	fresh_store
	printf '[storage]\ndriver = copy\n' >"$BRIG_TEST_DIR/conf"
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" load -i "$(export_fixture layers docker-archive:layers:1)"
	assert_equal "$(head -n 1 "$BRIG_ROOT/driver")" copy
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" run --rm --network none layers:1 cat /data/gone/again
	assert_equal "$output" back
	assert_no_staging
}

@test "what the store has already is not needed in the archive" {
	assert_run 0 brig load -i "$(make_archive docker)"
	local file=$BRIG_TEST_DIR/thin.tar
	tar -xf "$(make_archive docker)" -C "$(mktemp -d "$BRIG_TEST_DIR/thin.XXXX")"
	rm "$BRIG_TEST_DIR"/thin.*/*.tar
	tar -C "$BRIG_TEST_DIR"/thin.* -cf "$file" .
	assert_run 0 brig load -i "$file"
	assert_equal "$output" "Loaded image: hand:1"
	fresh_store
	assert_run 1 brig load -i "$file"
	assert_one_error "is missing in it"
}

@test "a pulled image that is loaded keeps its manifest" {
	start_registry
	push_fixture busybox busybox:1
	assert_run 0 brig pull -q "$registry/busybox:1"
	local before
	before=$(find "$BRIG_ROOT/blobs" "$BRIG_ROOT/layers" -maxdepth 2 | sort)
	assert_run 0 brig load -i "$(export_fixture busybox docker-archive:busybox:1)"
	assert_equal "$(find "$BRIG_ROOT/blobs" "$BRIG_ROOT/layers" -maxdepth 2 | sort)" "$before"
	assert_match "$(cat "$BRIG_ROOT"/images/*.json)" '"manifest":"sha256:'
	assert_run 0 brig rmi "$registry/busybox:1" busybox:1
	assert_store_empty 0
	stop_registry
}

@test "what is removed leaves nothing, whatever it was loaded from" {
	local kind
	for kind in several oci oci_gzip docker modern; do
		assert_run 0 brig load -i "$(make_archive $kind)"
	done
	# shellcheck disable=SC2046
	assert_run 0 brig rmi -f $(brig images -q | sort -u)
	assert_store_empty 0
}

@test "no archive" {
	assert_run 1 brig load
	assert_one_error "cannot load standard input: it is empty"
	assert_run 1 brig load -i /etc/passwd
	assert_one_error "cannot load /etc/passwd: it is no tar archive"
	assert_run 1 brig load -i /etc
	assert_one_error "cannot load /etc: it is a folder"
	assert_run 1 brig load -i /nowhere
	assert_one_error "cannot open /nowhere: No such file"
	assert_run 1 brig load operand
	assert_match "$errors" "accepts no arguments"
	assert_refused rootfs "neither a manifest.json nor an index.json"
	assert_refused ancient "older than 1.10"
	assert_refused empty_list "no image in it"
	# A terminal is not read.
	assert_match "$(script -qec "'$BRIG' load" /dev/null </dev/null)" "requested load from stdin, but stdin is empty"
	assert_store_empty
}

@test "cut short anywhere, plain or compressed" {
	local file size part
	file=$(make_archive docker)
	size=$(stat -c %s "$file")
	for part in 100 600 5000 $((size / 2)) $((size - 11000)); do
		head -c "$part" "$file" >"$BRIG_TEST_DIR/cut.tar"
		assert_run 1 brig load -i "$BRIG_TEST_DIR/cut.tar"
		assert_one_error "cannot load .*cut.tar: "
		assert_run 1 bash -c 'head -c "$1" "$2" | "$3" load' bash "$part" "$file" "$BRIG"
		assert_one_error "cannot load standard input: "
	done
	gzip -c "$file" | head -c 1000 >"$BRIG_TEST_DIR/cut.gz"
	assert_run 1 brig load -i "$BRIG_TEST_DIR/cut.gz"
	assert_one_error "cut short"
	assert_store_empty
}

@test "garbage at once is told while the pipe is still open" {
	local status=0
	mkfifo "$BRIG_TEST_DIR/garbage"
	"$BRIG" load <"$BRIG_TEST_DIR/garbage" >"$BRIG_TEST_DIR/out" 2>&1 3>&- &
	local pid=$!
	exec 7>"$BRIG_TEST_DIR/garbage"
	head -c 3M /dev/urandom >&7 2>/dev/null || true
	run_timed wait "$pid" || status=$?
	exec 7>&-
	assert_equal "$status" 1
	assert_equal "$(cat "$BRIG_TEST_DIR/out")" "brig: cannot load standard input: it is no tar archive"
	((elapsed < 5000)) || fail "took $elapsed ms"
}

@test "what is missing in it" {
	assert_refused missing_layer "[0-9a-f]{64}.tar is missing in it"
	assert_refused missing_config "there-is-none.json is missing in it"
	assert_refused oci_missing "blobs/sha256/[0-9a-f]{64} is missing in it"
	assert_refused oci_missing_manifest "is missing in it"
	assert_refused oci_no_layout "oci-layout is missing in it"
}

@test "wrong digests, sizes and numbers" {
	assert_refused wrong_diff_id "a layer is not what its image says"
	assert_refused wrong_config "has the digest sha256:"
	assert_refused layer_count "names 1 layers of an image whose config says 2"
	assert_refused oci_wrong_layer "has the digest sha256:"
	assert_refused oci_short_layer "has 307199 bytes, and the manifest says 307200"
	assert_refused oci_wrong_config "has the digest sha256:"
	assert_refused oci_wrong_manifest "has the digest sha256:"
	assert_refused oci_diff_id "a layer is not what its image says"
	assert_refused gzip_crc "checksum does not match"
	assert_refused gzip_cut "cut short"
	assert_refused layer_damaged "checksum is wrong"
	assert_refused xz_layer "xz, which is not supported"
}

@test "members are found in the archive alone" {
	assert_refused outside "leads out of it"
	assert_refused absolute "is missing in it"
	assert_refused config_path "is missing in it"
	assert_refused config_dots "is missing in it"
	assert_refused loop "links without end"
	assert_refused device "no plain file"
	assert_refused folder "is missing in it"
	assert_refused sparse "no plain file"
	assert_refused twice "two members named manifest.json"
	assert_refused twice_spelled "two members named manifest.json"
	assert_refused layer_escape "leads out of its folder"
	refute_exists /tmp/brig-evil
}

@test "names that it may not give" {
	assert_refused serial_name "img_12345 is reserved"
	assert_refused serial_name_bare "ps_12345 is reserved"
	assert_refused bad_name "must be lowercase"
	assert_refused escape_name "invalid reference format"
	refute_match "$errors" $'\x1b'
	assert_refused no_tag "has no tag"
	assert_refused digest_name "a digest that is not its own"
}

@test "documents that are too large, too many, or not what they say" {
	assert_refused no_json "not valid JSON"
	assert_refused deep_json "nested too deeply"
	assert_refused object "is no list"
	assert_refused number_layer "no string"
	assert_refused large_manifest "more than 4194304"
	assert_refused large_config "more than 8388608"
	assert_refused many_members "too many members"
	assert_refused many_names "more than 4096 names"
	assert_refused many_images "more than 1024 images"
	assert_refused windows "an image for windows"
	assert_refused oci_version "another version than 1.0.0"
	assert_refused oci_artifact "unknown type"
	assert_refused oci_digest_path "digest"
	assert_refused oci_confused "an index and a manifest at once"
	assert_refused oci_nesting "nested too deeply"
}

@test "bombs" {
	assert_refused bomb "checksum is wrong"
	assert_refused gzip_bomb "more than a thousandfold"
	head -c 300M /dev/zero | gzip -9 >"$BRIG_TEST_DIR/bomb.gz"
	assert_run 1 brig load -i "$BRIG_TEST_DIR/bomb.gz"
	assert_one_error "cannot load"
	assert_store_empty
}

@test "no room left is said, and nothing is left of it" {
	local file size
	file=$(export_fixture busybox docker-archive:busybox:1)
	mkdir -p "$BRIG_ROOT"
	for size in 300k 1500k 3M; do
		mount -t tmpfs -o size=$size tmpfs "$BRIG_ROOT"
		assert_run 1 bash -c 'cat "$1" | "$2" load' bash "$file" "$BRIG"
		assert_one_error "No space left"
		assert_store_empty
		umount "$BRIG_ROOT"
	done
}

@test "stopped, nothing is left; stdin may wait for ever" {
	local status=0 pid
	mkfifo "$BRIG_TEST_DIR/fifo"
	"$BRIG" load <"$BRIG_TEST_DIR/fifo" >"$BRIG_TEST_DIR/out" 2>&1 3>&- &
	pid=$!
	exec 7>"$BRIG_TEST_DIR/fifo"
	head -c 1500 "$(make_archive docker)" >&7
	wait_until 5 pgrep -x brig-index
	kill -TERM "$pid"
	wait "$pid" || status=$?
	exec 7>&-
	assert_equal "$status" 130
	assert_equal "$(cat "$BRIG_TEST_DIR/out")" "brig: the load was interrupted"
	assert_store_empty
	run ! pgrep -x 'brig-index|brig-net'
}

@test "twenty loads at once of images that share layers" {
	local pids=() i kind status=0
	make_archive several >/dev/null
	make_archive docker >/dev/null
	make_archive legacy >/dev/null
	make_archive oci_gzip >/dev/null
	for i in 1 2 3 4 5; do
		for kind in several docker legacy oci_gzip; do
			"$BRIG" load -q -i "$BRIG_TEST_DIR/$kind.tar" >/dev/null 2>>"$BRIG_TEST_DIR/errors" 3>&- &
			pids+=($!)
		done
	done
	for i in "${pids[@]}"; do
		wait "$i" || status=$?
	done
	assert_equal "$(cat "$BRIG_TEST_DIR/errors")" ""
	assert_equal "$status" 0
	assert_no_staging
	assert_blobs_sound
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 5
}

@test "the process that reads the archive has no rights" {
	mkfifo "$BRIG_TEST_DIR/fifo3"
	"$BRIG" load <"$BRIG_TEST_DIR/fifo3" >/dev/null 2>&1 3>&- &
	local pid=$! child
	exec 7>"$BRIG_TEST_DIR/fifo3"
	head -c 1500 "$(make_archive docker)" >&7
	wait_until 5 pgrep -x brig-index
	child=$(pgrep -x brig-index)
	wait_until 5 grep -q '^Seccomp:.2' "/proc/$child/status"
	assert_match "$(cat "/proc/$child/status")" $'CapEff:\t0{16}'
	assert_match "$(cat "/proc/$child/status")" $'CapBnd:\t0{16}'
	assert_match "$(cat "/proc/$child/status")" $'NoNewPrivs:\t1'
	assert_equal "$(ls "/proc/$child/fd" | tr '\n' ' ')" "0 1 2 3 4 5 "
	exec 7>&-
	wait "$pid" || true
}
