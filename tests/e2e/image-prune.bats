#!/usr/bin/env bats
# image prune: images that nobody needs.
load lib
load containers

setup() {
	brig_clean
	brig image prune -af >/dev/null
	tree_copy prune
	head -c 100000 /dev/urandom >"$tree/data"
	image_of "$tree"
	base=$image
}
teardown() {
	brig_clean
}
ids() {
	brig images -a -q --no-trunc | sort -u
}
# commit_of CHANGE NAME: the id of a new image on the base.
commit_of() {
	brig run --network none --name work "$base" sh -c "echo $1 >/file" >/dev/null
	brig commit -c "LABEL made=$1" work ${2:+"$2"}
	brig rm work >/dev/null
}

@test "what lost its name goes; what is used, named, or known by its number stays" {
	local old nameless named used
	old=$(commit_of 1 moving:1)
	named=$(commit_of 2 moving:1)
	nameless=$(commit_of 3)
	used=$(commit_of 4)
	brig create --network none "$used" true >/dev/null
	assert_run 0 brig image prune -f
	assert_equal "$errors" ""
	assert_equal "$(sed -n 1p <<<"$output")" "Deleted Images:"
	assert_equal "$(grep -c '^deleted: ' <<<"$output")" 4 # two images with a layer each
	assert_match "$output" "deleted: $old"
	assert_match "$output" "deleted: $nameless"
	assert_equal "$(tail -n 2 <<<"$output")" $'\nTotal reclaimed space: 4B'
	assert_equal "$(ids)" "$(printf '%s\n' "$named" "$used" "$(brig image inspect -f '{{.Id}}' "$base")" | sort)"
	# Again there is nothing to do.
	assert_run 0 brig image prune -f
	assert_equal "$output" "Total reclaimed space: 0B"
	# With -a all that no container was made from; what another was committed on stays for that.
	assert_run 0 brig image prune -af
	assert_match "$output" "untagged: moving:1"
	assert_match "$output" "deleted: $named"
	assert_equal "$(ids)" "$(printf '%s\n' "$used" "$(brig image inspect -f '{{.Id}}' "$base")" | sort)"
	brig_clean
	assert_run 0 brig image prune --all --force
	assert_equal "$(ids)" ""
	assert_match "$output" "Total reclaimed space: [0-9.]+MB"
	assert_equal "$(ls -A "$BRIG_ROOT/layers" "$BRIG_ROOT/blobs/sha256" | grep -v : | grep -c .)" 0
}

@test "filters" {
	local one two
	one=$(commit_of 1 a:1)
	two=$(commit_of 2 a:2)
	assert_run 0 brig image prune -af --filter until=24h
	assert_equal "$output" "Total reclaimed space: 0B"
	assert_run 0 brig image prune -af --filter label=made=9
	assert_equal "$output" "Total reclaimed space: 0B"
	assert_run 0 brig image prune -af --filter label=made=1
	assert_match "$output" "untagged: a:1"
	refute_match "$output" "a:2"
	assert_run 0 brig image prune -f --filter dangling=false --filter 'label!=made'
	refute_match "$output" "a:2"
	assert_run 0 brig image inspect "$two"
	# The base has no label, but a:2 stands on it.
	assert_run 0 brig image inspect "$base"
	assert_run 0 brig image prune -f --filter dangling=false --filter until=0s
	assert_equal "$(ids)" ""
	assert_run 1 brig image prune -f --filter bogus=1
	assert_one_error "invalid filter 'bogus'"
	assert_run 1 brig image prune -f --filter until=never
	assert_one_error "until=never"
	assert_run 1 brig image prune -f --filter dangling=maybe
	assert_one_error "dangling=maybe"
	assert_run 1 brig image prune -f x
}

@test "it asks first" {
	commit_of 1 a:1 >/dev/null
	local answer
	for answer in n "" no; do
		assert_run 0 sh -c "echo $answer | '$BRIG' image prune -a"
		assert_equal "$output" "WARNING! This will remove all images without at least one container associated to them."$'\n'"Are you sure you want to continue? [y/N] "
	done
	assert_run 0 brig image inspect a:1
	assert_run 0 sh -c "echo y | '$BRIG' image prune"
	assert_match "$output" "remove all dangling images"
	assert_run 0 brig image inspect a:1
	assert_run 0 sh -c "echo y | '$BRIG' image prune -a"
	assert_match "$output" "untagged: a:1"
	assert_run 1 brig image inspect a:1
}
