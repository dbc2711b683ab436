/* main.c - finds the verb, prints the one error, gives the exit status. */
#include <stdio.h>

int main(void)
{
	puts(BRIG_VERSION);
	return 0;
}
