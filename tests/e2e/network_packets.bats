#!/usr/bin/env bats
# network_packets.bats - what may go where, with real packets, through src/net alone
# (netdrive stands in for brig run): two containers, their host, and a world outside.

load lib

setup_file() {
	local program=$BRIG_TEST_DIR/netdrive
	cc -std=gnu17 -O1 -g -D_GNU_SOURCE -I"$BRIG_TEST_TOP/src" -o "$program" \
		"$BRIG_TEST_TOP/tests/tools/netdrive.c" "$BRIG_TEST_TOP"/src/net/*.c \
		"$BRIG_TEST_TOP"/src/base/{fd,buf,err,kernel,time}.c
	mkdir -p /run/netns
	outside_start
	outside_serve 80 "hello from outside"
	outside_serve 81 '$SOCAT_PEERADDR'
}

teardown_file() {
	outside_stop
}

setup() {
	drive=$BRIG_TEST_DIR/netdrive
	runs=/run/brig-$BATS_TEST_NUMBER
	next=0
}

teardown() {
	[[ -z ${server:-} ]] || kill "$server" || true
	local name
	for name in $(ip netns list | cut -d' ' -f1); do
		ip netns delete "$name"
	done
	nft flush ruleset
	ip link delete brig0 2>/dev/null || true
	ip link delete dummy0 2>/dev/null || true
	sysctl -qw net.ipv4.ip_forward=0
	outside ip route delete 172.29.0.0/16 2>/dev/null || true
	wait_until 5 sh -c '! ip -o link | grep -q veth[0-9a-f]'
}

# attach NAME [RUN-ROOT [NETWORK [WANTED]]]: a namespace NAME, on the bridge; its address in $address.
attach() {
	ip netns add "$1"
	id=$(printf '%s' "$1" | sha256sum | cut -d' ' -f1)
	got=$("$drive" attach "${2:-$runs}" "${3:-bridge}" "$id" "/run/netns/$1" ${4:+"$4"}) || fail "attach $1:" "$got"
	address=$(sed -n 's/^address=//p' <<<"$got")
	gateway=$(sed -n 's/^gateway=//p' <<<"$got")
}
within() {
	ip netns exec "$@"
}
reaches() { # FROM ADDRESS
	# One answer of three: a busy machine may be late with the first.
	within "$1" ping -q -c3 -i0.3 -W3 "$2" >/dev/null
}
misses() {
	fails within "$1" ping -q -c1 -W1 "$2"
}
# "! command" alone would not end a test.
fails() {
	if "$@" >/dev/null; then
		fail "should not succeed: $*"
	fi
}
fetch() { # FROM ADDRESS PORT
	within "$1" timeout 3 socat -T2 -u "TCP:$2:$3,connect-timeout=2" -
}

@test "a container reaches its gateway, its neighbour and the world outside" {
	attach c1
	one=$address
	assert_equal "$one" 172.29.0.2
	attach c2
	reaches c1 "$gateway"
	reaches c1 "$address"
	reaches c2 "$one"
	reaches c1 192.0.2.1
	assert_equal "$(fetch c1 192.0.2.1 80)" "hello from outside"
	# The world sees the host's address.
	assert_equal "$(fetch c1 192.0.2.1 81)" 192.0.2.2
	# And the host's loopback is not the container's.
	assert_match "$got" "mac=02:42:ac:1d:00:03"
}

@test "what is inside: interfaces, routes, IPv6 and sysctls" {
	attach c1
	assert_match "$got" "note=switched IP forwarding on"
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1
	assert_equal "$(within c1 ip -o -4 address show | awk '{print $2, $4}' | xargs)" "lo 127.0.0.1/8 eth0 172.29.0.2/16"
	assert_equal "$(within c1 ip -o -6 address show | awk '{print $2, $4}')" "lo ::1/128"
	assert_equal "$(within c1 ip route show default)" "default via 172.29.0.1 dev eth0 "
	# ip netns exec mounts that namespace's /sys, not its /proc/sys: that follows the process.
	assert_equal "$(within c1 cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6)" 1
	assert_equal "$(within c1 cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" 0
	assert_equal "$(within c1 cat /proc/sys/net/ipv4/ping_group_range | xargs)" "0 2147483647"
	local key value
	while read -r key value; do
		assert_equal "$(cat "/proc/sys/net/$key")" "$value" "$key"
	done <<-EOF
		ipv6/conf/brig0/disable_ipv6 1
		ipv6/conf/brig0/accept_ra 0
		ipv4/conf/brig0/accept_redirects 0
		ipv4/conf/brig0/send_redirects 0
		ipv4/conf/brig0/rp_filter 1
		ipv4/conf/brig0/arp_ignore 1
		ipv4/conf/brig0/route_localnet 0
	EOF
	attach c2
	assert_equal "$(sed -n 's/^note=//p' <<<"$got")" ""
}

@test "nobody outside reaches a container's address, nor the host's loopback" {
	attach c1
	outside ip route add 172.29.0.0/16 via 192.0.2.2
	fails outside ping -q -c1 -W1 "$address"
	fails outside ping -q -c1 -W1 172.29.0.1
	# It is dropped before routing, not for want of a way back.
	assert_match "$(nft list chain inet brig home_brig0)" "counter packets [1-9]"
	# Even where the kernel would take such a packet.
	sysctl -qw net.ipv4.conf.up0.route_localnet=1 net.ipv4.conf.up0.rp_filter=0 net.ipv4.conf.all.rp_filter=0
	local mac
	mac=$(ip -o link show up0 | sed 's/.*ether \([0-9a-f:]*\).*/\1/; s/://g')
	outside "$BRIG_TEST_TOP/tests/e2e/frames.py" send out0 \
		"${mac}0200000000010800450000200000000040 0139dbc00002017f0000010800f7ff00000000"
	assert_match "$(nft list chain inet brig raw)" "counter packets [1-9]"
	outside ip route delete 172.29.0.0/16
	# The host itself does reach it, and its own address there.
	ping -q -c1 -W1 "$address"
	ping -q -c1 -W1 172.29.0.1
}

@test "a container cannot pose as another" {
	attach c1
	attach c2
	local two=$address
	reaches c2 172.29.0.1
	# A source address of its own choosing: not one packet comes out on the bridge.
	nft 'add table inet watch'
	nft 'add chain inet watch seen { type filter hook prerouting priority -350; }'
	nft 'add rule inet watch seen ip saddr 172.29.0.77 counter'
	within c1 ip address add 172.29.0.77/16 dev eth0
	fails within c1 ping -q -c1 -W1 -I 172.29.0.77 172.29.0.1
	fails within c1 ping -q -c1 -W1 -I 172.29.0.77 192.0.2.1
	reaches c1 172.29.0.1
	assert_match "$(nft list table inet watch)" "172.29.0.77 counter packets 0 "
	# ARP that claims the neighbour's address, with its own MAC and with the neighbour's. (A
	# fresh entry of the table is not replaced within a second anyway.)
	local before
	before=$(ip neighbour show "$two" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')
	assert_equal "$before" 02:42:ac:1d:00:03
	sleep 1.2
	within c1 "$BRIG_TEST_TOP/tests/e2e/frames.py" send eth0 \
		ffffffffffff0242ac1d0002080600010800060400020242ac1d0002ac1d0003ffffffffffffac1d0001 \
		ffffffffffff0242ac1d0003080600010800060400020242ac1d0002ac1d0003ffffffffffffac1d0001 \
		ffffffffffff0242ac1d0002080600010800060400020242ac1d0005ac1d0002ffffffffffffac1d0001
	assert_equal "$(ip neighbour show "$two" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')" "$before"
	assert_equal "$(ip neighbour show 172.29.0.2 | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')" 02:42:ac:1d:00:02
	# Another MAC address.
	within c1 ip link set eth0 address 02:42:ac:1d:00:03
	misses c1 172.29.0.1
	reaches c2 172.29.0.1
	within c1 ip link set eth0 address 02:42:ac:1d:00:02
	reaches c1 172.29.0.1
}

@test "router advertisements, redirects and other frames do not leave a container" {
	attach c1
	attach c2
	within c2 "$BRIG_TEST_TOP/tests/e2e/frames.py" listen eth0 2 >"$BATS_TEST_TMPDIR/heard" 3>&- &
	local listener=$!
	wait_until 5 grep -q ready "$BATS_TEST_TMPDIR/heard"
	# IPv6 with a router advertisement; a VLAN tag; LLDP; a spanning tree message; and ARP, which passes.
	within c1 "$BRIG_TEST_TOP/tests/e2e/frames.py" send eth0 \
		3333000000010242ac1d000286dd6000000000103affffe80000000000000000000000000001ff020000000000000000000000000001860000000000000000000000 \
		ffffffffffff0242ac1d00028100000508004500 \
		0180c200000e0242ac1d000288cc0207 \
		0180c20000000242ac1d00020026424203 \
		ffffffffffff0242ac1d0002080600010800060400010242ac1d0002ac1d0002000000000000ac1d0003
	wait $listener
	assert_equal "$(grep -v ready "$BATS_TEST_TMPDIR/heard")" "02:42:ac:1d:00:02 0806"
	# Frames to the reserved addresses do not teach the bridge a false sender either.
	within c1 "$BRIG_TEST_TOP/tests/e2e/frames.py" send eth0 0180c200000e0242ac1d000388cc0207
	refute_match "$(bridge fdb show br brig0 | grep -i 02:42:ac:1d:00:03 | grep -v vethac1d0003 || true)" 02:42
}

@test "hosts whose iptables drop what they are not told to forward" {
	local tables chain
	for tables in iptables-nft iptables-legacy; do
		for chain in FORWARD DOCKER-USER; do
			"$tables" -P FORWARD DROP
			if [[ $chain == DOCKER-USER ]]; then
				"$tables" -N DOCKER-USER
				"$tables" -A DOCKER-USER -j RETURN
				"$tables" -I FORWARD -j DOCKER-USER
			fi
			attach "c-$tables-$chain"
			assert_match "$got" "let traffic of brig0 pass iptables' (legacy )?chain $chain"
			reaches "c-$tables-$chain" 192.0.2.1
			# iptables still understands its own table, and a second container adds nothing.
			"$tables" -S >"$BATS_TEST_TMPDIR/rules"
			attach "d-$tables-$chain"
			reaches "d-$tables-$chain" 192.0.2.1
			assert_equal "$("$tables" -S)" "$(cat "$BATS_TEST_TMPDIR/rules")"
			assert_match "$(cat "$BATS_TEST_TMPDIR/rules")" "-A $chain -i brig0 .*-j ACCEPT"
			assert_match "$(cat "$BATS_TEST_TMPDIR/rules")" \
				"-A $chain -o brig0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT .*-j ACCEPT"
			if [[ $chain == DOCKER-USER ]]; then
				# What docker keeps to itself it still keeps.
				assert_match "$(cat "$BATS_TEST_TMPDIR/rules")" "-A $chain -i brig0 -o docker0 .*-j RETURN"
			fi
			# Nobody is let in who was not before.
			outside ip route replace 172.29.0.0/16 via 192.0.2.2
			fails outside ping -q -c1 -W1 "$address"
			outside ip route delete 172.29.0.0/16
			"$tables" -P FORWARD ACCEPT
			"$tables" -F
			"$tables" -X
			ip netns delete "c-$tables-$chain"
			ip netns delete "d-$tables-$chain"
			nft flush ruleset
			ip link delete brig0
			rm -rf "$runs"
		done
	done
}

@test "rules that somebody flushed are made anew by the next container, for all of them" {
	attach c1
	local one=$address
	attach c2 /run/brig-other
	reaches c1 192.0.2.1
	nft flush ruleset
	misses c1 192.0.2.1
	attach c3
	assert_match "$got" "note=brig's firewall rules were gone or changed: made them anew"
	reaches c1 192.0.2.1
	reaches c2 192.0.2.1
	reaches c3 192.0.2.1
	# Parts of them too.
	local what
	for what in "flush chain inet brig to_bridge" "flush chain inet brig leave_brig0" "delete table bridge brig" \
		"delete table inet brig" "flush chain bridge brig prerouting"; do
		nft "$what"
		attach "c-${what//[ _]/-}"
		assert_match "$got" "made them anew"
		reaches "c-${what//[ _]/-}" 192.0.2.1
		reaches c1 192.0.2.1
		within c1 ip address add 172.29.0.77/16 dev eth0
		fails within c1 ping -q -c1 -W1 -I 172.29.0.77 172.29.0.1
		within c1 ip address delete 172.29.0.77/16 dev eth0
	done
	# Somebody else's changes do not disturb.
	nft add table inet mine
	attach c9
	assert_equal "$(sed -n 's/^note=//p' <<<"$got")" ""
	# A bridge that was taken down or away, forwarding that was switched off.
	sysctl -qw net.ipv4.ip_forward=0
	attach c10
	assert_match "$got" "switched IP forwarding on"
	ip link set brig0 down
	attach c11
	reaches c11 192.0.2.1
	reaches c1 192.0.2.1
}

@test "the subnet clashes with nothing on this host" {
	ip link add dummy0 type bridge
	ip address add 172.29.5.1/24 dev dummy0
	ip link set dummy0 up
	ip route add 172.30.7.0/24 via 192.0.2.1
	ip route add 172.16.0.0/12 via 192.0.2.1
	attach c1
	assert_equal "$address" 10.201.0.2
	reaches c1 192.0.2.1
	ip route delete 172.16.0.0/12
	ip route delete 172.30.7.0/24
}

@test "three hundred addresses, and fifty containers at once" {
	local output
	output=$("$drive" storm "$runs" bridge 50)
	assert_match "$output" "bad=0"
	assert_equal "$(grep -c ^address= <<<"$output")" 50
	assert_equal "$(grep ^address= <<<"$output" | sort -u | wc -l)" 50
	wait_until 5 sh -c '! ip -o link | grep -q veth[0-9a-f]'
	local i seen=
	for i in $(seq 300); do
		attach "n$i"
		seen+=$address$'\n'
	done
	assert_equal "$(sort -u <<<"$seen" | grep -c .)" 300
	reaches n1 192.0.2.1
	reaches n300 192.0.2.1
	reaches n150 "$address"
	# All of them but one have died unnoticed.
	assert_match "$("$drive" sweep "$runs" "$id")" "freed=3[0-9][0-9]$"
	assert_match "$("$drive" sweep "$runs" "$id")" "freed=0$"
}

@test "several run roots share the bridge without a clash" {
	local i seen=
	for i in 1 2 3 4 5 6; do
		attach "a$i" /run/brig-a
		seen+=$address$'\n'
		attach "b$i" /run/brig-b
		seen+=$address$'\n'
	done
	assert_equal "$(sort -u <<<"$seen" | grep -c .)" 12
	reaches a6 "$address"
	reaches b6 192.0.2.1
	# What one gave back the other may have, once its interface is gone.
	assert_equal "$("$drive" detach /run/brig-b "$id" "$address")" ""
	# A wanted address that the other holds.
	ip netns add c9
	run "$drive" attach /run/brig-a bridge "$id" /run/netns/c9 "$address"
	assert_equal "$status" 1
	assert_match "$output" "error=.*in use"
}

@test "a published port" {
	attach c1
	nsenter --net=/run/netns/c1 socat TCP-LISTEN:8000,fork,reuseaddr 'SYSTEM:echo $SOCAT_PEERADDR' 3>&- &
	server=$!
	wait_until 5 fetch c1 127.0.0.1 8000
	fails fetch_outside 192.0.2.2 8080
	assert_match "$("$drive" publish 0.0.0.0:8080 "$address:8000")" "result=0"
	# The client's own address is what the server sees.
	assert_equal "$(fetch_outside 192.0.2.2 8080)" 192.0.2.1
	assert_match "$("$drive" publish 0.0.0.0:8080 "$address:8000" || true)" "result=-17"
	# The host by its own address, another container, and the container itself.
	assert_equal "$(timeout 3 socat -T2 -u TCP:192.0.2.2:8080 -)" 192.0.2.2
	attach c2
	fetch c2 192.0.2.2 8080
	fetch c1 192.0.2.2 8080
	assert_match "$("$drive" unpublish 0.0.0.0:8080 "$address:8000")" "result=0"
	fails fetch_outside 192.0.2.2 8080
	assert_match "$("$drive" publish 192.0.2.2:8081 172.29.0.2:8000)" "result=0"
	assert_equal "$(fetch_outside 192.0.2.2 8081)" 192.0.2.1
}
fetch_outside() {
	outside timeout 3 socat -T2 -u "TCP:$1:$2,connect-timeout=2" -
}

@test "an ordinary user is told what cannot be" {
	ip netns add c1
	id=$(printf %064x 1)
	install -d -o 1000 "$BRIG_TEST_DIR/user"
	run setpriv --reuid 1000 --regid 1000 --clear-groups "$drive" attach "$BRIG_TEST_DIR/user" bridge "$id" /run/netns/c1
	assert_equal "$status" 1
	assert_match "$output" "error=an ordinary user cannot put a container on a bridge"
	assert_match "$output" "hint=run it with --network none"
}

@test "an interface that is no bridge, or somebody's own bridge, under brig's name" {
	ip link add brig0 type veth peer name other0
	ip netns add c1
	id=$(printf %064x 1)
	run "$drive" attach "$runs" bridge "$id" /run/netns/c1
	assert_equal "$status" 1
	assert_match "$output" "error=the interface brig0 of this host is no bridge"
	ip link delete brig0
	ip link add brig0 type bridge
	ip address add 10.77.0.1/24 dev brig0
	attach c2
	assert_equal "$address" 10.77.0.2
	reaches c2 192.0.2.1
}
