#!/usr/bin/env bats
# kill -9 anywhere: the next command finds the store sound, and what is removed leaves nothing.
#
# Each story is run with one of its processes, or all of them, killed at its Nth system call
# that changes something (tests/tools/killat.c), for CRASH_POINTS (26) of the N there are,
# from the first to the last, and for every one of a story not twice as long. CRASH_POINTS=0 takes every one
# of all, and both ways at each: some thousands of kills, which is an hour.
load lib
load containers
load liar

points=${CRASH_POINTS:-26}
short=$((points * 2))

setup_file() {
	gcc -O1 -o "$BRIG_TEST_DIR/killat" "$BRIG_TEST_TOP/tests/tools/killat.c"
	local tree=$BRIG_TEST_DIR/tiny
	mkdir -p "$tree"/{bin,etc,dev,proc,sys,tmp}
	cp "$(fixture busybox)/tree/bin/busybox" "$tree/bin"
	ln -s busybox "$tree/bin/sh"
	ln -s busybox "$tree/bin/true"
	ln -s busybox "$tree/bin/sleep"
	echo root:x:0:0::/:/bin/sh >"$tree/etc/passwd"
	python3 "$BRIG_TEST_TOP/tests/e2e/archives.py" docker "$BRIG_TEST_DIR/docker.tar"
	python3 "$BRIG_TEST_TOP/tests/e2e/archives.py" oci_gzip "$BRIG_TEST_DIR/oci.tar"
}

# The tiny image, as $image.
need_tiny() {
	image=$(brig images -q tiny:1)
	[[ -z $image ]] || return 0
	image=$(brig init "$BRIG_TEST_DIR/tiny" | sed 's/Created: //')
	brig tag "$image" tiny:1
	image=tiny:1
}

teardown() {
	[[ -n ${BATS_TEST_COMPLETED:-} || -z ${where:-} ]] || printf '%s\n' "$where" "-- it had said --" "$(cat "$BRIG_TEST_DIR/out")"
	brig_clean
	[[ -n ${BATS_TEST_COMPLETED:-} ]] && return
	# The next test starts anew.
	local pid
	for pid in $(pgrep -x 'brig|brig-net') $(pgrep -f '^sleep 54321'); do
		kill -9 "$pid" 2>/dev/null || true
	done
	fresh_store
	rm -rf --one-file-system "$BRIG_RUN_ROOT"
}

no_payload() {
	! pgrep -f '^sleep 54321'
}
settled() {
	! pgrep -x 'brig-net|brig-unpack|brig-index|brig-tidy' >/dev/null
}
# Commands that look do so without a complaint.
assert_readable() {
	assert_run 0 brig ps -a --no-trunc -q
	assert_equal "$errors" ""
	ids+=" $output"
	assert_run 0 brig images
	assert_equal "$errors" ""
	assert_run 0 brig info
}
# Everything can be removed, and then nothing is there.
assert_removable() {
	local all kind
	all=$(brig ps -a -q)
	# shellcheck disable=SC2086
	[[ -z $all ]] || assert_run 0 brig rm -f $all
	# The youngest first: what was committed on others goes before those.
	all=$(brig images -q)
	# shellcheck disable=SC2086
	[[ -z $all ]] || assert_run 0 brig rmi -f $(awk '!seen[$0]++' <<<"$all")
	assert_equal "$errors" ""
	assert_run 0 brig volume prune -af
	assert_equal "$(ls "$BRIG_ROOT/volumes")" "" "volumes are left"
	# shellcheck disable=SC2086
	assert_no_trace $(printf '%s\n' $ids | sort -u)
	wait_until 5 no_payload
	for kind in layers blobs/sha256 tmp; do
		assert_equal "$(ls -A "$BRIG_ROOT/$kind" 2>/dev/null)" "" "$kind is not empty"
	done
	assert_equal "$(ls -A "$BRIG_ROOT/images" | tr '\n' ' ')" "lock names "
	assert_equal "$(wc -l <"$BRIG_ROOT/images/names")" 1
}

# crash_at N MODE COMMAND …: $hit is where it was hit, $status how the first process ended.
crash_at() {
	local n=$1 mode=$2
	shift 3 # brig itself, not the function
	status=0
	timeout 20 "$BRIG_TEST_DIR/killat" $mode -x brig-unpack -x brig-index -x brig-tidy -x busybox "$n" "$BRIG" "$@" \
		>"$BRIG_TEST_DIR/out" 2>&1 9>"$BRIG_TEST_DIR/hit" 3>&- </dev/null || status=$?
	hit=$(cat "$BRIG_TEST_DIR/hit")
	((status != 124)) || fail "hangs, hit at $hit"
	ids+=" $(cd "$BRIG_ROOT/containers" 2>/dev/null && find . -mindepth 1 -type d -prune -printf '%f ')"
}

# story PREPARE AFTER COMMAND …: the command is killed at each point, after PREPARE; then AFTER checks it.
story() {
	local prepare=$1 after=$2 total n=0 step i=0 mode modes=("" -a)
	shift 2
	ids=
	$prepare
	crash_at 0 "" "$@"
	assert_equal "$status" 0 "unharmed: $(cat "$BRIG_TEST_DIR/out")"
	total=${hit%% *}
	assert_removable
	step=$((points && total > short ? (total + points - 1) / points : 1))
	for ((n = 1; n <= total; n += step, i++)); do
		for mode in "" -a; do
			# One way or the other in turn, unless every point is wanted.
			((points == 0)) || [[ $mode == "${modes[i % 2]}" ]] || continue
			ids=
			$prepare
			crash_at $n "$mode" "$@"
			# Not `|| fail`: there a failed assertion would not end a function.
			where="after a kill of ${mode:+all at }call $n of $total ($hit): $*"
			wait_until 10 settled
			assert_readable
			$after "$@"
			assert_removable
			where=
		done
	done
	echo "# $total points, every $step: $*" >&3
}
nothing() { :; }
again() {
	assert_run 0 "$@"
}

@test "init" {
	story nothing again brig init "$BRIG_TEST_DIR/tiny"
}

@test "pull" {
	start_liar
	pulled() {
		again "$@"
		assert_no_staging
		assert_blobs_sound
		assert_equal "$(find "$BRIG_ROOT/layers" -name hello -exec cat {} +)" hello
	}
	story nothing pulled brig pull -q "$liar/good"
}

@test "load" {
	loaded() {
		again "$@"
		assert_no_staging
		assert_blobs_sound
		assert_equal "$(find "$BRIG_ROOT/layers" -name hello -exec cat {} +)" hello
	}
	story nothing loaded brig load -i "$BRIG_TEST_DIR/docker.tar"
	story nothing loaded brig load -i "$BRIG_TEST_DIR/oci.tar"
}

@test "run --rm on the bridge" {
	ran() {
		assert_run 0 brig run --rm tiny:1 sh -c 'echo works'
		assert_equal "$output" works
	}
	story need_tiny ran brig run --rm tiny:1 sh -c 'echo x >/file'
}

@test "run without a network, with a name" {
	named() {
		assert_run 0 brig ps -a -q
		# The name is free, or the container is there whole.
		if [[ -n $(brig ps -a -q -f name=crashed) ]]; then
			assert_run 0 brig inspect crashed
			assert_run 0 brig rm -f crashed
		fi
		assert_run 0 brig run --network none --name crashed tiny:1 true
		assert_run 0 brig start -a crashed
	}
	story need_tiny named brig run --network none --name crashed tiny:1 true
}

@test "run -d" {
	detached() {
		if [[ -n $(brig ps -q -f name=crashed) ]]; then
			assert_run 0 brig exec crashed true
			assert_run 0 brig stop -t 0 crashed
		fi
		[[ -z $(brig ps -a -q -f name=crashed) ]] || assert_run 0 brig rm -f crashed
		assert_run 0 brig run -d --name crashed tiny:1 sleep 54321
	}
	story need_tiny detached brig run -d --name crashed tiny:1 sleep 54321
}

@test "start, stop and rm" {
	stopped() {
		need_tiny
		brig create --name crashed tiny:1 sleep 54321 >/dev/null
	}
	running() {
		need_tiny
		brig run -d --name crashed tiny:1 sleep 54321 >/dev/null
	}
	whole() {
		assert_run 0 brig inspect crashed
		assert_run 0 brig rm -f crashed
	}
	gone() {
		[[ -z $(brig ps -a -q -f name=crashed) ]] || whole
		assert_run 0 brig run --rm --name crashed tiny:1 true
	}
	story stopped whole brig start crashed
	story running whole brig stop -t 0 crashed
	story running gone brig rm -f crashed
	story stopped gone brig rm crashed
}

@test "rmi" {
	two() {
		need_tiny
		brig load -q -i "$BRIG_TEST_DIR/oci.tar" >/dev/null
		brig load -q -i "$BRIG_TEST_DIR/docker.tar" >/dev/null
	}
	removed() {
		assert_run 0 brig run --rm --network none tiny:1 true
		[[ -z $(brig images -q example.com/hand:3) ]] || assert_run 0 brig rmi -f example.com/hand:3
	}
	story two removed brig rmi -f example.com/hand:3
	story need_tiny need_tiny brig rmi -f tiny:1
}

with_something() {
	need_tiny
	brig run --network none --name crashed tiny:1 sh -c 'echo kept >/kept' >/dev/null
}
# What the container wrote is there, and the image is whole or not there.
kept() {
	assert_run 0 brig diff crashed
	assert_equal "$output" "A /kept"
	if [[ -n $(brig images -q made:1) ]]; then
		assert_run 0 brig run --rm --network none made:1 sh -c 'read -r word </kept; echo "$word"'
		assert_equal "$output" kept
	fi
	assert_run 0 brig start -a crashed
	assert_run 0 brig commit crashed made:1
	assert_run 0 brig run --rm --network none made:1 sh -c 'read -r word </kept; echo "$word"'
	assert_equal "$output" kept
	wait_until 5 settled
}
committed_before() {
	with_something
	brig commit crashed made:1 >/dev/null
	brig start -a crashed
	wait_until 5 settled
}
writing() {
	need_tiny
	brig run -d --name crashed tiny:1 sh -c 'echo kept >/kept; exec sleep 54321' >/dev/null
	wait_until 5 brig exec crashed sh -c 'read -r word </kept'
}
runs_on() {
	assert_run 0 timeout 10 "$BRIG" exec crashed true
	[[ -z $(brig images -q made:1) ]] || assert_run 0 brig run --rm --network none made:1 true
	assert_run 0 brig commit crashed made:1
	assert_run 0 brig run --rm --network none made:1 sh -c 'read -r word </kept; echo "$word"'
	assert_equal "$output" kept
	assert_run 0 brig stop -t 0 crashed
	wait_until 5 settled
}

@test "commit of a stopped container" {
	story with_something kept brig commit crashed made:1
}

@test "commit of one that was committed before" {
	story committed_before kept brig commit crashed made:1
}

@test "commit of a running container" {
	story writing runs_on brig commit crashed made:1
}

@test "volume create, rm and prune" {
	volume() {
		brig volume create --label a=b crashed >/dev/null
		seq 3 | while read -r i; do echo "$i" >"$BRIG_ROOT/volumes/crashed/_data/$i"; done
	}
	# It is there with all that it has, or not at all.
	all_or_nothing() {
		if [[ -n $(brig volume ls -q) ]]; then
			assert_run 0 brig volume inspect -f '{{json .Labels}}' crashed
			assert_equal "$output" '{"a":"b"}'
			[[ ${3:-} == create ]] || assert_equal "$(ls "$BRIG_ROOT/volumes/crashed/_data" | tr '\n' ' ')" "1 2 3 "
		fi
		again "$@"
	}
	removed() {
		all_or_nothing true
		assert_run 0 brig volume rm -f crashed
		assert_silent brig volume ls -q
	}
	story need_tiny all_or_nothing brig volume create --label a=b crashed
	story volume removed brig volume rm crashed
	story volume removed brig volume prune -af
}

# The tiny image with a folder that fills a volume.
need_seeded() {
	mkdir -p "$BRIG_TEST_DIR/tiny/seed"
	seq 4 | while read -r i; do echo "$i" >"$BRIG_TEST_DIR/tiny/seed/$i"; done
	[[ -e $BRIG_TEST_DIR/seeded ]] || brig rmi -f tiny:1 >/dev/null 2>&1 || true
	touch "$BRIG_TEST_DIR/seeded"
	need_tiny
}
# All of it, whoever was killed at it; and no other volume is left.
filled() {
	assert_run 0 brig run --rm --network none -v crashed:/seed -v /other tiny:1 sh -c 'cd /seed; for i in *; do read -r x <$i; echo $x; done'
	assert_equal "$output" $'1\n2\n3\n4'
	assert_equal "$(brig volume ls -q)" crashed
}
without_anonymous() {
	if [[ -n $(brig ps -a -q -f name=crashed) ]]; then
		assert_run 0 brig start -a crashed
		assert_run 0 brig rm -v crashed
	fi
	filled
}

@test "run --rm with a volume that is filled and one that goes" {
	story need_seeded filled brig run --rm --network none -v /anon -v crashed:/seed tiny:1 true
}

@test "create with a volume that is filled and one that goes" {
	story need_seeded without_anonymous brig create --network none --name crashed -v /anon -v crashed:/seed tiny:1 true
}

@test "rm -v" {
	stopped_one() {
		need_seeded
		brig create --network none --name crashed -v /anon -v crashed:/seed tiny:1 true >/dev/null
	}
	story stopped_one without_anonymous brig rm -v crashed
}

@test "a container whose configuration is damaged keeps its layers" {
	need_tiny
	brig create --name damaged tiny:1 true >/dev/null
	echo garbage >"$BRIG_ROOT/containers/$(brig ps -a -q --no-trunc)/config.json"
	assert_run 0 brig rmi -f tiny:1
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 1
	# With the container its layers go, which no image names any more.
	assert_run 0 brig rm -f damaged
	assert_removable
	need_tiny
	brig create --name last tiny:1 true >/dev/null
	assert_run 0 brig rmi -f tiny:1
	assert_run 0 brig start -a last
	assert_run 0 brig rm last
	assert_removable
}

@test "what is on its way out is not listed" {
	local i
	need_tiny
	for i in $(seq 20); do
		assert_run 0 brig run --rm tiny:1 sh -c 'echo ran'
		assert_equal "$output" ran
		assert_run 0 brig ps -a -q
		assert_equal "$output" ""
	done
}

@test "an index of containers that could not be begun is begun anew" {
	need_tiny
	rm -f "$BRIG_ROOT/containers/index"
	assert_run 1 strace -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=ENOSPC:when=1 \
		"$BRIG" create --name first tiny:1 true
	assert_one_error "cannot write the index of containers: No space left"
	assert_run 0 brig ps -a
	assert_run 0 brig create --name first tiny:1 true
	assert_run 0 brig rm first
}
