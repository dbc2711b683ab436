#!/usr/bin/env bats
# Real images do their real work: Debian with its package manager, sudo and ping, and nginx,
# on a host alone, on one that drops what it forwards, and beside a running dockerd.
load lib
load containers

setup_file() (
	# What runs on may not hold bats's own descriptors.
	exec >/dev/null 3>&- 4>&- 251>&-
	outside_start
	outside_serve 8000 "hello from outside"
	start_registry
	push_fixture debian debian:12
	push_fixture nginx nginx:latest --dest-compress-format zstd --dest-compress
	brig pull -q "$registry/debian:12"
	brig pull -q "$registry/nginx"
)
setup() {
	registry=127.0.0.1:5000
	debian=$registry/debian:12
	nginx=$registry/nginx
}
teardown() {
	brig_clean
}
teardown_file() {
	stop_registry
	stop_dockerd
}

# configured NAME [umoci config options]: Debian with another configuration, as $image.
configured() {
	local layout=$BRIG_TEST_DIR/layout-$1 name=$1
	shift
	cp -a "$(fixture debian)/oci" "$layout"
	umoci config --image "$layout:latest" "$@"
	skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$layout:latest" "docker://$registry/$name"
	image=$registry/$name
	brig pull -q "$image" >/dev/null
}
gateway_of() {
	brig exec "$1" ip -4 route show default | awk '{ print $3 }'
}
address_of() {
	brig inspect -f '{{.NetworkSettings.IPAddress}}' "$1"
}
# Reads from HOST PORT in Debian, which has no curl; from a web server what is at /.
fetch='my ($h, $p) = @ARGV; use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => $h, PeerPort => $p,
	Timeout => 5) or die "$@\n"; print $s "GET / HTTP/1.0\r\n\r\n" if $p == 80; print while <$s>;'
# A new container reaches the outside and is reached by the host; so is the one named there, from before.
assert_traffic() {
	assert_run 0 brig run --rm "$debian" perl -e "$fetch" 192.0.2.1 8000
	assert_match "$output" "hello from outside"
	assert_run 0 brig exec there perl -e "$fetch" 192.0.2.1 8000
	assert_match "$output" "hello from outside"
	assert_run 0 brig run --rm "$debian" perl -e "$fetch" "$(address_of there)" 80
	assert_match "$output" "it works"
	assert_run 0 curl -fsS --max-time 5 "http://$(address_of there)/"
	assert_equal "$output" "it works"
	brig run -d --name here "$nginx" >/dev/null
	wait_until 5 curl -fs --max-time 1 "http://$(address_of here)/"
	brig rm -f here >/dev/null
}
there_starts() {
	brig run -d --name there "$nginx" >/dev/null
	wait_until 5 curl -fs --max-time 1 "http://$(address_of there)/"
}

@test "Debian says what it is" {
	assert_run 0 brig run --rm "$debian" cat /etc/debian_version
	assert_match "$output" '^12\.'
	assert_run 0 brig run --rm "$debian" sh -c 'dpkg -l | grep -c ^ii'
	((output > 80)) || fail "only $output packages"
	# Every file is what its package says, but those that the fixture leaves out.
	assert_run 0 brig run --rm "$debian" dpkg --verify
	assert_equal "$(grep -vE '^missing +(c )?/(usr/share/(doc|man|locale)/|var/lib/apt/lists/)' <<<"$output")" ""
	assert_run 0 brig run --rm "$debian" perl -MPOSIX -e 'print join ",", (uname())[0], $>, -w "/etc"'
	assert_equal "$output" "Linux,0,1"
}

@test "apt-get installs a package, from a folder and over the network" {
	local repo
	repo=$(fixture aptrepo)/repo
	assert_run 0 brig run --rm -v "$repo:/repo:ro" "$debian" sh -ec '
		rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
		echo "deb [trusted=yes] file:/repo ./" >/etc/apt/sources.list
		apt-get -qq update && apt-get -qq -y install hello >/tmp/log 2>&1 || { cat /tmp/log >&2; exit 1; }
		hello; dpkg -s hello | grep ^Status'
	assert_equal "$output" $'Hello, world!\nStatus: install ok installed'
	# The same from a web server outside, by the user _apt as apt wants it.
	nsenter --net="/proc/$(cat "$BRIG_TEST_DIR/outside.pid")/ns/net" \
		python3 -m http.server -d "$repo" 8080 >/dev/null 2>&1 3>&- &
	wait_until 5 outside curl -fs http://127.0.0.1:8080/Packages
	assert_run 0 brig run --name installer "$debian" sh -ec '
		rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
		echo "deb [trusted=yes] http://192.0.2.1:8080 ./" >/etc/apt/sources.list
		apt-get -qq update && apt-get -qq -y install hello >/tmp/log 2>&1 || { cat /tmp/log >&2; exit 1; }
		apt-get -qq -y remove hello >/tmp/log 2>&1 && apt-get -qq -y install hello >/tmp/log 2>&1; hello'
	assert_equal "$output" "Hello, world!"
	refute_match "$errors" "unsandboxed|Permission denied"
	# It is there when the container is started again.
	assert_run 0 brig start -a installer
	assert_equal "$output" "Hello, world!"
}

@test "packages with users, diversions and ownerships can be configured again" {
	assert_run 0 brig run --rm "$debian" sh -ec '
		dpkg-reconfigure -f noninteractive -p critical passwd base-passwd >/tmp/log 2>&1
		useradd -m -G audio,sudo newcomer
		dpkg-divert --rename --add /bin/nothing >/dev/null
		install -o newcomer -g audio -m 2755 /dev/null /opt/file
		chown -R newcomer: /home/newcomer
		stat -c "%U %G %a" /opt/file
		id -nG newcomer | tr " " "\n" | sort | xargs'
	assert_equal "$output" $'newcomer audio 2755\naudio newcomer sudo'
}

@test "sudo and su, for root and for an ordinary user" {
	assert_run 0 brig run --rm -u tester "$debian" sudo id -un
	assert_equal "$output" root
	assert_run 0 brig run --rm -u tester "$debian" sudo -u nobody id -un
	assert_equal "$output" nobody
	assert_run 0 brig run --rm "$debian" su tester -c 'id -un; echo $HOME'
	assert_equal "$output" $'tester\n/home/tester'
	assert_run 0 brig run --rm "$debian" su - tester -c 'sudo -n su - nobody -s /bin/sh -c "id -un"'
	assert_equal "$output" nobody
	# su as somebody else asks for a password, and gets none.
	assert_run 1 brig run --rm -u tester "$debian" su -c id
	assert_match "$errors" "su: "
	# Set-user-ID counts for nothing under no-new-privileges.
	assert_run 1 brig run --rm -u tester --security-opt no-new-privileges "$debian" sudo id -un
	assert_match "$errors" "no new privileges"
}

@test "ping to the gateway and to the outside, as root and as an ordinary user" {
	local user
	brig run -d --name pinger "$debian" sleep 60 >/dev/null
	local gateway
	gateway=$(gateway_of pinger)
	for user in root tester nobody 12345; do
		assert_run 0 brig exec -u "$user" pinger ping -q -c 1 -W 2 "$gateway"
		assert_match "$output" "1 received"
	done
	assert_run 0 brig exec -u tester pinger ping -q -c 1 -W 2 192.0.2.1
	assert_run 0 brig run --rm -u tester "$debian" ping -q -c 1 -W 2 "$gateway"
	# And where the file's capability is out of bounds, the socket that needs none is left.
	assert_run 0 brig run --rm -u tester --cap-drop ALL "$debian" perl -MSocket -e '
		socket(my $s, PF_INET, SOCK_DGRAM, 1) or die "$!\n"; print "may"'
	assert_equal "$output" may
}

@test "a program as a user by name, with the groups that it has in the image" {
	configured asuser --config.user tester --config.workingdir /home/tester --config.env GREETING=hello
	assert_run 0 brig run --rm "$image" sh -c 'id -un; id -nG; pwd; echo $GREETING $HOME; touch here && stat -c %U here'
	assert_equal "$output" $'tester\ntester\n/home/tester\nhello /home/tester\ntester'
	assert_run 0 brig run --rm -u www-data "$debian" id
	assert_equal "$output" "uid=33(www-data) gid=33(www-data) groups=33(www-data)"
	assert_run 0 brig run --rm -u backup:audio --group-add sudo "$debian" id -nG
	assert_equal "$output" "audio sudo"
	assert_run 126 brig run --rm -u tester "$debian" /etc/shadow
	assert_run 1 brig run --rm -u tester "$debian" cat /etc/shadow
}

@test "nginx serves on its address, logs, and stops as it wants to" {
	brig run -d --name web "$nginx" >/dev/null
	local address
	address=$(address_of web)
	wait_until 5 curl -fs --max-time 1 "http://$address/"
	assert_run 0 curl -fsS "http://$address/"
	assert_equal "$output" "it works"
	assert_run 22 curl -fsS "http://$address/nothing"
	wait_until 5 sh -c "$BRIG logs web 2>&1 | grep -q 'GET /nothing'"
	assert_run 0 brig logs web
	assert_match "$output" '"GET / HTTP/1.1" 200'
	assert_run 0 brig exec web sh -c 'cat /proc/1/comm; ls -l /proc/1/fd | grep -c socket'
	assert_match "$output" '^nginx'
	# Its workers are somebody else.
	assert_run 0 brig exec web sh -c 'grep -l "^Uid:.33" /proc/[0-9]*/status 2>/dev/null || true'
	assert_match "$output" '/proc/[0-9]+/status'
	run_timed brig stop web
	((elapsed < 3000)) || fail "stopping took $elapsed ms"
	assert_run 0 brig inspect -f '{{.State.ExitCode}}' web
	assert_equal "$output" 0
	assert_run 0 brig start web
	wait_until 5 curl -fs --max-time 1 "http://$(address_of web)/"
	# Its pages from the host.
	mkdir -p "$BRIG_TEST_DIR/pages"
	echo mine >"$BRIG_TEST_DIR/pages/index.html"
	brig run -d --name mine -v "$BRIG_TEST_DIR/pages:/var/www/html:ro" "$nginx" >/dev/null
	wait_until 5 curl -fs --max-time 1 "http://$(address_of mine)/"
	assert_equal "$(curl -fsS "http://$(address_of mine)/")" mine
}

@test "two hundred requests at once, through the bridge, from a container to another" {
	there_starts
	assert_run 0 brig run --rm "$debian" perl -e '
		use IO::Socket::INET; my ($h) = @ARGV; my $good = 0;
		for (1 .. 10) {
			my @s = map { IO::Socket::INET->new(PeerAddr => $h, PeerPort => 80, Timeout => 5) or die "$@\n" } 1 .. 20;
			print $_ "GET / HTTP/1.0\r\n\r\n" for @s;
			for my $s (@s) { local $/; $good++ if <$s> =~ /it works/ }
		}
		print $good' "$(address_of there)"
	assert_equal "$output" 200
}

@test "on a host that drops what it forwards" {
	there_starts
	assert_traffic
	iptables -P FORWARD DROP
	assert_traffic
	iptables -A FORWARD -j REJECT
	assert_traffic
	iptables -D FORWARD -j REJECT
	iptables -P FORWARD ACCEPT
}

@test "beside a running dockerd, before and after its start and its end" {
	command -v dockerd >/dev/null || skip "there is no dockerd"
	there_starts
	assert_traffic
	# Where nobody forwarded yet, docker lets nobody else do it: as if it had come first.
	echo 0 >/proc/sys/net/ipv4/ip_forward
	start_dockerd
	assert_match "$(iptables -S FORWARD)" "-P FORWARD DROP"
	assert_traffic
	# docker's own containers still work too.
	local docker=(docker -H "unix://$BRIG_TEST_DIR/docker/sock")
	tar -C "$(fixture busybox)/tree" -c . | "${docker[@]}" import - busybox >/dev/null
	assert_run 0 "${docker[@]}" run --rm busybox nc -w 5 192.0.2.1 8000
	assert_equal "$output" "hello from outside"
	stop_dockerd
	assert_traffic
	start_dockerd
	assert_traffic
	stop_dockerd
}
