/* idle.c - waiting with next to nothing in memory. */
#include "base/idle.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* OWN: more than idle_poll itself has on the stack. DEEP: as far as anybody went. */
enum { PAGE = 4096, OWN = 512, DEEP = 64 * PAGE };

/* Where the program begins: the linker's own name. */
extern const char __executable_start;

/* System calls without a way through the C library, whose text is somewhere else. */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) long call(long number, long a, long b, long c, long d, long last)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = last;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) long call(long number, long a, long b, long c, long d, long last)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = last;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#else
#define call(number, a, b, c, d, last) idle_call(syscall(number, a, b, c, d, last))
#include <errno.h>
static long idle_call(long result)
{
	return result < 0 ? -errno : result;
}
#endif

void idle_prepare(struct idle *idle)
{
	const ElfW(Phdr) *headers =
		(const void *)(uintptr_t)getauxval(AT_PHDR); /* NOLINT(performance-no-int-to-ptr) */
	size_t count = getauxval(AT_PHNUM);
	uintptr_t bias = 0;

	*idle = (struct idle){0};
	for (size_t i = 0; headers && i < count; i++) {
		if (headers[i].p_type != PT_LOAD)
			continue;
		if (!bias)
			bias = (uintptr_t)&__executable_start - headers[i].p_vaddr;
		if ((headers[i].p_flags & PF_W) || idle->count == IDLE_RANGES)
			continue;
		uintptr_t start = (bias + headers[i].p_vaddr) & ~(uintptr_t)(PAGE - 1);
		idle->ranges[idle->count].start = (void *)start; /* NOLINT(performance-no-int-to-ptr) */
		idle->ranges[idle->count++].length = bias + headers[i].p_vaddr + headers[i].p_memsz - start;
	}
	/* Any advice that differs from the neighbours' does it. */
	madvise((void *)((uintptr_t)idle_poll & ~(uintptr_t)(PAGE - 1)),
		PAGE, /* NOLINT(performance-no-int-to-ptr) */
		MADV_DONTDUMP);
}

__attribute__((noinline, aligned(PAGE))) int idle_poll(
	const struct idle *idle, struct pollfd *polls, size_t count)
{
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - OWN) & ~(uintptr_t)(PAGE - 1);

	/* ENOMEM where the stack has not grown that far: the rest was still given back. */
	call(SYS_madvise, (long)(end - DEEP), DEEP, MADV_DONTNEED, 0, 0);
	for (size_t i = 0; i < idle->count; i++)
		call(SYS_madvise, (long)(uintptr_t)idle->ranges[i].start, (long)idle->ranges[i].length,
			MADV_DONTNEED, 0, 0);
	return (int)call(SYS_ppoll, (long)(uintptr_t)polls, (long)count, 0, 0, 0);
}
