#!/usr/bin/env bats
# contrib/provision makes a machine as the scripts asked for, and can be run again.
load lib

setup_file() {
	# What is installed is seen there, too.
	mkdir /run/dpkg
	mount --bind /var/lib/dpkg /run/dpkg
	private_var
	mkdir /var/lib/dpkg
	mount --move /run/dpkg /var/lib/dpkg
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

@test "ifupdown brings bridge0 up as it was, and once more changes nothing" {
	local ifup before
	ifup=$(fixture ifupdown)/tree/sbin/ifup
	before=$(iptables-save | grep bridge0)
	ip link delete bridge0
	iptables -F FORWARD
	iptables -t nat -F POSTROUTING
	mkdir -p /run/network /etc/network/if-{pre-up,up}.d
	for _ in 1 2; do
		assert_run 0 "$ifup" --force --interfaces /etc/network/interfaces.d/bridge0 bridge0
		assert_match "$(ip -o -4 address show dev bridge0)" "10\.0\.0\.1/24"
		assert_equal "$(iptables-save | grep bridge0)" "$before"
	done
}

@test "--brig builds it where it is, and installs it with the three links" {
	# Nothing of it reaches the clone or the machine.
	local folder name
	mkdir /run/over
	mount -t tmpfs tmpfs /run/over
	for folder in "$BRIG_TEST_TOP" /usr/local; do
		mkdir -p "/run/over$folder/upper" "/run/over$folder/work"
		mount -t overlay -o "lowerdir=$folder,upperdir=/run/over$folder/upper,workdir=/run/over$folder/work" overlay "$folder"
	done
	rm -f /usr/local/bin/{brig,bocker,shocker,zocker}
	assert_run 0 "$BRIG_TEST_TOP/contrib/provision" --without-zfs --brig "$BRIG_TEST_TOP"
	assert_match "$output" "brig, bocker, shocker and zocker are installed"
	for name in bocker shocker zocker; do
		assert_run 0 "/usr/local/bin/$name" help
		assert_match "$output" "$name commit <container_id> <image_id>"
	done
	umount "$BRIG_TEST_TOP" /usr/local
}

# stand_in NAME LINE …: a program that says what it was asked, and does these lines.
stand_in() {
	mkdir -p "$BRIG_TEST_DIR/stand-ins"
	printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$1" "$BRIG_TEST_DIR/asked" >"$BRIG_TEST_DIR/stand-ins/$1"
	printf '%s\n' "${@:2}" >>"$BRIG_TEST_DIR/stand-ins/$1"
	chmod 755 "$BRIG_TEST_DIR/stand-ins/$1"
}

@test "OpenZFS comes from contrib; a kernel whose headers are gone is renewed first" {
	printf 'deb http://debian.example/debian bookworm main\n' >/etc/apt/sources.list
	stand_in uname 'echo 6.1.0-20-cloud-amd64'
	stand_in modprobe "[ -e '$BRIG_TEST_DIR/installed' ]"
	stand_in apt-cache 'exit 100'
	stand_in apt-get
	stand_in zpool '[ "$1" = create ]'
	assert_run 1 env "PATH=$BRIG_TEST_DIR/stand-ins:$PATH" "$BRIG_TEST_TOP/contrib/provision"
	assert_match "$errors" "^provision: Debian has no headers of the running kernel 6.1.0-20-cloud-amd64"
	assert_match "$(cat "$BRIG_TEST_DIR/asked")" "apt-get .* install linux-image-cloud-amd64"$'\n|$'
	assert_equal "$(cat /etc/apt/sources.list)" "deb http://debian.example/debian bookworm main contrib"
	# After the reboot.
	stand_in uname 'echo 6.1.0-44-cloud-amd64'
	stand_in apt-cache
	stand_in apt-get "case \$* in *zfs-dkms*) touch '$BRIG_TEST_DIR/installed' ;; esac"
	assert_run 0 env "PATH=$BRIG_TEST_DIR/stand-ins:$PATH" "$BRIG_TEST_TOP/contrib/provision"
	assert_match "$(cat "$BRIG_TEST_DIR/asked")" "install linux-headers-6.1.0-44-cloud-amd64 zfs-dkms zfsutils-linux"
	assert_match "$(cat "$BRIG_TEST_DIR/asked")" "zpool create zocker /var/lib/zocker.img"
	assert_equal "$(cat /etc/apt/sources.list)" "deb http://debian.example/debian bookworm main contrib"
}

@test "wrong words are refused" {
	assert_run 2 "$BRIG_TEST_TOP/contrib/provision" --with-everything
	assert_match "$errors" "^usage: provision"
}
