#!/usr/bin/env bats
# A data root on each file system of a stock kernel: whatever storage driver brig chooses
# there, an image is stacked, a container keeps what it wrote, and nothing is left. And what
# that kernel's own ways cost nobody: its root is 6.1's, without newer mount options.
load ../e2e/lib
load ../e2e/containers

# on_loop TYPE MKFS …: $disk, a file system of its own; below /run, so that it does not count
# as a mount that brig left.
on_loop() {
	local file=$BRIG_TEST_DIR/$1.img
	disk=/run/place-$1
	mkdir -p "$disk"
	truncate -s 512M "$file"
	"${@:2}" "$file" >/dev/null
	mount -t "$1" -o loop "$file" "$disk"
	export BRIG_ROOT=$disk/root
}
teardown() {
	brig_clean
}

life() { # DRIVER: what brig must have chosen
	local archive=$BRIG_TEST_DIR/layers.tar id
	[[ -e $archive ]] || tar -C "$(fixture layers)/oci" -cf "$archive" .
	assert_run 0 brig load -i "$archive"
	image=${output##*: }
	brig tag "$image" layers:1
	assert_equal "$(brig info -f '{{.Driver}}')" "$1"
	# Names, modes and owners are those of the tree that was merged the slow way.
	assert_run 0 brig run --network none --name one layers:1 \
		sh -c 'find data -exec stat -c "%n %a %u:%g" {} +; echo own >data/own; echo changed >data/changed'
	assert_equal "$(LC_ALL=C sort <<<"$output")" \
		"$(awk '{ print $1, $3, $4 }' "$(fixture layers)/expected" | LC_ALL=C sort)"
	assert_run 0 brig start -a one
	assert_match "$output" 'data/own'
	# Beside it, one that sees the image alone, runs on, and is stopped.
	assert_run 0 brig run -d --network none --name two layers:1 \
		sh -c 'trap "exit 3" TERM; ls data; cat data/changed; while :; do :; done'
	id=$output
	wait_until 10 logged two '^new'
	assert_run 0 brig logs two
	refute_match " ${output//$'\n'/ } " ' own '
	assert_run 0 brig exec two cat data/gone/again
	assert_equal "$output" back
	assert_run 0 brig stop two
	assert_equal "$(brig inspect -f '{{.State.ExitCode}}' two)" 3
	assert_run 1 brig rmi layers:1
	assert_run 0 brig rm one two
	assert_run 0 brig rmi layers:1
	assert_no_trace "$id"
	assert_equal "$(awk -v top="$BRIG_ROOT/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo)" "" "mounts are left"
	wait_until 10 no_layers || fail "layers are left" "$(ls -lR "$BRIG_ROOT/layers")"
}
logged() {
	brig logs "$1" | grep -q "$2"
}
no_layers() {
	[[ -z $(ls -A "$BRIG_ROOT/layers" 2>/dev/null) ]]
}

@test "ext4, by a stock kernel's overlay" {
	export BRIG_ROOT=$BRIG_TEST_DIR/root
	life overlay
}

@test "btrfs, on a loop device" {
	on_loop btrfs mkfs.btrfs -q
	life btrfs
	# Only btrfs's own is left: no subvolume of ours.
	assert_equal "$(btrfs subvolume list "$disk")" ""
}

@test "xfs, on a loop device" {
	on_loop xfs mkfs.xfs -q
	life overlay
}

@test "a dataset of OpenZFS" {
	[[ -n ${BRIG_TEST_ZFS:-} ]] || skip "BRIG_TEST_ZFS names no dataset"
	local before
	before=$(zfs list -H -t all -o name)
	assert_equal "$(stat -f -c %T "$(zfs get -H -o value mountpoint "$BRIG_TEST_ZFS")")" zfs
	export BRIG_ROOT=$(zfs get -H -o value mountpoint "$BRIG_TEST_ZFS")/places
	life zfs
	assert_equal "$(zfs list -H -t all -o name)" "$before"
	rm -rf "$BRIG_ROOT"
}
