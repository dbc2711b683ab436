/*
 * unit.h - what every unit test includes: cmocka with the headers it forgets to.
 *
 * Tests are tables of rows. A row that fails names itself: unit_row() prints where the
 * table stands before a check that would otherwise only say "0 != 1".
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define unit_count(array) (sizeof(array) / sizeof((array)[0]))

/* Says which row is checked; shown only where the test fails. */
#define unit_row(...) print_message(__VA_ARGS__)

#endif
