#!/usr/bin/env bats
# ports-more.bats - published ports with a real server and a world outside: nginx and whom it
# saw, the configured address, ordinary users, many at once, killed monitors, the host's loopback.

load lib
load containers

# Someone without any right.
user=4711

setup_file() (
	exec >/dev/null 3>&- 4>&- 251>&-
	outside_start
	start_registry
	push_fixture nginx nginx:latest
	brig pull -q "$registry/nginx"
)
teardown_file() {
	stop_registry
	outside_stop
}
setup() {
	need_busybox
	nginx=127.0.0.1:5000/nginx
	servers=()
}
teardown() {
	local pid
	for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
	brig_clean
}

# "! command" alone would not end a test.
fails() {
	if "$@" >/dev/null 2>&1; then
		fail "should not succeed: $*"
	fi
}
# On the host something that says TEXT to who connects to ADDRESS PORT.
serve_here() {
	socat "TCP4-LISTEN:$2,bind=$1,fork,reuseaddr" "SYSTEM:echo '$3'" 3>&- &
	servers+=($!)
	wait_until 5 socat -u OPEN:/dev/null "TCP:$1:$2"
}
# serve NAME PORT: in that container's network a server that says the container's name.
serve() {
	local pid
	pid=$(pid_of "$1")
	nsenter -t "$pid" -n socat "TCP4-LISTEN:$2,fork,reuseaddr" "SYSTEM:echo $1" 3>&- &
	servers+=($!)
	wait_until 5 nsenter -t "$pid" -n socat -u OPEN:/dev/null "TCP:127.0.0.1:$2"
}
ask() { # ADDRESS PORT
	timeout 5 socat -T2 -u "TCP:$1:$2,connect-timeout=2" -
}
outside_asks() { # ADDRESS PORT
	outside timeout 5 socat -T2 -u "TCP:$1:$2,connect-timeout=2" -
}
waiter() { # NAME [OPTIONS]
	brig run -d --name "$1" "${@:2}" "$image" sleep 600 >/dev/null
}
published() {
	nft list table inet brig | grep -c ' : 172' || true
}
# A client that nginx can tell from all others: its log has who asked, for what, and with what result.
logged() {
	"$BRIG" logs "$1" 2>&1 | grep -qE "$2"
}
kill_monitor() {
	local monitor
	monitor=$(ps -o ppid= -p "$(pid_of "$1")" | tr -d ' ')
	assert_equal "$(cat "/proc/$monitor/comm")" brig
	kill -KILL "$monitor"
	wait_until 5 sh -c "! kill -0 $monitor"
}
# The host's port that a container's leads to.
host_port() { # NAME PORT
	brig port "$1" "$2" | sed 's/.*://'
}

@test "nginx on a port of every address: its log has who asks" {
	brig run -d --name web -p 8080:80 "$nginx" >/dev/null
	wait_until 10 curl -fs --max-time 1 "http://192.0.2.2:8080/?ready"
	assert_run 0 outside curl -fsS --max-time 5 "http://192.0.2.2:8080/?outside"
	assert_equal "$output" "it works"
	wait_until 5 logged web '^192\.0\.2\.1 - - .*"GET /\?outside HTTP/1\.1" 200'
	# A second client out there is another one.
	outside ip address add 192.0.2.77/24 dev out0
	assert_run 0 outside curl -fsS --max-time 5 --interface 192.0.2.77 "http://192.0.2.2:8080/?second"
	outside ip address delete 192.0.2.77/24 dev out0
	wait_until 5 logged web '^192\.0\.2\.77 - - .*"GET /\?second HTTP/1\.1" 200'
	# The host by its own address is that address; by its loopback, which cannot be answered to, the bridge's.
	assert_run 0 curl -fsS --max-time 5 "http://192.0.2.2:8080/?host"
	wait_until 5 logged web '^192\.0\.2\.2 - - .*"GET /\?host '
	assert_run 0 curl -fsS --max-time 5 "http://127.0.0.1:8080/?loopback"
	assert_equal "$output" "it works"
	wait_until 5 logged web '^172\.29\.0\.1 - - .*"GET /\?loopback '
	# After its end nobody answers, and after its next start it does again.
	brig stop web >/dev/null
	assert_run 7 outside curl -sS --max-time 5 "http://192.0.2.2:8080/"
	brig start web >/dev/null
	wait_until 10 outside curl -fs --max-time 1 "http://192.0.2.2:8080/"
	assert_equal "$(brig port web)" "80/tcp -> 0.0.0.0:8080"
}

@test "nginx on the loopback: the host reaches it, who is outside does not" {
	brig run -d --name web -p 127.0.0.1:8081:80 "$nginx" >/dev/null
	wait_until 10 curl -fs --max-time 1 http://127.0.0.1:8081/
	assert_run 0 curl -fsS --max-time 5 "http://127.0.0.1:8081/?loopback"
	assert_equal "$output" "it works"
	wait_until 5 logged web '^172\.29\.0\.1 - - .*"GET /\?loopback '
	assert_run 7 outside curl -sS --max-time 5 "http://192.0.2.2:8081/?outside"
	assert_run 7 curl -sS --max-time 5 "http://192.0.2.2:8081/?host"
	assert_equal "$(brig port web)" "80/tcp -> 127.0.0.1:8081"
	assert_run 0 brig logs web
	refute_match "$output" 'outside|host'
}

@test "-P publishes what nginx's image exposes, and nothing of an image that exposes nothing" {
	brig run -d --name web -P "$nginx" >/dev/null
	local port
	port=$(host_port web 80)
	assert_match "$port" '^[0-9]{4,5}$'
	assert_equal "$(brig port web)" "80/tcp -> 0.0.0.0:$port"
	wait_until 10 outside curl -fs --max-time 1 "http://192.0.2.2:$port/"
	assert_run 0 outside curl -fsS --max-time 5 "http://192.0.2.2:$port/?outside"
	assert_equal "$output" "it works"
	wait_until 5 logged web '^192\.0\.2\.1 - - .*"GET /\?outside '
	assert_equal "$(brig ps --format '{{.Names}} {{.Ports}}')" "web 0.0.0.0:$port->80/tcp"
	# Named as well, it is not chosen; and one that is not exposed is published beside it.
	brig run -d --name named -P -p 8082:80 -p 8083:81 "$nginx" >/dev/null
	assert_equal "$(brig port named)" $'80/tcp -> 0.0.0.0:8082\n81/tcp -> 0.0.0.0:8083'
	# Without -P the image's is only told of.
	brig run -d --name closed "$nginx" >/dev/null
	assert_run 0 brig port closed
	assert_equal "$output" ""
	assert_equal "$(brig ps --format '{{.Ports}}' -f name=closed)" 80/tcp
	waiter nothing -P
	assert_run 0 brig port nothing
	assert_equal "$output" ""
	assert_equal "$(brig inspect -f '{{.State.Status}}' nothing)" running
}

@test "publish_address: where -p and -P publish unless told" {
	local config=$BATS_TEST_TMPDIR/brig.conf port
	cat ${BRIG_CONFIG:+"$BRIG_CONFIG"} /dev/null >"$config"
	printf '[network]\npublish_address = 127.0.0.1\n' >>"$config"
	BRIG_CONFIG=$config brig run -d --name web -P -p 8084:81 -p 0.0.0.0:8085:82 "$nginx" >/dev/null
	port=$(host_port web 80)
	assert_equal "$(brig port web)" "80/tcp -> 127.0.0.1:$port"$'\n'"81/tcp -> 127.0.0.1:8084"$'\n'"82/tcp -> 0.0.0.0:8085"
	wait_until 10 curl -fs --max-time 1 "http://127.0.0.1:$port/"
	assert_run 7 outside curl -sS --max-time 5 "http://192.0.2.2:$port/"
	brig rm -f web >/dev/null
	# An address that is none, or is not this host's.
	sed -i 's/^publish_address.*/publish_address = nowhere/' "$config"
	BRIG_CONFIG=$config assert_run 125 brig run --rm -p 8084:80 "$image" true
	assert_one_error "nowhere"
	sed -i 's/^publish_address.*/publish_address = 203.0.113.9/' "$config"
	BRIG_CONFIG=$config assert_run 125 brig run --rm -p 8084:80 "$image" true
	assert_one_error "203.0.113.9: this host has no such address"
	assert_nothing_left
	assert_equal "$(published)" 0
}

@test "an ordinary user's -p and -P are refused, and nothing is made" {
	local home=$BRIG_TEST_DIR/user option
	mkdir -p "$home/run" "$home/tree"
	tar -C "$(fixture busybox)/tree" -c . | tar -C "$home/tree" -x --no-same-owner
	chown -R $user:$user "$home"
	user_brig() {
		env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/run" LC_ALL=C.UTF-8 \
			ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" \
			setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all --bounding-set=-all "$BRIG" "$@"
	}
	assert_run 0 user_brig init "$home/tree"
	local own=${output#Created: }
	for option in "-p 8086:80" "-p 80" "-P --expose 80"; do
		# shellcheck disable=SC2086
		assert_run 125 user_brig run --rm $option "$own" true
		assert_one_error "an ordinary user's container has no network, so its ports cannot be published"
		assert_match "$errors" $'\n  run it as root, or with --network host'
		# shellcheck disable=SC2086
		assert_run 1 user_brig create --name kept $option "$own" true
		assert_one_error "cannot be published"
	done
	assert_run 0 user_brig ps -a -q
	assert_equal "$output" ""
	assert_equal "$(ls "$home/.local/share/brig/containers" | grep -v '^index' || true)" ""
	fails socat -u OPEN:/dev/null TCP:127.0.0.1:8086
	# With the host's network they have no meaning, and that is said.
	assert_run 0 user_brig run --rm --network host -p 8086:80 "$own" true
	assert_match "$errors" "published ports are discarded when using host network mode"
}

@test "twenty run -d -P at once: each has a port of its own" {
	local i pids=() names=() ports
	for i in $(seq 20); do
		names+=("many$i")
		brig run -d --name "many$i" -P --expose 80 "$image" sleep 600 >/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	ports=$(for i in "${names[@]}"; do host_port "$i" 80; done)
	assert_equal "$(grep -cE '^[0-9]{4,5}$' <<<"$ports")" 20
	assert_equal "$(sort -u <<<"$ports" | wc -l)" 20
	assert_equal "$(published)" 20
	# Each leads to its own container.
	for i in 1 7 20; do
		serve "many$i" 80
		assert_equal "$(outside_asks 192.0.2.2 "$(host_port "many$i" 80)")" "many$i"
	done
	brig rm -f "${names[@]}" >/dev/null
	assert_equal "$(published)" 0
	assert_nothing_left
}

@test "twenty at once for one port: one gets it, and the others are gone" {
	local i pids=() won=0
	for i in $(seq 20); do
		brig run -d --name "many$i" -p 8087:80 "$image" sleep 600 >/dev/null 2>"$BATS_TEST_TMPDIR/err$i" 3>&- &
		pids+=($!)
	done
	for i in $(seq 20); do
		local status=0
		wait "${pids[i - 1]}" || status=$?
		if ((status == 0)); then
			won=$((won + 1))
			continue
		fi
		assert_equal "$status" 125
		assert_match "$(cat "$BATS_TEST_TMPDIR/err$i")" "^brig: cannot publish port 8087: it is taken"
	done
	assert_equal "$won" 1
	assert_run 0 brig ps -q
	assert_equal "$(wc -l <<<"$output")" 1
	assert_equal "$(published)" 1
	brig_clean
	assert_nothing_left
	assert_equal "$(published)" 0
}

@test "the monitor killed and the container alive: its port works, is told, kept and given back" {
	waiter web -p 8088:80
	serve web 80
	kill_monitor web
	# What the kernel passes on needs no monitor.
	assert_equal "$(outside_asks 192.0.2.2 8088)" web
	assert_match "$(ask 127.0.0.1 8088)" "^web"
	assert_run 0 brig port web
	assert_equal "$output" "80/tcp -> 0.0.0.0:8088"
	assert_equal "$(brig ps --format '{{.Names}} {{.Ports}}')" "web 0.0.0.0:8088->80/tcp"
	# No other container gets it, and asking for it does no harm.
	assert_run 125 brig run --rm -p 8088:80 "$image" true
	assert_one_error "cannot publish port 8088: it is taken by container web"
	assert_run 0 brig run --rm "$image" true
	assert_equal "$(outside_asks 192.0.2.2 8088)" web
	# It outlives the loss of the firewall's rules, too.
	nft flush ruleset
	assert_run 0 brig network reload
	assert_equal "$(outside_asks 192.0.2.2 8088)" web
	# stop gives it back, and start takes it again.
	assert_run 0 brig stop -t 0 web
	assert_run 0 brig port web
	assert_equal "$output" ""
	waiter other -p 8088:80
	serve other 80
	assert_equal "$(outside_asks 192.0.2.2 8088)" other
	assert_run 1 brig start web
	assert_match "$errors" "cannot publish port 8088: it is taken by container other"
	brig rm -f other >/dev/null
	assert_run 0 brig start web
	assert_equal "$(brig port web)" "80/tcp -> 0.0.0.0:8088"
	kill_monitor web
	assert_run 0 brig rm -f web
	assert_equal "$(published)" 0
	assert_nothing_left
}

@test "a container does not reach what listens on the host's loopback" {
	serve_here 127.0.0.1 7000 "of the host alone"
	waiter web -p 127.0.0.1:8089:80 -p 8090:80
	waiter asker --cap-add NET_ADMIN
	serve web 80
	assert_equal "$(ask 127.0.0.1 7000)" "of the host alone"
	local pid name
	pid=$(pid_of asker)
	inside() { nsenter -t "$pid" -n "$@"; }
	inside_asks() { inside timeout 4 socat -T1 -u "TCP:$1:$2,connect-timeout=2" -; }
	# Something that it does reach, so that what follows says something.
	assert_match "$(inside_asks 192.0.2.2 8090)" "^web"
	for name in 127.0.0.1 172.29.0.1 192.0.2.2; do
		fails inside_asks "$name" 7000
	done
	assert_run 1 brig exec asker nc -w 2 172.29.0.1 7000
	assert_run 1 brig exec asker nc -w 2 127.0.0.1 7000
	# One that may change its own routes sends packets for 127.0.0.1 to the bridge, past its own loopback.
	inside sysctl -qw net.ipv4.conf.all.route_localnet=1
	inside ip route add 127.0.0.1/32 via 172.29.0.1 table 7
	inside ip rule add to 127.0.0.1 table 7 priority 0
	inside ip rule add table local priority 10
	inside ip rule delete table local priority 0
	assert_match "$(inside ip route get 127.0.0.1)" "via 172\.29\.0\.1"
	# The bridge would take them in: the firewall is what is in the way.
	assert_equal "$(cat /proc/sys/net/ipv4/conf/brig0/route_localnet)" 1
	fails inside_asks 127.0.0.1 7000
	# Nor what others publish on that loopback.
	fails inside_asks 127.0.0.1 8089
	fails inside_asks 172.29.0.1 8089
	assert_match "$(ask 127.0.0.1 8089)" "^web"
	assert_equal "$(ask 127.0.0.1 7000)" "of the host alone"
}
