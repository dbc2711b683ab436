#!/usr/bin/env bats
# Called as bocker, shocker or zocker brig is that script: both READMEs' sessions, line by line.
load lib
load containers
load classic

setup() {
	classic_setup
}

@test "help, and every wrong call, shows the commands with their usage" {
	local verb
	for verb in "init <directory>" "pull <name> <tag>" "rm <image_id or container_id>" images ps \
		"run <image_id> <command>" "exec <container_id> <command>" "logs <container_id>" \
		"commit <container_id> <image_id>" help; do
		for dialect in bocker shocker zocker; do
			assert_run 0 $dialect help
			assert_match "$output" $':\n\t'"$dialect $verb"
		done
	done
	assert_run 0 shocker
	assert_match "$output" "shocker pull <name> <tag>"
	assert_run 1 shocker run
	assert_equal "$output" ""
	assert_equal "$errors" $'Create a container:\n\tshocker run <image_id> <command>'
	assert_run 1 shocker frobnicate
	assert_match "$errors" "^brig: unknown command: shocker frobnicate"
	assert_match "$errors" "shocker images"
}

@test "shocker's README: pull, images, run, ps, logs, rm" {
	session_shocker
}

@test "shocker's README: yum install, down to Complete!, commit, and the program is there" {
	session_shocker_yum
}

@test "zocker's README: init to rm" {
	export BRIG_ROOT=$BRIG_TEST_DIR/zocker
	session_zocker
	assert_no_trace
	wait_until 10 store_is_bare
}

@test "shocker's README: the cgroup is seen from inside, and its files stay until rm" {
	need_busybox
	[[ -d /sys/fs/cgroup/memory ]] || skip "this host has cgroup v2"
	assert_run 0 shocker run "$image" cat /proc/1/cgroup
	local ps
	ps=$(newest)
	assert_match "$output" $'\n'"[0-9]+:memory:/(.*/)?$ps"$'(\n|$)'
	assert_match "$output" "[0-9]+:[a-z,]*cpu[a-z,]*:/(.*/)?$ps"$'(\n|$)'
	assert_equal "$(cat "/sys/fs/cgroup/cpu/$ps/cpu.shares")" 512
	assert_equal "$(cat "/sys/fs/cgroup/memory/$ps/memory.limit_in_bytes")" 512000000
	assert_run 0 shocker rm "$ps"
	refute_exists "/sys/fs/cgroup/cpu/$ps"
	refute_exists "/sys/fs/cgroup/memory/$ps"
	SHOCKER_CPU_SHARE=1024 SHOCKER_MEM_LIMIT=1024 assert_run 0 shocker run "$image" cat /proc/1/cgroup
	ps=$(newest)
	assert_equal "$(cat "/sys/fs/cgroup/cpu/$ps/cpu.shares")" 1024
	assert_equal "$(cat "/sys/fs/cgroup/memory/$ps/memory.limit_in_bytes")" 1024000000
	brig rm "$ps" >/dev/null
	refute_exists "/sys/fs/cgroup/memory/$ps"
	ZOCKER_CPU_SHARE=256 ZOCKER_MEM_LIMIT=64 assert_run 0 zocker run "$image" true
	ps=$(newest)
	assert_equal "$(cat "/sys/fs/cgroup/cpu/$ps/cpu.shares")" 256
	assert_equal "$(cat "/sys/fs/cgroup/memory/$ps/memory.limit_in_bytes")" 64000000
	# Its own cgroup, started again.
	assert_run 0 brig start -a "$ps"
	assert_exists "/sys/fs/cgroup/memory/$ps"
	brig_clean
	refute_exists "/sys/fs/cgroup/memory/$ps"
}

# has NAME WEIGHT BYTES: the limits in a container's cgroup on version 2.
has() {
	assert_equal "$(cat "/sys/fs/cgroup/$1/cpu.weight")" "$2"
	assert_equal "$(cat "/sys/fs/cgroup/$1/memory.max")" "$3"
}

@test "shocker's README on cgroup v2: the same in its terms" {
	need_busybox
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || skip "this host has cgroup v1"
	assert_run 0 shocker run "$image" cat /proc/1/cgroup
	local ps
	ps=$(newest)
	assert_equal "$output" "0::/$ps"
	# The command has ended: nobody is in the group, and its counters can be read.
	has "$ps" 59 512000000
	assert_equal "$(cat "/sys/fs/cgroup/$ps/cgroup.procs")" ""
	assert_match "$(cat "/sys/fs/cgroup/$ps/cpu.stat")" '^usage_usec [1-9]'
	assert_match "$(cat "/sys/fs/cgroup/$ps/memory.current")" '^[0-9]+$'
	assert_run 0 shocker rm "$ps"
	refute_exists "/sys/fs/cgroup/$ps"
	# By environment: both, one alone, and the ends of the range.
	SHOCKER_CPU_SHARE=1024 SHOCKER_MEM_LIMIT=1024 assert_run 0 shocker run "$image" true
	has "$(newest)" 100 1024000000
	SHOCKER_CPU_SHARE=2 assert_run 0 shocker run "$image" true
	has "$(newest)" 1 512000000
	BOCKER_CPU_SHARE=262144 assert_run 0 bocker run "$image" true
	has "$(newest)" 10000 512000000
	ZOCKER_CPU_SHARE=256 ZOCKER_MEM_LIMIT=64 assert_run 0 zocker run "$image" true
	ps=$(newest)
	has "$ps" 35 64000000
	# Its own cgroup, started again.
	assert_run 0 brig start -a "$ps"
	has "$ps" 35 64000000
	brig_clean
	refute_exists "/sys/fs/cgroup/$ps"
}

@test "limits that are no numbers are named" {
	need_busybox
	local bad
	for bad in CPU_SHARE=many CPU_SHARE=1 MEM_LIMIT=5 MEM_LIMIT=12x MEM_LIMIT=99999999999999; do
		assert_run 1 env "SHOCKER_$bad" "$links/shocker" run "$image" true
		assert_one_error "SHOCKER_${bad%%=*} is \"${bad#*=}\", and has to be a number from"
	done
	assert_silent brig ps -aq
}

@test "bocker's tables have two tabs" {
	need_busybox
	assert_run 0 bocker images
	assert_match "$output" $'^IMAGE_ID\t\tSOURCE\n'
	assert_match "$output" $'\n'"$image"$'\t\t'"$(fixture busybox)/tree"
	assert_run 0 bocker run "$image" echo "two  blanks" and one
	# The words are joined, and a shell takes them apart.
	assert_equal "$output" "two blanks and one"
	assert_run 0 bocker ps
	assert_equal "$output" $'CONTAINER_ID\t\tCOMMAND\n'"$(newest)"$'\t\techo two  blanks and one'
	brig_clean
}

@test "whatever the command does, run ends with 0 and the container is kept" {
	need_busybox
	assert_run 0 shocker run "$image" "echo out; echo err >&2; echo again; exit 3"
	assert_equal "$output" $'out\nerr\nagain'
	assert_equal "$errors" ""
	assert_equal "$(brig ps -a --format '{{.Status}}' | cut -d' ' -f1-2)" "Exited (3)"
	assert_run 0 shocker logs "$(newest)"
	assert_equal "$output" $'out\nerr\nagain'
	assert_run 0 shocker run "$image" no-such-program
	assert_match "$output" "no-such-program: not found"
	assert_equal "$(echo in | shocker run "$image" cat)" in
	brig_clean
}

@test "the caller's PATH and TERM are the container's, nothing else of his" {
	need_busybox
	SECRET=x TERM=vt52 PATH=$PATH:/somewhere assert_run 0 shocker run "$image" env
	assert_match "$output" $'(^|\n)TERM=vt52(\n|$)'
	assert_match "$output" $':/somewhere(\n|$)'
	refute_match "$output" SECRET
	brig_clean
}

@test "docker's fourteen capabilities, a device can be made, the network is bridge0" {
	need_busybox
	assert_run 0 shocker run "$image" "grep CapEff /proc/self/status; mknod /dev/x c 1 3 && echo made; \
		ip -o -4 address; ip route"
	assert_match "$output" "00000000a80425fb"
	assert_match "$output" $'\nmade\n'
	local ps
	ps=$(newest)
	assert_match "$output" "veth1_$ps +inet 10\.0\.0\.[0-9]+/24"
	assert_match "$output" "default via 10.0.0.1 dev veth1_$ps"
	assert_match "$(ip -o -4 address show dev bridge0)" "10\.0\.0\.1/24"
	brig_clean
}

@test "bridge0 that is there is used, and its owner's firewall left as it is" {
	need_busybox
	ip link delete bridge0 2>/dev/null || true
	nft flush ruleset
	ip link add bridge0 type bridge
	ip address add 10.7.0.1/24 dev bridge0
	ip link set bridge0 up
	echo 1 >/proc/sys/net/ipv4/ip_forward
	nft -f - <<-'END'
		table ip mine {
			chain forward {
				type filter hook forward priority 0; policy drop;
				iifname "bridge0" accept
			}
		}
	END
	local before
	before=$(nft list ruleset)
	assert_run 0 shocker run "$image" "ip -o -4 address; ping -c 1 -W 2 10.7.0.1"
	assert_equal "$errors" ""
	assert_match "$output" "inet 10\.7\.0\.[0-9]+/24"
	assert_match "$output" "1 packets received"
	assert_equal "$(nft list ruleset)" "$before"
	brig_clean
	ip link delete bridge0
	nft flush ruleset
	# Without one it is made.
	assert_run 0 shocker run "$image" "ip -o -4 address"
	assert_match "$output" "inet 10\.0\.0\.[0-9]+/24"
	brig_clean
}

@test "bridge0 is not laid over a network that the host is in" {
	need_busybox
	ip link delete bridge0 2>/dev/null || true
	ip link add lan0 type bridge
	ip address add 10.0.0.77/16 dev lan0
	ip link set lan0 up
	assert_run 1 shocker run "$image" true
	assert_one_error "the network 10.0.0.0/24 of the bridge bridge0 is in use"
	ip link delete lan0
	assert_run 0 shocker run "$image" true
	brig_clean
}

@test "no program is needed" {
	tree_copy bare
	rm -rf "$tree/tmp" "$tree/var/tmp"
	ip link delete bridge0 2>/dev/null || true
	assert_run 0 shocker_alone init "$tree"
	local img=${output#Created: }
	# Nor a /tmp.
	assert_run 0 shocker run "$img" "ls -d /tmp || echo none"
	assert_match "$output" none
	ip link delete bridge0
	# The shell's own words: the container has our PATH.
	assert_run 0 shocker_alone run "$img" "echo alone"
	assert_equal "$output" alone
	assert_run 0 shocker_alone ps
	assert_run 0 shocker_alone logs "$(newest)"
	assert_equal "$output" alone
	assert_run 0 shocker_alone rm "$(newest)"
	assert_run 0 shocker_alone images
	brig_clean
	assert_run 0 shocker_alone rm "$img"
}

@test "what is not there, and what does not run" {
	need_busybox
	assert_run 1 shocker logs ps_1
	assert_equal "$output" "No container named 'ps_1' exists"
	assert_run 1 shocker rm ps_1
	assert_equal "$output" "No container named 'ps_1' exists"
	assert_run 1 shocker rm img_1
	assert_equal "$output" "No container named 'img_1' exists"
	assert_run 1 shocker exec ps_1 true
	assert_equal "$output" "No container named 'ps_1' exists"
	assert_run 1 shocker commit ps_1 img_1
	assert_equal "$output" "No container named 'ps_1' exists"
	assert_run 1 shocker run img_1 true
	assert_equal "$output" "No image named 'img_1' exists"
	assert_run 1 shocker init /no/such/folder
	assert_equal "$output" "No directory named '/no/such/folder' exists"
	shocker run "$image" true
	assert_run 1 shocker commit "$(newest)" img_1
	assert_equal "$output" "No image named 'img_1' exists"
	assert_run 0 shocker commit "$(newest)" mine
	assert_equal "$output" "Created: mine"
	assert_run 0 shocker commit "$(newest)" mine
	assert_equal "$output" $'Removed: mine\nCreated: mine'
	assert_match "$(shocker images)" "mine:latest"
	brig rmi mine >/dev/null
	assert_run 1 shocker exec "$(newest)" true
	assert_equal "$output" "Container '$(newest)' exists but is not running"
	brig_clean
}

@test "exec in one that runs; rm of it" {
	need_busybox
	shocker run "$image" "echo up; sleep 1000" >"$BRIG_TEST_DIR/running" 2>&1 3>&- &
	wait_until 10 file_has "$BRIG_TEST_DIR/running" up
	local ps
	ps=$(newest)
	assert_run 0 shocker exec "$ps" cat /proc/1/cgroup
	assert_match "$output" "$ps"
	assert_run 7 shocker exec "$ps" sh -c 'exit 7'
	assert_run 0 shocker rm "$ps"
	assert_equal "$output" "Removed: $ps"
	wait $!
	[[ -z $(find /sys/fs/cgroup -maxdepth 2 -name "$ps") ]] || fail "its cgroup is left"
	assert_no_trace
}

@test "brig's own commands in the scripts' words" {
	need_centos
	assert_run 0 brig pull centos 7
	assert_equal "$(tail -n 1 <<<"$output")" docker.io/library/centos:7
	tree_copy own
	echo own >"$tree/own"
	assert_run 0 brig init "$tree"
	local img=${output#Created: }
	assert_match "$img" '^img_[0-9]{5}$'
	assert_run 0 brig run "$img" cat /own
	assert_equal "$output" own
	assert_run 0 brig rm "$(newest)"
	# Only by its serial is an image rm's affair.
	assert_run 1 brig rm centos:7
	assert_one_error "No such container: centos:7"
	assert_run 0 brig rm -f centos
	assert_match "$(brig images)" centos
	assert_run 0 brig rm "$img"
	refute_match "$(brig images)" "$img"
	assert_run 1 brig rm "$img"
	assert_one_error "No such image: $img"
	assert_run 1 brig rm ps_12345
	assert_one_error "No such container: ps_12345"
	assert_run 0 brig rm -f ps_12345
	need_busybox
	assert_run 0 brig run --rm --network bridge0 "$image" "/bin/sh" -c "ip -o -4 address show dev eth0"
	assert_match "$output" "inet 10\.0\.0\."
}

# The numbers that this store has given out, be it to a container that nobody can see.
numbers() {
	grep -aoE 'ps_[0-9]{5,6}' "$BRIG_ROOT/containers/index" | sort -u
}

@test "kill -9 anywhere in run and rm: the next command finds it sound, and no cgroup is left" {
	need_busybox
	local killat=$BRIG_TEST_DIR/killat total n verb name step
	gcc -O1 -o "$killat" "$BRIG_TEST_TOP/tests/tools/killat.c"
	for verb in run rm; do
		for ((n = 0; n == 0 || n <= total; n += n ? step : 1)); do
			local words=(run "$image" true)
			if [[ $verb == rm ]]; then
				shocker run "$image" true
				words=(rm "$(newest)")
			fi
			timeout 20 "$killat" $( ((n % 2)) || echo -a) -x busybox "$n" "$links/shocker" "${words[@]}" \
				>/dev/null 2>&1 9>"$BRIG_TEST_DIR/hit" 3>&- </dev/null || (($? != 124)) || fail "hangs at $n"
			if ((n == 0)); then
				total=$(cut -d' ' -f1 "$BRIG_TEST_DIR/hit")
				step=$((${CRASH_POINTS:-20} ? total / ${CRASH_POINTS:-20} + 1 : 1))
			fi
			local given
			given=$(numbers)
			assert_run 0 shocker ps
			assert_run 0 shocker run "$image" echo on
			assert_equal "$output" on "after a kill at $n of $total in $verb"
			given+=" $(numbers)"
			for name in $(shocker ps | sed -n '2,$s/ .*//p'); do
				assert_run 0 shocker rm "$name"
			done
			for name in $given; do
				[[ -z $(find /sys/fs/cgroup -maxdepth 2 -name "$name") ]] ||
					fail "the cgroup $name is left after a kill at $n of $total in $verb: $(cat "$BRIG_TEST_DIR/hit")"
			done
		done
		echo "# $total points, every $step: $verb" >&3
	done
	assert_no_trace
}
