#!/usr/bin/env bats
# brig doctor says what this host has, what is missing and what to do, and mends what it can.
load lib

setup_file() {
	private_var
}

# The one line of a check in $output.
line_of() {
	grep -E "^(ok|note|BAD) +$1 " <<<"$output"
}

@test "on a host that has what it takes every check has its line, and the end is 0" {
	assert_run 0 brig doctor
	local check
	for check in rights kernel namespaces seccomp overlay nf_tables cgroups helper data-root storage run-root \
		ip_forward firewall bridge0 shocker bocker zocker; do
		assert_equal "$(line_of $check | wc -l)" 1 "$check"
		refute_match "$(line_of $check)" "^BAD"
	done
	# What is not ok says what to do.
	local notes fixes
	notes=$(grep -c '^note' <<<"$output")
	fixes=$(grep -c ' fix: ' <<<"$output")
	assert_equal "$fixes" "$notes"
	assert_equal "$errors" ""
}

@test "checks can be named; then only what is there is good" {
	assert_run 0 brig doctor kernel seccomp
	assert_equal "$(wc -l <<<"$output")" 2
	assert_run 1 brig doctor shocker
	assert_match "$output" "^note +shocker +/var/shocker is not a btrfs filesystem"
	assert_match "$output" "fix: truncate -s 2G /var/lib/shocker.img"
	assert_match "$output" "losetup .*mkfs.btrfs .*mkdir -p /var/shocker.*mount /dev/loop0 /var/shocker"
	assert_run 1 brig doctor shoker
	assert_equal "$output" ""
	assert_match "$errors" "^brig: there is no check \"shoker\""
	assert_match "$errors" "did you mean shocker"
}

@test "--fix asks, and has to have somebody to ask" {
	assert_run 1 brig doctor --fix ip_forward
	assert_one_error "there is no terminal to ask on"
	assert_run 1 brig doctor --yes
	assert_match "$errors" "--yes belongs to --fix"
	refute_exists /var/shocker
	# A no, on a terminal.
	echo 0 >/proc/sys/net/ipv4/ip_forward
	run script -qec "$BRIG doctor --fix ip_forward" /dev/null <<<n
	assert_match "$output" "shall brig switch IP forwarding on\? \[y/N\]"
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 0
	run script -qec "$BRIG doctor --fix ip_forward" /dev/null <<<y
	assert_match "$output" "ok +ip_forward"
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1
}

@test "--fix makes bridge0, and completes one" {
	assert_run 1 brig doctor bridge0
	assert_match "$output" "there is no bridge0"
	assert_run 0 brig doctor --fix --yes bridge0
	assert_match "$output" "ok +bridge0 +bridge0 has 10.0.0.1/24 and is brig's own"
	assert_match "$(ip -o -4 address show dev bridge0)" "10\.0\.0\.1/24"
	ip link delete bridge0
	ip link add bridge0 type bridge
	assert_run 1 brig doctor bridge0
	assert_match "$output" "bridge0 is there, but has no address"
	assert_run 0 brig doctor --fix --yes bridge0
	assert_match "$output" "somebody else's, used as it is"
	assert_match "$(ip -o -4 address show dev bridge0)" "10\.0\.0\.1/24"
}

@test "the owner's bridge needs its owner's rules" {
	# bridge0 is the one that the test above made by hand.
	nft flush ruleset
	assert_run 1 brig doctor firewall
	assert_match "$output" "no rule here gives packets of bridge0 the host's address"
	assert_match "$output" "iptables -t nat -A POSTROUTING -s 10.0.0.1/24 ! -o bridge0 -j MASQUERADE"
	iptables -t nat -A POSTROUTING -s 10.0.0.0/24 ! -o bridge0 -j MASQUERADE
	assert_run 0 brig doctor firewall
	iptables -P FORWARD DROP
	assert_run 1 brig doctor firewall
	assert_match "$output" "drops what it is not told to forward \(ip filter FORWARD\)"
	assert_match "$output" "iptables -A FORWARD -i bridge0 -j ACCEPT"
	nft flush ruleset
	ip link delete bridge0
}

@test "--fix makes a btrfs file system in a file for shocker" {
	mknod /dev/loop-control c 10 237 2>/dev/null || true
	assert_run 0 brig doctor --fix --yes shocker
	assert_match "$output" "ok +shocker +/var/shocker is a btrfs filesystem"
	assert_match "$errors" "add to /etc/fstab: /var/lib/shocker.img /var/shocker btrfs loop 0 0"
	assert_equal "$(stat -f -c %T /var/shocker)" btrfs
	touch /var/shocker/kept
	assert_run 0 brig doctor --fix --yes shocker
	umount /var/shocker
	# What is in the file stays.
	assert_run 0 brig doctor --fix --yes shocker
	assert_exists /var/shocker/kept
	umount /var/shocker
	# A folder with something in it is not hidden.
	touch /var/shocker/mine
	assert_run 1 brig doctor --fix --yes shocker
	assert_match "$errors" "^brig: /var/shocker holds something"
	assert_exists /var/shocker/mine
	rm /var/shocker/mine /var/lib/shocker.img
}

@test "places that cannot hold a store are named" {
	mkdir "$BRIG_TEST_DIR/ro"
	mount -t tmpfs -o ro tmpfs "$BRIG_TEST_DIR/ro"
	BRIG_ROOT=$BRIG_TEST_DIR/ro/store assert_run 1 brig doctor data-root
	assert_match "$output" "^BAD +data-root .*mounted read-only"
	assert_match "$output" "fix: mount -o remount,rw"
	umount "$BRIG_TEST_DIR/ro"
	BRIG_ROOT=/etc/hostname/x assert_run 1 brig doctor data-root
	assert_match "$output" "^BAD +data-root"
}

@test "without control groups, and without the helper" {
	run unshare --mount sh -c "umount -R /sys/fs/cgroup 2>/dev/null; mount -t tmpfs none /sys/fs/cgroup; $BRIG doctor cgroups"
	assert_equal "$status" 1
	assert_match "$output" "^BAD +cgroups"
	mkdir "$BRIG_TEST_DIR/alone"
	cp "$BRIG" "$BRIG_TEST_DIR/alone/brig"
	[[ ! -e /usr/local/libexec/brig/brig-net ]] || skip "brig is installed here"
	assert_run 1 "$BRIG_TEST_DIR/alone/brig" doctor helper
	assert_match "$output" "^BAD +helper +brig-net, which fetches images, is not at"
}

# The store itself is asked, so that doctor and info say the same.
@test "the storage driver, and why" {
	export BRIG_ROOT=$BRIG_TEST_DIR/explained
	assert_run 0 brig doctor storage data-root
	assert_match "$(line_of storage)" "^ok +storage +a new store gets overlay: where overlayfs works"
	refute_exists "$BRIG_ROOT"
	brig --storage-driver copy init "$(fixture busybox)/tree" >/dev/null
	assert_run 0 brig doctor storage
	assert_match "$output" "^ok +storage +copy: it was asked for"
	assert_equal "$(brig info -f '{{.Driver}}')" copy
	printf '[storage]\nzfs_dataset = tank/brig\n' >"$BATS_TEST_TMPDIR/conf"
	BRIG_ROOT=$BRIG_TEST_DIR/new assert_run 0 brig --config "$BATS_TEST_TMPDIR/conf" doctor storage
	assert_match "$output" "^ok +storage +a new store gets zfs: brig.conf names a dataset"
	echo zip >"$BRIG_ROOT/driver"
	assert_run 1 brig doctor storage
	assert_match "$output" '^BAD +storage +the store .* was made with the storage driver "zip"'
}
