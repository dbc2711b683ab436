#!/usr/bin/env bats
# contrib/provision makes a machine as the scripts asked for, and can be run again.
load lib

setup_file() {
	private_var
	# And an /etc whose changes are gone afterwards.
	mkdir /run/etc
	mount -t tmpfs tmpfs /run/etc
	mkdir /run/etc/upper /run/etc/work
	mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
}

@test "btrfs, the bridge and its way out; brig doctor agrees" {
	assert_run 0 "$BRIG_TEST_TOP/contrib/provision" --without-zfs
	assert_match "$output" "/var/shocker is on btrfs"
	assert_match "$output" "bridge0 has 10.0.0.1/24 and a way out"
	assert_equal "$(stat -f -c %T /var/shocker)" btrfs
	assert_run 0 brig doctor shocker bridge0 ip_forward firewall
	refute_match "$output" "note|BAD"
	assert_equal "$(grep -c '^ok' <<<"$output")" 4 "$output"
	local rules
	rules=$(iptables-save | grep -c bridge0)
	assert_equal "$rules" 3
	# Again: nothing twice.
	assert_run 0 "$BRIG_TEST_TOP/contrib/provision" --without-zfs
	assert_equal "$(iptables-save | grep -c bridge0)" 3
	assert_equal "$(grep -c shocker.img /etc/fstab)" 1
	assert_equal "$(grep -c ' /var/shocker ' /proc/self/mountinfo)" 1
}

@test "a container runs there, through its owner's rules alone" {
	local before img
	before=$(nft list ruleset)
	unset BRIG_ROOT
	ln -s "$BRIG" "$BRIG_TEST_DIR/shocker"
	outside_start
	img=$("$BRIG_TEST_DIR/shocker" init "$(fixture busybox)/tree" | sed -n 's/^Created: //p')
	assert_run 0 "$BRIG_TEST_DIR/shocker" run "$img" ping -c 1 -W 3 192.0.2.1
	assert_match "$output" "1 packets received"
	assert_exists /var/shocker/containers
	assert_equal "$(nft list ruleset | grep -v counter)" "$(grep -v counter <<<"$before")"
	"$BRIG_TEST_DIR/shocker" rm "$("$BRIG_TEST_DIR/shocker" ps | sed -n '2s/ .*//p')"
	umount /var/shocker
}

@test "wrong words are refused" {
	assert_run 2 "$BRIG_TEST_TOP/contrib/provision" --with-everything
	assert_match "$errors" "^usage: provision"
}
