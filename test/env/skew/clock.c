/*
 * Sets the wall clock apart, for a process that loads this before the C library:
 * by PENSTOCK_CLOCK_OFFSET seconds. Clocks that only run, such as CLOCK_MONOTONIC,
 * stay as they are, as they do where a machine's time is set wrong.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset;

__attribute__((constructor)) static void read_offset(void)
{
	const char *text = getenv("PENSTOCK_CLOCK_OFFSET");

	if (text != NULL)
		offset = strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += offset;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;
	int result = clock_gettime(CLOCK_REALTIME, &precise);

	(void) zone;
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return result;
}

time_t time(time_t *now)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME_COARSE, &precise);
	if (now != NULL)
		*now = precise.tv_sec;
	return precise.tv_sec;
}
