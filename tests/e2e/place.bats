#!/usr/bin/env bats
# Where a data root may lie: not on another machine's disk; one that has become read-only can be
# read, and whoever wants to change it is told.
load lib
load containers

setup_file() {
	# A kernel without NFS, and tests without a server: the store is told that it is there.
	gcc -O1 -o "$BRIG_TEST_DIR/fstype" "$BRIG_TEST_TOP/tests/tools/fstype.c"
}
setup() {
	need_busybox
	root=$BRIG_TEST_DIR/elsewhere
	mkdir -p "$root"
}
teardown() {
	brig_clean
	export BRIG_ROOT=$BRIG_TEST_DIR/root
	rm -rf "$root"
}

# on MAGIC COMMAND …: brig, with a data root on a file system of that type.
on() {
	"$BRIG_TEST_DIR/fstype" "$1" "$BRIG" --root "$root" "${@:2}"
}

@test "a store is not made on another machine's file system" {
	local magic name
	tar -C "$(fixture busybox)/oci" -cf "$BRIG_TEST_DIR/busybox.tar" .
	while read -r magic name; do
		assert_run 125 on "$magic" run --rm --network none "$image" true
		assert_one_error "$root is on $name: a store needs locks, owners and devices that are this host's own"
		assert_match "$errors" "choose a folder on a local disk with --root"
		assert_equal "$(ls -A "$root")" ""
		assert_run 1 on "$magic" doctor data-root
		assert_match "$output" "^BAD +data-root +$root is on another machine \($name\)"
	done <<-'EOT'
		0x6969 NFS
		0x517b SMB
		0xfe534d42 SMB
		0xff534d42 CIFS
		0x00c36400 Ceph
		0x5346414f AFS
		0x01021997 9p
	EOT
	assert_run 1 on 0x6969 create "$image" true
	assert_one_error "is on NFS"
	local words
	for words in "init $(fixture busybox)/tree" "load -i $BRIG_TEST_DIR/busybox.tar" "volume create data" \
		"pull 127.0.0.1:1/nothing:1"; do
		# shellcheck disable=SC2086
		assert_run 1 on 0x6969 $words
		assert_one_error "is on NFS"
	done
	assert_equal "$(ls -A "$root")" ""
	# Who looks finds nothing, and makes nothing.
	for words in "images -q" "ps -aq" "volume ls -q"; do
		# shellcheck disable=SC2086
		assert_run 0 on 0x6969 $words
		assert_equal "$output$errors" ""
	done
	assert_equal "$(ls -A "$root")" ""
	# A local one is taken by the same way of asking.
	assert_run 0 on 0xef53 volume create data
	assert_equal "$output" data
}

@test "a store that was brought to another machine's file system can be looked at only" {
	assert_run 0 brig --root "$root" init "$(fixture busybox)/tree"
	local own=${output#Created: }
	brig --root "$root" create --network none --name kept "$own" true >/dev/null
	assert_run 0 on 0x6969 images -q
	assert_match "$output" '^[0-9a-f]{12}$'
	assert_run 0 on 0x6969 ps -a --format '{{.Names}}'
	assert_equal "$output" kept
	local words
	for words in "start kept" "rm kept" "rmi $own" "tag $own other:1" "volume create data"; do
		# shellcheck disable=SC2086
		assert_run 1 on 0x6969 $words
		assert_one_error "is on NFS"
	done
	assert_run 0 brig --root "$root" start -a kept
	assert_run 0 brig --root "$root" rm kept
}

@test "a store that has become read-only: what it has is shown, changes are refused, what runs goes on" {
	local disk=$BRIG_TEST_DIR/disk
	mkdir "$disk"
	truncate -s 64M "$disk.img"
	mkfs.ext4 -q "$disk.img"
	mount -o loop "$disk.img" "$disk"
	export BRIG_ROOT=$disk/store
	tar -C "$(fixture busybox)/oci" -cf "$BRIG_TEST_DIR/busybox.tar" .
	image_of "$(fixture busybox)/tree"
	brig tag "$image" kept:1
	brig volume create data >/dev/null
	brig run --network none --name over -v data:/v kept:1 sh -c 'echo said; echo x >/x; echo y >/v/y'
	brig run -d --network none --name alive kept:1 sh -c 'echo begun; while :; do sleep 0.1; done' >/dev/null
	local before words
	before=$(find "$BRIG_ROOT" -type f -printf '%p %s %T@\n' | sort)
	# As ext4 does by itself after an error, in spite of files that are open for writing.
	sync -f "$disk"
	mount -o remount,abort "$disk"
	wait_until 5 sh -c "! touch '$BRIG_ROOT/probe'"

	assert_run 0 brig images --format '{{.Repository}}:{{.Tag}}'
	assert_equal "$output" kept:1
	assert_run 0 brig ps -a --format '{{.Names}} {{.State}}'
	assert_equal "$(sort <<<"$output")" $'alive running\nover exited'
	assert_run 0 brig logs over
	assert_equal "$output" said
	assert_run 0 brig inspect -f '{{.State.ExitCode}}' over
	assert_equal "$output" 0
	assert_run 0 brig history -q kept:1
	assert_run 0 brig volume inspect -f '{{.Name}}' data
	assert_equal "$output" data
	assert_run 0 brig exec alive echo inside
	assert_equal "$output" inside
	assert_equal "$errors" ""

	assert_run 125 brig run --rm --network none kept:1 true
	assert_equal "$errors" "brig: cannot open the index of containers: Read-only file system"
	for words in "create --network none kept:1 true" "diff over" "start over" "rm over" "rm -f over" "rmi -f kept:1" "tag kept:1 other:1" "commit over made:1" \
		"init $(fixture busybox)/tree" "load -i $BRIG_TEST_DIR/busybox.tar" "volume create more" \
		"volume rm data" "volume prune -af"; do
		# shellcheck disable=SC2086
		assert_run 1 brig $words
		assert_equal "$errors" "brig: cannot open the index of containers: Read-only file system"
	done
	assert_equal "$(status_of alive)" running

	# What is running is ended as ever, and is known to be over when there is a disk again.
	assert_run 0 brig stop -t 1 alive
	wait_until 5 no_monitors
	assert_match "$(brig ps -a --format '{{.Names}} {{.Status}}' -f name=alive)" '^alive Exited \(255\)'
	assert_run 0 brig wait alive
	assert_equal "$output" 255
	umount "$disk"
	mount -o loop "$disk.img" "$disk"
	assert_equal "$(find "$BRIG_ROOT" -type f -printf '%p %s %T@\n' | sort)" "$before"
	assert_run 0 brig ps -a --format '{{.Names}} {{.State}}'
	assert_equal "$(sort <<<"$output")" $'alive exited\nover exited'
	assert_run 0 brig run --rm --network none -v data:/v kept:1 cat /v/y
	assert_equal "$output" y
	assert_run 0 brig start -a over
	assert_run 0 brig rm -f over alive
	assert_run 0 brig ps -a -q
	assert_equal "$output" ""
	umount "$disk"
}
