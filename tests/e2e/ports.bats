#!/usr/bin/env bats
# ports.bats - published ports: from outside, from the host, from its loopback and from other
# containers; who clients are, clashes, ranges, and what is left after each kind of end.

load lib

setup_file() {
	outside_start
}

teardown_file() {
	outside_stop
}

setup() {
	need_busybox
	servers=()
}

teardown() {
	local pid
	for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
	brig_clean
}

# start NAME [OPTIONS]: a container that waits.
start() {
	brig run -d --name "$1" "${@:2}" "$image" sleep 600 >/dev/null
	pid_of "$1"
}
pid_of() {
	pid=$(brig inspect -f '{{.State.Pid}}' "$1")
}
# serve NAME PORT [PROTOCOL]: in that container's network a server that says its own word and who asks.
serve() {
	pid_of "$1"
	local hear=
	[[ ${3:-TCP4} == TCP4 ]] || hear="read -r line;"
	nsenter -t "$pid" -n socat "${3:-TCP4}-LISTEN:$2,fork,reuseaddr" "SYSTEM:$hear echo $1 \$SOCAT_PEERADDR" 3>&- &
	servers+=($!)
	[[ ${3:-TCP4} != TCP4 ]] || wait_until 5 nsenter -t "$pid" -n socat -u OPEN:/dev/null "TCP:127.0.0.1:$2"
}
ask() { # ADDRESS PORT
	timeout 5 socat -T2 -u "TCP:$1:$2,connect-timeout=2" -
}
ask_udp() { # ADDRESS PORT
	echo x | timeout 3 socat -T1 - "UDP:$1:$2"
}
# "! command" alone would not end a test.
fails() {
	if "$@" >/dev/null 2>&1; then
		fail "should not succeed: $*"
	fi
}
map() {
	nft list table inet brig | grep -c "$1" || true
}

@test "a port is reached from everywhere, and the server sees who asks" {
	start web -p 8080:80
	serve web 80
	assert_equal "$(outside timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "web 192.0.2.1"
	# The host's own address stays itself; its loopback cannot be answered to, and becomes the bridge.
	assert_equal "$(ask 192.0.2.2 8080)" "web 192.0.2.2"
	assert_match "$(ask 127.0.0.1 8080)" "^web 172\.29\.0\.1$"
	start other
	nsenter -t "$pid" -n timeout 5 socat -T2 -u TCP:192.0.2.2:8080 - >"$BATS_TEST_TMPDIR/hairpin"
	assert_match "$(cat "$BATS_TEST_TMPDIR/hairpin")" "^web 172\.29\.0\.1$"
	pid_of web
	assert_match "$(nsenter -t "$pid" -n timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "^web "
	assert_equal "$(brig port web)" "80/tcp -> 0.0.0.0:8080"
	assert_equal "$(brig port web 80)" "0.0.0.0:8080"
	assert_equal "$(brig container port web 80/tcp)" "0.0.0.0:8080"
	assert_run 1 brig port web 81
	assert_one_error "no public port '81' published for web"
	assert_equal "$(brig ps --format '{{.Names}} {{.Ports}}' -f publish=8080)" "web 0.0.0.0:8080->80/tcp"
	assert_silent brig ps -q -f publish=80
	assert_equal "$(brig ps --format '{{.Names}}' -f expose=80)" "web"
	assert_equal "$(brig inspect -f '{{json .NetworkSettings.Ports}}' web)" '{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}'
	assert_equal "$(brig inspect -f '{{json .HostConfig.PortBindings}}' web)" '{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}'
	assert_equal "$(brig inspect -f '{{json .Config.ExposedPorts}}' web)" '{"80/tcp":{}}'
	brig create --name many --expose 70 --expose 443 -p 8.8.8.8:53:53/udp "$image" true >/dev/null
	assert_equal "$(brig inspect -f '{{json .Config.ExposedPorts}}' many)" '{"443/tcp":{},"53/udp":{},"70/tcp":{}}'
	# Nobody reaches the container's own address from outside.
	outside ip route add 172.29.0.0/16 via 192.0.2.2
	fails outside timeout 3 socat -T1 -u TCP:172.29.0.2:80,connect-timeout=1 -
	outside ip route delete 172.29.0.0/16
	# Free when the command has returned.
	brig rm -f web >/dev/null
	assert_equal "$(map ' : 172')" 0
	start web -p 8080:80
}

@test "a port on the loopback stays there" {
	start web -p 127.0.0.1:8080:80
	serve web 80
	assert_match "$(ask 127.0.0.1 8080)" "^web "
	fails outside timeout 3 socat -u TCP:192.0.2.2:8080,connect-timeout=1 -
	# A neighbour that sends packets for 127.0.0.1 to the host.
	outside ip route add 127.0.0.1/32 via 192.0.2.2 table 7
	outside sysctl -qw net.ipv4.conf.all.route_localnet=1
	outside ip rule add to 127.0.0.1 table 7 priority 0
	outside ip rule delete table local priority 0 2>/dev/null || true
	outside ip rule add table local priority 10
	fails outside timeout 3 socat -u TCP:127.0.0.1:8080,connect-timeout=1 -
	outside ip rule delete table 7 priority 0
	assert_equal "$(cat /proc/sys/net/ipv4/conf/up0/route_localnet)" 0
	assert_equal "$(cat /proc/sys/net/ipv4/conf/brig0/route_localnet)" 1
}

@test "udp, ranges, sctp and ports that brig chooses" {
	start web -p 5353:53/udp -p 8000-8002:80-82 -p 9000:90/sctp -p 127.0.0.1::99 -p 8100-8110:100
	serve web 53 UDP4
	serve web 81
	wait_until 5 ask_udp 192.0.2.2 5353
	assert_match "$(echo x | outside timeout 3 socat -T1 - UDP:192.0.2.2:5353)" "^web 192.0.2.1$"
	assert_match "$(ask_udp 127.0.0.1 5353)" "^web "
	assert_equal "$(ask 192.0.2.2 8001)" "web 192.0.2.2"
	assert_equal "$(brig port web 82)" "0.0.0.0:8002"
	assert_equal "$(brig port web 90/sctp)" "0.0.0.0:9000"
	assert_equal "$(brig port web 100)" "0.0.0.0:8100"
	assert_match "$(brig port web 99)" "^127\.0\.0\.1:[0-9]{4,5}$"
	# The next free one of the range.
	start second -p 8100-8110:100
	assert_equal "$(brig port second 100)" "0.0.0.0:8101"
	# -P: what is exposed, and the image's.
	start third -P --expose 70-71 --expose 72/udp -p 7000:70
	assert_equal "$(brig port third | wc -l)" 3
	assert_equal "$(brig port third 70)" "0.0.0.0:7000"
	assert_match "$(brig port third 72/udp)" ":[0-9]+$"
	start fourth --expose 70-72 -p 7100-7101:7100-7101
	assert_equal "$(brig ps --format '{{.Ports}}' -f name=fourth)" "70-72/tcp, 0.0.0.0:7100-7101->7100-7101/tcp"
}

@test "a port of an IPv6 address is handed on" {
	start web -p '[::1]:8080:80' -p '[2001:db8::2]:8080:80' -p '[::]:8081:81' -p '[::1]:5353:53/udp' -p '[::]:5354:54/udp'
	serve web 80
	assert_match "$(timeout 5 socat -T2 -u 'TCP6:[::1]:8080' -)" '^web 172\.29\.0\.1$'
	assert_match "$(outside timeout 5 socat -T2 -u 'TCP6:[2001:db8::2]:8080' -)" '^web 172\.29\.0\.1$'
	# What was published on the loopback is there alone, and IPv4 has nothing of it.
	fails outside timeout 3 socat -T1 -u 'TCP6:[2001:db8::2]:5353' -
	fails timeout 3 socat -T1 -u TCP4:127.0.0.1:8080 -
	assert_equal "$(brig port web 80 | sort)" "[2001:db8::2]:8080
[::1]:8080"
	assert_equal "$(brig port web 54/udp)" "[::]:5354"
	assert_equal "$(brig ps --format '{{.Ports}}')" "[::1]:5353->53/udp, [::]:5354->54/udp, [::1]:8080->80/tcp, [2001:db8::2]:8080->80/tcp, [::]:8081->81/tcp"
	assert_equal "$(brig inspect -f '{{json (index .NetworkSettings.Ports "81/tcp")}}' web)" '[{"HostIp":"::","HostPort":"8081"}]'
	# Large, both ways, with a client that ends its half first, and with one that is slow.
	nsenter -t "$pid" -n socat -t30 TCP4-LISTEN:81,fork,reuseaddr,backlog=64 SYSTEM:cat 3>&- &
	servers+=($!)
	wait_until 5 nsenter -t "$pid" -n socat -u OPEN:/dev/null TCP:127.0.0.1:81
	head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	timeout 60 socat -t30 - 'TCP6:[::1]:8081' <"$BATS_TEST_TMPDIR/sent" >"$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/back"
	timeout 60 socat -t30 - 'TCP6:[::1]:8081,rcvbuf=4096' <"$BATS_TEST_TMPDIR/sent" |
		(sleep 1; cat) >"$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/back"
	# Many at once.
	local clients=() i
	for ((i = 0; i < 40; i++)); do
		timeout 20 socat -t10 - 'TCP6:[::1]:8081' <<<"client $i" >"$BATS_TEST_TMPDIR/client$i" &
		clients+=($!)
	done
	wait "${clients[@]}"
	for ((i = 0; i < 40; i++)); do assert_equal "$(cat "$BATS_TEST_TMPDIR/client$i")" "client $i"; done
	# Nobody listens in there: cut at once.
	start empty -p '[::1]:8090:80'
	assert_run 0 timeout 3 socat -T2 - 'TCP6:[::1]:8090' </dev/null
	assert_equal "$output" ""
	# Each client has its own answers, from the address that it asked.
	nsenter -t "$(brig inspect -f '{{.State.Pid}}' web)" -n socat UDP4-LISTEN:54,fork,reuseaddr EXEC:cat 3>&- &
	servers+=($!)
	for i in 1 2 3; do
		wait_until 5 eval "[[ \$(echo 'to $i' | outside timeout 3 socat -T1 - 'UDP6:[2001:db8::2]:5354,sourceport=400$i') == 'to $i' ]]"
	done
	assert_equal "$(echo back | timeout 3 socat -T1 - 'UDP6:[::1]:5354')" back
	# Taken, by whom, and free when the command has returned.
	assert_run 125 brig run --rm -p '[::]:8080:80' "$image" true
	assert_equal "$errors" "brig: cannot publish port 8080: it is taken by container web
  try: brig run -p [::]:8081:80 …"
	brig rm -f web >/dev/null
	brig run --rm -p '[::1]:8080:80' -p 127.0.0.1:8080:80 -p '[::1]:5353:53/udp' "$image" true
	socat TCP6-LISTEN:8079,fork,reuseaddr,ipv6only OPEN:/dev/null 3>&- &
	servers+=($!)
	wait_until 5 socat -u OPEN:/dev/null 'TCP6:[::1]:8079'
	assert_run 125 brig run --rm -p '[::1]:8079:80' "$image" true
	assert_one_error "cannot publish port 8079: it is taken by socat .pid ${servers[-1]}."
}

# hear NAME PORT: what comes there by UDP, into a file.
hear() {
	pid_of "$1"
	nsenter -t "$pid" -n socat -u "UDP4-RECV:$2" "OPEN:$BATS_TEST_TMPDIR/heard-$1,creat,append" 3>&- &
	servers+=($!)
}

@test "udp: who goes on sending reaches whoever has the port" {
	# From one port, to a port that nobody has yet.
	start first
	outside python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.1", 4000))
while True:
    s.sendto(b"x", ("192.0.2.2", 5353))
    time.sleep(0.1)' 3>&- &
	servers+=($!)
	sleep 0.5
	start old -p 5353:53/udp
	hear old 53
	wait_until 3 test -s "$BATS_TEST_TMPDIR/heard-old"
	# The next one has another address, and the old one's namespace is gone.
	start between
	kill "${servers[-1]}"
	brig rm -f old >/dev/null
	start new -p 5353:53/udp
	hear new 53
	wait_until 3 test -s "$BATS_TEST_TMPDIR/heard-new"
}

@test "the loopback is routed for as long as a port needs it" {
	local sysctl=/proc/sys/net/ipv4/conf/brig0/route_localnet
	start web -p 8080:80
	start other -p 8081:80
	assert_equal "$(cat $sysctl)" 1
	brig rm -f web >/dev/null
	assert_equal "$(cat $sysctl)" 1
	brig rm -f other >/dev/null
	assert_equal "$(cat $sysctl)" 0
	# Another run root's are seen.
	BRIG_RUN_ROOT=$BRIG_TEST_DIR/second-run start third -p 8080:80
	start web -p 8081:80
	brig rm -f web >/dev/null
	assert_equal "$(cat $sysctl)" 1
	BRIG_RUN_ROOT=$BRIG_TEST_DIR/second-run brig rm -f third >/dev/null
	assert_equal "$(cat $sysctl)" 0
}

@test "stop and rm of a container whose monitor was killed give its ports back" {
	local verb
	for verb in "rm -f" "stop -t 0"; do
		start web -p 8080:80
		serve web 80
		kill -9 "$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")"
		# It goes on, and so does its port.
		assert_equal "$(ask 192.0.2.2 8080)" "web 192.0.2.2"
		assert_equal "$(brig port web)" "80/tcp -> 0.0.0.0:8080"
		# shellcheck disable=SC2086
		brig $verb web >/dev/null
		assert_equal "$(map ' : 172')" 0
	done
	brig rm -f web >/dev/null
	# Of a range the next one is taken then, too.
	start first -p 8200-8203:80
	kill -9 "$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")"
	start second -p 8200-8203:80
	assert_equal "$(brig port second 80)" "0.0.0.0:8201"
	# And the error names the one of several that is taken.
	assert_run 125 brig run --rm -p 8300:81 -p 8200:80 "$image" true
	assert_one_error "cannot publish port 8200: it is taken by container first"
}

@test "a port that is taken: who has it, status 125, and nothing left" {
	socat TCP4-LISTEN:8080,fork,reuseaddr OPEN:/dev/null 3>&- &
	servers+=($!)
	wait_until 5 socat -u OPEN:/dev/null TCP:127.0.0.1:8080
	assert_run 125 brig run --rm -p 8080:80 "$image" true
	assert_equal "$errors" "brig: cannot publish port 8080: it is taken by socat (pid ${servers[0]})
  try: brig run -p 8081:80 …"
	assert_run 125 brig run --rm -p 8079:79 -p 8080:80 "$image" true
	assert_nothing_left
	assert_equal "$(map ' : 172')" 0
	brig create --name late -p 127.0.0.1:8080:80 "$image" true >/dev/null
	assert_run 1 brig start late
	assert_equal "$errors" "brig: cannot publish port 8080: it is taken by socat (pid ${servers[0]})
  free it, or create the container anew: -p 127.0.0.1:8081:80"
	start web -p 8079:80
	assert_run 125 brig run --rm -p 8079:80 "$image" true
	assert_match "$errors" "cannot publish port 8079: it is taken by container web"
	# Another address of the same port is another port.
	start lo -p 127.0.0.1:8078:80
	start up -p 192.0.2.2:8078:80
	assert_run 125 brig run --rm -p 8078:80 "$image" true
	# And nobody else takes what is published.
	fails socat -u TCP4-LISTEN:8079,reuseaddr OPEN:/dev/null
	# Nor twice by one.
	assert_run 125 brig run --rm -p 7001:80 -p 7001:81 "$image" true
	assert_one_error "cannot publish port 7001: it was asked for twice, for the container's ports 80 and 81"
	assert_run 125 brig run --rm -p 203.0.113.9:80:80 "$image" true
	assert_one_error "this host has no such address"
}

@test "stop, start, restart of the firewall, and a monitor that is killed" {
	start web -p 8080:80
	serve web 80
	assert_equal "$(outside timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "web 192.0.2.1"
	nft flush ruleset
	assert_equal "$(outside timeout 3 socat -T1 -u TCP:192.0.2.2:8080,connect-timeout=1 - 2>/dev/null)" ""
	brig network reload
	assert_equal "$(outside timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "web 192.0.2.1"
	nft flush ruleset
	brig run --rm "$image" true 2>/dev/null
	assert_equal "$(outside timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "web 192.0.2.1"
	brig stop -t 0 web >/dev/null
	assert_silent brig port web
	assert_silent brig ps -a --format '{{.Ports}}' -f name=web
	assert_equal "$(map ' : 172')" 0
	brig start web >/dev/null
	serve web 80
	assert_equal "$(ask 192.0.2.2 8080)" "web 192.0.2.2"
	# The monitor dies, then the container: the next command takes the port back.
	pid_of web
	kill -9 "$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")"
	kill -9 "$pid"
	wait_until 5 sh -c "[ ! -e /proc/$pid ] || grep -q '^State:.Z' /proc/$pid/status"
	start next -p 8080:80
	serve next 80
	assert_equal "$(ask 192.0.2.2 8080)" "next 192.0.2.2"
}

@test "a host that drops what it forwards" {
	nft add table ip filter
	nft add chain ip filter FORWARD '{ type filter hook forward priority filter; policy drop; }'
	start web -p 8080:80
	serve web 80
	assert_equal "$(outside timeout 5 socat -T2 -u TCP:192.0.2.2:8080 -)" "web 192.0.2.1"
	nft delete table ip filter
}

@test "what cannot be published" {
	local row
	while IFS='|' read -r port message; do
		assert_run 125 brig run --rm -p "$port" "$image" true
		assert_one_error "$message"
	done <<-'EOF'
		99999|invalid containerPort: 99999
		0|invalid containerPort: 0
		x:80|invalid hostPort: x
		65536:80|invalid hostPort: 65536
		80/icmp|invalid proto: icmp
		1-2:3-5|invalid ranges specified for container and host Ports: 3-5 and 1-2
		5-4:80|invalid hostPort: 5-4
		1.2.3:80:80|invalid IP address: 1.2.3
		8080:|no port specified: 8080:
		1.2.3:80:80|invalid IP address: 1.2.3
		::1:80:80|invalid IP address: ::1:80:80
		[::1:80:80|invalid IP address: .::1:80:80
		[::1]:80:80/sctp|cannot publish sctp port 80 on ::1
		[2001:db8::9]:80:80|this host has no such address
	EOF
	assert_run 0 brig run --rm --network host -p 8080:80 "$image" true
	assert_match "$errors" "published ports are discarded when using host network mode"
	assert_run 0 brig run --rm --network none -p 8080:80 "$image" true
	assert_match "$errors" "published ports are discarded when using none network mode"
	assert_run 125 brig run --rm --network bridge0 -p 8080:80 "$image" true
	assert_one_error "cannot publish ports on network bridge0"
	assert_run 125 brig run --rm --expose x "$image" true
	assert_one_error "invalid range format for --expose: x"
	assert_run 125 brig run --rm -p "" "$image" true
	assert_one_error "no port specified: <empty>"
	assert_nothing_left
	start web -p 8080:80
	assert_run 1 brig port web bogus
	assert_one_error "invalid port .bogus."
	printf '[network]\npublish_address = 1.2.3\n' >"$BATS_TEST_TMPDIR/brig.conf"
	assert_run 125 brig --config "$BATS_TEST_TMPDIR/brig.conf" run --rm "$image" true
	assert_one_error "brig.conf:2: not an IP address: 1.2.3"
	printf '[network]\npublish_address = ::1\n' >"$BATS_TEST_TMPDIR/brig.conf"
	brig --config "$BATS_TEST_TMPDIR/brig.conf" run -d --name six -p 8081:80 "$image" sleep 600 >/dev/null
	assert_equal "$(brig port six)" "80/tcp -> [::1]:8081"
}

@test "more ports than a container may have files, and than the caller may" {
	ulimit -Sn 1024
	start web -p 20000-21499:10000-11499
	serve web 11499
	assert_equal "$(ask 192.0.2.2 21499)" "web 192.0.2.2"
	assert_equal "$(brig port web | wc -l)" 1500
	brig rm -f web >/dev/null
	assert_equal "$(map ' : 172')" 0
}
