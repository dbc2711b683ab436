#!/usr/bin/env bats
# diff: what a container changed.
load lib
load containers

setup() {
	tree_copy diff
	mkdir -p "$tree/data/old/deep"
	echo one >"$tree/data/one"
	echo two >"$tree/data/old/deep/two"
	image_of "$tree"
}
teardown() {
	brig_clean
}

@test "added, changed and deleted, folders before what is in them" {
	start_container work sh -c '
		echo 1 >/new; mkdir /dir; echo 2 >/dir/file; echo more >>/data/one
		rm /data/old/deep/two; chmod 700 /data/old; ln -s x /link; sleep 1000'
	wait_until 5 brig exec work test -L /link
	assert_run 0 brig diff work
	local expected=$'C /data\nC /data/old\nC /data/old/deep\nD /data/old/deep/two\nC /data/one\nA /dir\nA /dir/file\nA /link\nA /new'
	assert_equal "$output" "$expected"
	brig stop -t 0 work >/dev/null
	assert_run 0 brig container diff work
	assert_equal "$output" "$expected"
}

@test "what is the same again is no change" {
	brig run --network none --name work "$image" sh -ec '
		cp -p /data/one /x; mv /x /data/one; mkdir /data/t; rmdir /data/t; touch /gone; rm /gone'
	assert_run 0 brig diff work
	assert_equal "$output" ""
	brig create --network none --name fresh "$image" true >/dev/null
	assert_run 0 brig diff fresh
	assert_equal "$output" ""
}

@test "a folder that was made anew, and files that became folders" {
	brig run --network none --name work "$image" sh -c '
		rm -r /data/old; mkdir /data/old; echo x >/data/old/x
		rm /data/one; mkdir /data/one; echo y >/data/one/y'
	assert_run 0 brig diff work
	assert_equal "$output" $'C /data\nC /data/old\nD /data/old/deep\nA /data/old/x\nC /data/one\nA /data/one/y'
}

@test "one that is not there" {
	assert_run 1 brig diff nosuch
	assert_one_error 'No such container: nosuch'
	assert_run 1 brig diff
}
