# The front door; meson.build does the work.
build/brig: FORCE
	@test -f build/build.ninja || log=$$(meson setup build 2>&1) || { echo "$$log" >&2; exit 1; }
	@ninja -C build --quiet

install: build/brig
	meson install -C build --no-rebuild --tags runtime,man

# Links named bocker, shocker and zocker beside it: man/brig-classic.7.
install-classic: install
	meson install -C build --no-rebuild --tags classic

check:
	tests/check

demo:
	tests/demo

bench: build/brig
	bench/run

clean:
	rm -rf build build-asan

FORCE:
.PHONY: install install-classic check demo bench clean FORCE
