#!/usr/bin/env bats
# The first story: an image from a folder, containers from it, and nothing left.
load lib

setup() {
	need_busybox
}
teardown() {
	brig_clean
}

@test "init makes an image from a folder and says its serial name" {
	assert_run 0 brig init "$(fixture busybox)/tree"
	assert_match "$output" '^Created: img_[0-9]{5,6}$'
	assert_run 0 brig images
	assert_match "$output" '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE'
	assert_match "$output" 'img_[0-9]{5}'
}

@test "init of what is no folder is one error" {
	assert_run 1 brig init /nowhere/at/all
	assert_one_error nowhere
}

@test "run gives the command's own status" {
	assert_run 0 brig run --rm "$image" true
	assert_run 1 brig run --rm "$image" false
	assert_run 7 brig run --rm "$image" sh -c 'exit 7'
	# Not the shell itself: a first process is deaf to signals from its own namespace.
	assert_run 137 brig run --rm "$image" sh -c 'sh -c "kill -9 \$\$"; exit $?'
	assert_nothing_left
}

@test "run keeps both streams apart and passes input" {
	assert_run 0 brig run --rm "$image" sh -c 'echo out; echo err >&2'
	assert_equal "$output" out
	assert_equal "$errors" err
	assert_equal "$(printf 'a\nb\n' | brig run --rm -i "$image" cat)" $'a\nb'
}

@test "a command that is not there is 127, one that cannot run 126" {
	assert_run 127 brig run --rm "$image" no-such-command
	assert_one_error no-such-command
	assert_run 126 brig run --rm "$image" /etc/passwd
	assert_one_error /etc/passwd
	assert_nothing_left
}

@test "an image that is not there is 125, and so is a wrong flag" {
	assert_run 125 brig run --rm --pull never img_00000 true
	assert_one_error img_00000
	assert_run 125 brig run --no-such-flag "$image" true
	assert_one_error no-such-flag
}

@test "ps -a shows what has ended, rm removes it" {
	assert_run 0 brig run --name first "$image" true
	assert_run 0 brig ps
	refute_match "$output" first
	assert_run 0 brig ps -a
	assert_match "$output" '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES'
	assert_match "$output" 'Exited \(0\).*first'
	assert_run 125 brig run --name first "$image" true
	assert_one_error first
	assert_run 0 brig rm first
	assert_equal "$output" first
	assert_run 1 brig rm first
	assert_one_error first
	assert_nothing_left
}

@test "a container is a world of its own" {
	assert_run 0 brig run --rm "$image" sh -c 'echo $$; hostname; ls /proc | grep -c "^[0-9]"'
	assert_equal "$(sed -n 1p <<<"$output")" 1
	refute_match "$output" "$(hostname)"
	assert_run 0 brig run --rm "$image" sh -c 'echo changed >/etc/marker; cat /etc/marker'
	assert_run 1 brig run --rm "$image" cat /etc/marker
	refute_exists "$(fixture busybox)/tree/etc/marker"
}
