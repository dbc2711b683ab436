#!/usr/bin/env bats
# contrib/provision on a machine that systemd runs, as a Vagrant box is one: all of it, with nothing to
# install and no network. Then a life in the classic dialect on what it made, at the places where the
# scripts had it: the links, shocker's btrfs, zocker's pool, bridge0, cgroups at the top.
load ../e2e/lib
load ../e2e/containers

# The scripts know nothing of these.
unset BRIG_ROOT BRIG_RUN_ROOT

provision() {
	"$BRIG_TEST_TOP/contrib/provision"
}
pool_state() {
	zpool list -H -o name,health zocker
}
rules() {
	iptables-save | grep -c bridge0
}

@test "btrfs, the pool, bridge0 and its way out; brig doctor agrees" {
	assert_run 0 provision
	assert_equal "$output" "provision: /var/shocker is on btrfs
provision: the pool zocker is there
provision: bridge0 has 10.0.0.1/24 and a way out"
	assert_equal "$(stat -f -c %T /var/shocker /zocker)" $'btrfs\nzfs'
	assert_equal "$(pool_state)" $'zocker\tONLINE'
	assert_match "$(ip -o -4 address show dev bridge0)" "10\.0\.0\.1/24"
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1
	assert_equal "$(rules)" 3
	assert_run 0 brig doctor shocker zocker bridge0 ip_forward firewall
	refute_match "$output" "note|BAD"
}

@test "again: nothing twice" {
	assert_run 0 provision
	assert_equal "$(rules)" 3
	assert_equal "$(grep -c shocker.img /etc/fstab)" 1
	assert_equal "$(grep -c ' /var/shocker ' /proc/self/mountinfo)" 1
	assert_equal "$(zpool list -H -o name | grep -c zocker)" 1
}

@test "a reboot's own means find all of it again" {
	# What zfs-import-cache reads.
	zdb -C -U /etc/zfs/zpool.cache zocker | grep -q /var/lib/zocker.img
	systemctl daemon-reload
	umount /var/shocker
	systemctl start var-shocker.mount
	assert_equal "$(stat -f -c %T /var/shocker)" btrfs
	echo 0 >/proc/sys/net/ipv4/ip_forward
	systemctl restart systemd-sysctl
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1
	# A pool that is in its file, and not imported.
	zpool export zocker
	assert_run 0 provision
	assert_equal "$(pool_state)" $'zocker\tONLINE'
}

# newest ROOT: its newest container.
newest() {
	brig --root "$1" ps -a --format '{{.Names}}' | sed -n 1p
}
# stored: what there is of images and containers, as the file system itself has it.
stored() {
	case $1 in
	shocker) btrfs subvolume list /var/shocker | sed 's/.* //' | sort ;;
	zocker) zfs list -H -t all -o name -r zocker | sort ;;
	esac
}
is_stored() {
	[[ $(stored "$1") == "$2" ]]
}

life() { # DIALECT DRIVER FOLDER
	local tree image ps made before
	tree=$(fixture busybox)/tree
	before=$(stored "$1")
	assert_run 0 "$1" init "$tree"
	assert_match "$output" '^Created: img_[0-9]{5}$'
	image=${output#Created: }
	assert_equal "$(brig --root "$3" info -f '{{.Driver}}')" "$2"
	assert_equal "$(sed -n 1p "/var/lib/brig/classic/$1")" "$3"
	[[ $(stored "$1") != "$before" ]] || fail "the image is not in the file system" "$before"
	assert_run 0 "$1" run "$image" "echo kept >/made; ip -o -4 address; ping -c 1 -W 20 10.0.0.1; cat /proc/1/cgroup"
	ps=$(newest "$3")
	assert_match "$ps" '^ps_[0-9]{5}$'
	assert_match "$output" "veth1_$ps +inet 10\.0\.0\.[0-9]+/24"
	assert_match "$output" "1 packets received"
	assert_match "$output" "0::/$ps"
	# systemd leaves it as it is.
	systemctl daemon-reload
	assert_equal "$(cat "/sys/fs/cgroup/$ps"/{cpu.weight,memory.max,cgroup.procs})" $'59\n512000000'
	assert_run 0 "$1" logs "$ps"
	assert_match "$output" "0::/$ps"
	assert_run 0 "$1" run "$image" cat /made
	assert_match "$output" "No such file"
	assert_run 0 "$1" rm "$(newest "$3")"
	assert_run 0 "$1" commit "$ps" "$image"
	assert_equal "$output" "Removed: $image"$'\n'"Created: $image"
	assert_run 0 "$1" run "$image" cat /made
	assert_equal "$output" kept
	made=$(newest "$3")
	assert_run 0 "$1" rm "$made"
	assert_equal "$output" "Removed: $made"
	assert_run 0 "$1" rm "$ps"
	refute_exists "/sys/fs/cgroup/$ps"
	assert_run 0 "$1" rm "$image"
	assert_equal "$output" "Removed: $image"
	wait_until 10 is_stored "$1" "$before" || fail "layers are left" "$(stored "$1")"
}

@test "shocker on its btrfs: an image, run, logs, commit, rm" {
	life shocker btrfs /var/shocker
}

@test "zocker on its pool: the same" {
	life zocker zfs /zocker
}

@test "the owner's rules for bridge0 are still all, and as they were" {
	assert_equal "$(rules)" 3
	refute_match "$(nft list tables)" brig
}
