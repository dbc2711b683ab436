#!/usr/bin/env bats
# Where the classic names keep their images: chosen once, noted, and never silently another place.
load lib
load containers
load classic
load zfs

setup_file() {
	private_var
}
setup() {
	unset BRIG_ROOT
	classic_setup
}
# btrfs_at FOLDER [SIZE]: in a file, which stays when it is unmounted.
btrfs_at() {
	local file=$BRIG_TEST_DIR/disk-$(basename "$1")
	mkdir -p "$1"
	if [[ ! -e $file ]]; then
		truncate -s "${2:-512M}" "$file"
		mkfs.btrfs -q "$file"
	fi
	mount -o loop "$file" "$1"
}
make_image() {
	"$1" init "$(fixture busybox)/tree" | sed -n 's/^Created: //p'
}

@test "without a home of its own the usual place is taken, and noted" {
	assert_run 0 bocker images
	refute_exists /var/lib/brig
	image=$(make_image bocker)
	assert_equal "$(head -n 1 /var/lib/brig/classic/bocker)" /var/lib/brig
	assert_run 0 brig images -q
	assert_match "$output" '^[0-9a-f]{12}$'
	# What appears later changes nothing.
	btrfs_at /var/bocker
	assert_run 0 bocker images
	assert_match "$output" "$image"
	umount /var/bocker
}

@test "a btrfs file system at /var/shocker is shocker's, and an empty list names the other store" {
	btrfs_at /var/shocker
	assert_run 0 shocker images
	assert_equal "$output" "IMAGE_ID        SOURCE"
	assert_match "$errors" "^brig: another store holds something: /var/lib/brig \(brig --root /var/lib/brig\)$"
	# Looking notes nothing.
	refute_exists /var/lib/brig/classic/shocker
	image=$(make_image shocker)
	assert_exists /var/shocker/images
	assert_equal "$(sed -n 1,2p /var/lib/brig/classic/shocker)" $'/var/shocker\nbtrfs'
	assert_run 0 shocker run "$image" echo here
	assert_equal "$output" here
	assert_run 0 shocker ps
	assert_match "$output" "echo here"
	assert_equal "$errors" ""
	shocker rm "$(shocker ps | sed -n '2s/ .*//p')"
	# brig's own commands name it too.
	assert_run 0 brig info
	assert_match "$errors" "another store holds something: /var/shocker \(brig --root /var/shocker, or shocker\)"
	assert_run 0 brig ps
	assert_match "$errors" "another store holds something: /var/shocker"
	# Who names a root is not told of others.
	assert_run 0 brig --root "$BRIG_TEST_DIR/none" images
	assert_equal "$errors" ""
}

@test "not mounted, it is an error with the mount command, and nothing is made below" {
	umount /var/shocker
	local verb
	for verb in images ps "init $(fixture busybox)/tree" "pull centos 7" "run img_1 true"; do
		# shellcheck disable=SC2086
		assert_run 1 shocker $verb
		assert_one_error "the store of shocker is on a btrfs file system at /var/shocker, which is not mounted"
		assert_match "$errors" "mount it: mount -t btrfs -o loop $BRIG_TEST_DIR/disk-shocker /var/shocker"
	done
	# But for the note that says so.
	assert_equal "$(ls -A /var/shocker | grep -v NOT-MOUNTED)" ""
	assert_run 1 brig doctor
	assert_match "$output" "BAD +shocker +/var/shocker is not a btrfs filesystem any more"
	assert_run 0 brig info
	assert_match "$errors" "/var/shocker, which is not mounted"
	btrfs_at /var/shocker
	assert_run 0 shocker images
	assert_match "$output" 'img_[0-9]{5}       /'
	# A note that says nothing is no choice.
	echo rubbish >/var/lib/brig/classic/shocker
	assert_run 1 shocker images
	assert_one_error "/var/lib/brig/classic/shocker does not say where the store of shocker is"
	rm /var/lib/brig/classic/shocker
	assert_run 0 shocker images
	assert_match "$output" 'img_[0-9]{5}       /'
	umount /var/shocker
}

@test "shocker's README on btrfs" {
	classic_root=/var/shocker
	umount /var/shocker 2>/dev/null || true
	rm -f "$BRIG_TEST_DIR/disk-shocker" /var/lib/brig/classic/shocker
	rm -rf /var/shocker
	btrfs_at /var/shocker 2G
	session_shocker
	assert_match "$(cat /var/shocker/driver)" '^btrfs'
	session_shocker_yum
	wait_until 10 store_is_bare
	assert_equal "$(btrfs subvolume list /var/shocker)" ""
}

@test "zocker's home is the pool of that name; its README there" {
	local img
	zfs_start
	truncate -s 4G "$BRIG_TEST_DIR/pool"
	zfs_pool zocker "$BRIG_TEST_DIR/pool" -m /var/zocker
	img=$(make_image zocker)
	assert_equal "$(sed -n 1,2p /var/lib/brig/classic/zocker)" $'/var/zocker\nzfs'
	assert_exists /var/zocker/images
	assert_run 0 brig doctor zocker
	assert_match "$output" "the pool zocker is mounted at /var/zocker"
	assert_run 0 zocker rm "$img"
	assert_run 0 zocker images
	assert_equal "$output" IMAGE_ID
	if [[ $(cat /var/zocker/driver) == zfs* ]]; then
		classic_root=/var/zocker
		# The first container brings the bridge.
		img=$(make_image zocker)
		zocker run "$img" true
		classic_clean
		zocker rm "$img"
		session_zocker
		wait_until 10 store_is_bare
		assert_equal "$(zfs list -H -t snapshot -o name)" ""
	fi
	# Gone, it is an error with the command that brings it back.
	zpool export zocker
	assert_run 1 zocker images
	assert_one_error "the store of zocker is on a zfs file system at /var/zocker, which is not mounted"
	# With -O zfs-fuse's daemon ends.
	assert_match "$errors" "mount it: zpool import zocker; zfs mount zocker$"
	assert_equal "$(ls -A /var/zocker)" ""
	zpool import -d "$BRIG_TEST_DIR" zocker
	assert_run 0 zocker images
	zpool destroy zocker
}
