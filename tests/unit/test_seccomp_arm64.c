/* test_seccomp_arm64.c - test_seccomp.c for arm64 and arm. */
#define SECCOMP_TARGET_ARM64 1

#include "test_seccomp.c"
